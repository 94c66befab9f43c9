"""What a client keeps does not grow with what it has done, whatever has gone wrong meanwhile.

Rules: bounds that only a large cluster reaches are small here, so that what they bound is full after a few rounds. Only
what the package itself has allocated counts, after a collection and at a quiet moment. What is filled and emptied in
turns has its flood in each half of the rounds that count: the two floods are compared. The nodes remember nothing, or
memory that the package has freed would be found again in their hands.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gc
import logging
import tracemalloc
from email.utils import formatdate
from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

import alternator_trio.testing
from alternator_trio import AlternatorError, Credentials, KeyRouteAffinity, NodeHealth
from alternator_trio.testing import Answer, Close, Hang, Reset, Truncate, simulate
from tests.scenarios.lookups import NOT_FOUND
from tests.scripted_nodes import ScriptedNodes, answer_json, respond_by_default

WARM_UP = 8
ROUNDS = 12  # in each half
CALLS = 15
LISTED = 8
NEW_NODES = 6  # in each round
EPOCH = 1_767_225_600.0
SKEW = 3600.0  # seconds
TOLERATED = 900.0
EXPIRED = answer_json({"__type": "x#InvalidSignatureException", "message": "Signature expired: it is later"}, 400)
FAULTS = (Reset(), Hang(), Truncate(), Close(), Answer(status=500))
SMALL = {
    "alternator_trio._actors.node_registry.MAX_HISTORY": 1,
    "alternator_trio._authentication._MAX_CORRECTED": 1,
    "alternator_trio._actors.refresher.MAX_COMPLAINTS": 1,
    "alternator_trio._core.discovery.MAX_CONTACTS": 1,
    "alternator_trio._core.keys.MAX_TABLES": 1,
    "alternator_trio._wire.http_head._MAX_REMEMBERED": 1,
    "alternator_trio._wire.sigv4._MAX_KEPT": 1,
}
MAY_GROW = 5000
"""Bytes. A half has 72 new addresses, 120 cancellations and more than 400 attempts; some 2 500 are Python's."""
PACKAGE = str(Path(alternator_trio.__file__).parent)
TESTING = str(Path(alternator_trio.testing.__file__).parent)


def test_what_a_client_keeps_does_not_grow(monkeypatch, caplog):
    """Operations, failures, cancellations, nodes that come and go, tables of ever new names, clocks that are wrong."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")
    for bound, value in SMALL.items():
        monkeypatch.setattr(bound, value)
    with traced():
        sizes = simulate(_rounds, seed=1)
    grown = max(sizes[ROUNDS:]) - max(sizes[:ROUNDS])
    assert grown < MAY_GROW, f"{grown} bytes more after {ROUNDS} rounds: {sizes}"


@contextlib.contextmanager
def traced():
    """Allocations are traced; what was there before is none of a collection's business."""
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        gc.unfreeze()


async def _rounds():
    rounds = WARM_UP + 2 * ROUNDS
    options = {
        "credentials": Credentials("ada", "secret"),
        "clock_skew_correction": "always",
        "key_route_affinity": KeyRouteAffinity.any_write(),
        "node_health": NodeHealth(active_failure=1),
        "max_connections": 6,
        "attempt_timeout": 0.5,
        "idle_connection_lifetime": 5.0,
        "wall_clock": _time,
    }
    sizes = []
    async with ScriptedNodes(LISTED + rounds * NEW_NODES) as nodes:
        nodes.respond = _respond
        async with nodes.open_client(*nodes.seeds[:1], **options) as client:
            for number in range(rounds):
                await _round(client, nodes, number)
                if number >= WARM_UP:
                    sizes.append(_allocated())
    return sizes


async def _round(client, nodes, number):
    """Other nodes, one of them faulty; then many callers at once, then quiet."""
    first = number * NEW_NODES
    listed = list(nodes)[first : first + LISTED]
    nodes.listed = [node.host for node in listed] + ["no address"] * (number % 2)
    listed[-1].fail_next(FAULTS[number % len(FAULTS)], times=3)
    await client.refresh()
    async with trio.open_nursery() as nursery:
        for call in range(CALLS):
            nursery.start_soon(_call, client, f"{number}.{call}", call)
        for table in (f"t{number}", f"no t{number}"):
            nursery.start_soon(_look_up, client, table)
    await trio.sleep(10.0)
    await client.refresh()
    await wait_all_tasks_blocked()
    nodes.requests.clear()
    for node in nodes:
        node.clear_faults()
        node.requests.clear()


async def _call(client, key, call):
    """A write and a read; of three callers one is patient, one gives up at some time, and one at once."""
    patience = (float("inf"), 0.02 * call, 0.0)[call % 3]
    with trio.move_on_after(patience), contextlib.suppress(AlternatorError):
        await client.put_item(TableName="users", Item={"id": {"S": key}})
        await client.get_item(TableName="users", Key={"id": {"S": key}})


async def _look_up(client, table):
    with contextlib.suppress(AlternatorError):
        await client.partition_key(table)


def _respond(request):
    """One node in six has a clock that is an hour ahead; and there are tables that are not there."""
    there = _time() + SKEW
    signed = dt.datetime.strptime(request.header("x-amz-date"), "%Y%m%dT%H%M%S%z").timestamp()
    if int(request.host.rpartition(".")[2]) % NEW_NODES == 0 and abs(signed - there) > TOLERATED:
        return dataclasses.replace(EXPIRED, headers=(("Date", formatdate(there, usegmt=True)),))
    return NOT_FOUND if b"no t" in request.body else respond_by_default(request)


def _time():
    return EPOCH + trio.current_time()


def _allocated():
    gc.collect()
    files = tracemalloc.take_snapshot().statistics("filename")
    named = ((each.traceback[0].filename, each.size) for each in files)
    return sum(size for name, size in named if name.startswith(PACKAGE) and not name.startswith(TESTING))

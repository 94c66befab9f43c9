"""Twelve callers on two connections, wherever a caller can wait: of these the sweep cancels some in one tick."""

from __future__ import annotations

import trio

from alternator_trio import Client, Credentials, KeyRouteAffinity, RetryPolicy
from alternator_trio.testing import Answer, Close, Reset
from tests.cancellation.scenarios import put
from tests.cancellation.sweep import Story
from tests.scenarios.lookups import answer_lookups
from tests.scripted_nodes import Late, ScriptedNodes

__all__ = ["BUSY", "CALLERS", "CROWDS", "IN_LINE", "PATIENT", "PUTS", "TWO", "do_put", "make_late"]

CALLERS = 12
BUSY = Answer(status=503)
TWO = {"max_connections": 2}
AFFINITY = {"key_route_affinity": KeyRouteAffinity.any_write(partition_keys={"users": "id"})}
PATIENT = {"retry": RetryPolicy(max_attempts=20), "attempt_timeout": 1.0}


async def do_put(client: Client, nodes: ScriptedNodes) -> None:
    await put(client)


async def _put_large(client: Client, nodes: ScriptedNodes) -> None:
    await client.put_item(TableName="users", Item={"id": {"S": "ada"}, "text": {"S": "long" * 20_000}})


async def _ask_key(client: Client, nodes: ScriptedNodes) -> None:
    await client.partition_key("users")


async def _refresh(client: Client, nodes: ScriptedNodes) -> None:
    await client.refresh()


async def _provide() -> Credentials:
    await trio.sleep(0.02)
    return Credentials("role", "salted_hash")


def make_late(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.delay = 0.01


def _late_and_torn(nodes: ScriptedNodes) -> None:
    make_late(nodes)
    for fault in (Reset(), Close(), BUSY):
        nodes[0].fail_next(fault, operation="PutItem")


def _busy(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.fail_next(BUSY, times=6, operation="PutItem")


def _all_torn(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.fail_next(Reset(), times=4, operation="PutItem")
        node.fail_next(Late(seconds=0.02), times=9, operation="localnodes")


def _slow_and_busy_lookups(nodes: ScriptedNodes) -> None:
    make_late(nodes)
    answer_lookups(nodes, BUSY)


PUTS = {"callers": [do_put] * CALLERS, "nodes": 2}

IN_LINE = Story(name="in line", before=make_late, options=TWO, **PUTS)
CROWDS = [
    Story(
        name="in line for one node", before=_late_and_torn, options={**AFFINITY, "max_connections_per_node": 1}, **PUTS
    ),
    Story(name="dialling", network={"dial_seconds": 0.01}, options=TWO, **PUTS),
    Story(
        name="sending",
        callers=[do_put, _put_large] * 6,
        nodes=2,
        network={"in_halves": True},
        before=make_late,
        options=TWO,
    ),
    Story(name="backing off", before=_busy, options={**TWO, **PATIENT}, **PUTS),
    Story(name="waiting for a refresh", before=_all_torn, options={**TWO, **PATIENT}, **PUTS),
    Story(name="refreshing", callers=[_refresh, do_put] * 6, nodes=2, before=make_late, options=TWO),
    Story(name="looking up a key", callers=[_ask_key, do_put] * 6, nodes=2, before=_slow_and_busy_lookups, options=TWO),
    Story(name="waiting for credentials", options={**TWO, "credentials": _provide}, **PUTS),
    Story(name="over TLS", network={"tls": True}, options=TWO, **PUTS),
    Story(name="over httpx", before=make_late, over="httpx", options=TWO, **PUTS),
]

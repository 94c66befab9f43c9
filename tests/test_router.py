"""The router alone: which observations of an attempt are told to whom, and where a write may not go."""

from __future__ import annotations

import dataclasses
import random
from typing import NamedTuple

import pytest

from alternator_trio._actors.messages import AttemptSettled, KeyDoubted, KeyNames, KeyWanted, TableChanged
from alternator_trio._core.affinity import key_hash
from alternator_trio._core.go_rand import first_intn
from alternator_trio._core.health import NodeState, Standing
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._request import Request
from alternator_trio._router import Router
from alternator_trio._supervision import Inbox, Published
from alternator_trio._transport.connection import Ending
from alternator_trio.config import AlternatorConfig
from alternator_trio.errors import ConnectError, ConnectionLostError, ServiceError
from alternator_trio.nodes import Node
from alternator_trio.routing import KeyRouteAffinity, RoutingScope

A, B, C = RING = tuple(Node("http", f"10.0.0.{number}", 8000) for number in (1, 2, 3))
ADA = {"id": {"S": "ada"}}
PUT = {"TableName": "users", "Item": ADA}


class Bench:
    """A router, and what it tells."""

    def __init__(self, *, names=None, live=None, **options):
        self.config = AlternatorConfig(seeds=[A.endpoint], **options)
        live = LiveNodes(ring=RING, eligible=RING, scope=RoutingScope.cluster(), discovered=True, **(live or {}))
        self.live = Published(live)
        self.registry, self.keys = Inbox("registry"), Inbox("keys")
        self.router = Router(
            self.config,
            live=self.live,
            key_names=Published(names or KeyNames()),
            registry=self.registry,
            keys=self.keys,
            rng=random.Random(1),
        )

    def request(self, operation, parameters=PUT, *, keyed_table=None, **options):
        config = dataclasses.replace(self.config, **options)
        request = Request(operation, parameters, config, b"", b"{}")
        request.keyed_table = keyed_table
        return request


async def told(inbox):
    """All that an inbox holds, in order."""
    return [await inbox.receive() for _ in range(inbox.statistics().pending)]


@pytest.mark.parametrize(
    ("node", "status", "successes"),
    [(A, 200, 1), (A, 400, 1), (A, 501, 1), (A, 500, 0), (A, 503, 0), (B, 200, 0)],
    ids=["an answer", "a refusal", "an odd answer", "500", "503", "nothing to forget"],
)
async def test_an_answer_is_told_where_it_can_change_something(node, status, successes):
    """Of a node that is watched, and not where something behind the node failed."""
    standing = Standing(state=NodeState.QUARANTINED, generation=7)
    bench = Bench(live={"watched": frozenset({A}), "standings": {A: standing}})
    bench.router.answered(node, bench.live.value, status)
    assert await told(bench.registry) == [AttemptSettled(node=A, generation=7, successes=1)] * successes


class Lease(NamedTuple):
    """A connection as its exchange has left it."""

    node: Node = A
    status: int = 0
    ending: Ending | None = None
    was_stale: bool = False


FAILED = AttemptSettled(node=A, generation=7, failures=1, reason="reset")
ANSWERED = AttemptSettled(node=A, generation=7, successes=1)


@pytest.mark.parametrize(
    ("lease", "message"),
    [
        (Lease(), FAILED),
        (Lease(ending=Ending.TIMED_OUT), FAILED),
        (Lease(ending=Ending.TIMED_OUT, was_stale=True), FAILED),
        (Lease(was_stale=True), None),
        (Lease(ending=Ending.CLIENT_CLOSED), None),
        (Lease(status=200), ANSWERED),
        (Lease(status=500), None),
    ],
    ids=[
        "no answer",
        "timed out",
        "reused and timed out",
        "reused and stale",
        "the client was closed",
        "half an answer",
        "500",
    ],
)
async def test_an_attempt_without_a_whole_answer_is_told_of_by_its_end(lease, message):
    """A failure of the node where it gave no head; by the head's status else; nothing of what was done here."""
    standing = Standing(state=NodeState.QUARANTINED, generation=7)
    bench = Bench(live={"watched": frozenset({A}), "standings": {A: standing}})
    bench.router.failed(lease, bench.live.value, ConnectionLostError("reset"))
    (settled,) = await told(bench.registry) or [None]
    assert settled == message
    assert settled is None or settled.reason == message.reason


def service_error(code, status=400):
    return ServiceError("no", code=code, status=status)


DOUBTED, CHANGED = KeyDoubted(table="users"), TableChanged(table="users")


@pytest.mark.parametrize(
    ("operation", "keyed_table", "error", "message"),
    [
        ("PutItem", "users", service_error("ValidationException"), DOUBTED),
        ("PutItem", None, service_error("ValidationException"), None),
        ("PutItem", "users", service_error("ConditionalCheckFailedException"), None),
        ("PutItem", "users", service_error("InternalServerError", 500), None),
        ("CreateTable", None, service_error("ResourceInUseException"), CHANGED),
        ("CreateTable", None, service_error("InternalServerError", 500), CHANGED),
        ("DeleteTable", None, service_error("HTTP504", 504), CHANGED),
        ("DeleteTable", None, service_error("ResourceNotFoundException"), None),
        ("DeleteTable", None, ConnectionLostError("reset", may_have_happened=True), CHANGED),
        ("DeleteTable", None, ConnectError("refused"), None),
        ("UpdateTable", None, service_error("ResourceInUseException"), None),
    ],
)
async def test_what_a_failure_says_about_a_key(operation, keyed_table, error, message):
    """An invalid write makes its key doubtful, a change of schema that may have happened ends what is known."""
    bench = Bench()
    bench.router.went_wrong(bench.request(operation, keyed_table=keyed_table), error)
    assert await told(bench.keys) == ([] if message is None else [message])


@pytest.mark.parametrize("parameters", [{}, {"TableName": None}, {"TableName": 7}])
async def test_a_change_of_no_table_changes_none(parameters):
    """What is wrong with its name the server has said."""
    bench = Bench()
    bench.router.schema_changed(bench.request("CreateTable", parameters))
    assert await told(bench.keys) == []


@pytest.mark.parametrize(
    ("operation", "scope", "discovered", "crosses", "must"),
    [
        ("PutItem", RoutingScope.datacenter("dc1"), False, False, True),
        ("PutItem", RoutingScope.datacenter("dc1"), True, False, False),
        ("PutItem", RoutingScope.datacenter("dc1"), False, True, False),
        ("PutItem", RoutingScope.cluster(), False, False, False),
        ("GetItem", RoutingScope.datacenter("dc1"), False, False, False),
    ],
    ids=["a seed of who knows where", "a list", "it may cross", "any datacenter", "a read"],
)
def test_a_write_that_stays_does_not_go_to_a_seed(operation, scope, discovered, crosses, must):
    """Nobody knows in which datacenter a seed is."""
    bench = Bench(writes_cross_datacenter=crosses, routing_scope=RoutingScope.datacenter("dc1"))
    bench.live.publish(LiveNodes(ring=RING, eligible=RING, scope=scope, discovered=discovered))
    assert bench.router.must_know_nodes(bench.request(operation)) is must


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (KeyNames(), [KeyWanted(table="users")]),
        (KeyNames(pending=frozenset({"users"})), []),
        (KeyNames(cooldowns={"users": float("inf")}), []),
        (KeyNames(names={"users": "id"}), []),
    ],
    ids=["unknown", "being looked up", "cooling down", "known"],
)
async def test_a_key_is_wanted_where_a_lookup_would_begin(names, wanted):
    """Whoever misses a key tells so, and only then: a write each would be a message each."""
    bench = Bench(names=names, key_route_affinity=KeyRouteAffinity.any_write())
    bench.router.plan_for(bench.request("PutItem"))
    assert await told(bench.keys) == wanted


async def test_an_operations_own_keys_win_over_what_is_known():
    """They go with its own affinity; nothing is looked up for it."""
    bench = Bench(names=KeyNames(names={"users": "mail"}), key_route_affinity=KeyRouteAffinity.any_write())
    own = KeyRouteAffinity.any_write(partition_keys={"users": "id"})
    request = bench.request("PutItem", key_route_affinity=own)
    first = bench.router.plan_for(request).next_node()
    assert (first, request.keyed_table) == (RING[first_intn(key_hash(ADA["id"]), 3)], "users")
    assert await told(bench.keys) == []

"""The checkers of plans, of convergence and of the machine's registers: each rule of theirs finds what breaks it."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import trio

from alternator_trio import AlternatorConfig, AlternatorError, Client, KeyRouteAffinity, RoutingScope
from alternator_trio._core.health import NodeState, Standing
from alternator_trio._core.query_plan import RoundRobinPlan, _Walk
from alternator_trio._core.retry import RetryQuota
from alternator_trio._request import Request
from alternator_trio._router import Router
from alternator_trio.nodes import Node
from alternator_trio.testing import Answer, RegisterEngine, SimulatedCluster
from alternator_trio.testing.simulation import simulate
from tests.sim.check_convergence import _differences, check_healthy
from tests.sim.check_plans import watched_plans
from tests.sim.model import Asked, Effect, wrong_reads, wrong_writes
from tests.waiting import all_active

SEED = Node("http", "10.0.0.1", 8000)
ADA = {"id": {"S": "ada"}}
AFFINE = {"key_route_affinity": KeyRouteAffinity.any_write(partition_keys={"plain": "id"})}


def with_client(check, **options):
    """What ``check(client, cluster, engine)`` finds with three nodes."""

    async def main():
        engine = RegisterEngine()
        engine.create_table("plain", "id")
        async with SimulatedCluster(3, engine=engine) as cluster, cluster.open_client(**options) as client:
            await all_active(client)
            return await check(client, cluster, engine)

    return simulate(main)


def first_of_all(plan):
    """`next_node` that knows one node."""
    return plan._ring[0]


async def fail_once(client, cluster, engine):
    for node in cluster.nodes:
        node.fail_next(Answer(status=500))
    await client.get_item(TableName="plain", Key=ADA)


async def take_down(client, cluster, engine):
    live, node = client._runtime.live, client.nodes()[0]
    standings = {**live.value.standings, node: Standing(state=NodeState.DOWN)}
    live.publish(dataclasses.replace(live.value, standings=standings))
    await client.get_item(TableName="plain", Key=ADA)


async def write_twice(client, cluster, engine):
    for _ in range(2):
        await client.put_item(TableName="plain", Item=ADA)


def by_turns():
    """`next_node` that begins elsewhere each time."""
    turns = iter(range(9))
    return lambda plan: plan._ring[next(turns)]


@pytest.mark.parametrize(
    ("plan", "planted", "story", "options", "what"),
    [
        (RoundRobinPlan, first_of_all, fail_once, {}, "GetItem comes to"),
        (RoundRobinPlan, first_of_all, take_down, {}, "which is down"),
        (_Walk, by_turns(), write_twice, AFFINE, "over the same ring"),
    ],
)
def test_a_plan_against_the_rules_is_found(monkeypatch, plan, planted, story, options, what):
    """A node twice in a cycle, a node that is down, two orders of one key; and nothing in plans that are right."""
    if story is not take_down:  # which no right plan survives either: the node is down for the snapshot alone
        with watched_plans() as right:
            with_client(story, **options)
        assert right == []
    monkeypatch.setattr(plan, "next_node", planted)
    with watched_plans() as wrong:
        with_client(story, **options)
    assert any(what in each for each in wrong)


def test_an_attempt_that_is_sent_a_third_time_is_found():
    """Refused for who signed it, or when, an attempt is sent to its node once more, and that is all."""
    lease = SimpleNamespace(node=SEED)
    with watched_plans() as wrong:
        request = Request("GetItem", {}, AlternatorConfig(seeds=[str(SEED)]), b"", b"{}")
        request.begin_attempt(lease)
        request.take_back_attempt()
        request.begin_attempt(lease)
        assert wrong == []
        request.take_back_attempt()
    assert wrong == [f"GetItem is sent to {SEED.endpoint} a third time"]


NODES = [SimpleNamespace(address="10.0.0.1", datacenter="dc1", rack="r1")]
DC1, CLUSTER = RoutingScope.datacenter("dc1"), RoutingScope.cluster()


@pytest.mark.parametrize(
    ("scope", "hosts", "state", "what"),
    [
        (DC1, ["10.0.0.1"], "ACTIVE", None),
        (CLUSTER, ["10.0.0.1"], "ACTIVE", "the scope is"),
        (DC1, ["10.0.0.1", "10.0.0.2"], "ACTIVE", "the ring is"),
        (DC1, [], "ACTIVE", "the ring is"),
        (DC1, ["10.0.0.1"], "QUARANTINED", "is QUARANTINED"),
    ],
)
def test_what_has_not_converged_is_found(scope, hosts, state, what):
    """The scope, the ring and the health of its nodes."""
    client = SimpleNamespace(
        routing_scope=scope,
        nodes=lambda: [SimpleNamespace(host=host) for host in hosts],
        node_health=lambda: {"http://10.0.0.1:8000": SimpleNamespace(is_listed=True, state=state)},
        _runtime=SimpleNamespace(config=SimpleNamespace(routing_scope=DC1.with_fallback(CLUSTER))),
    )
    found = list(_differences(client, SimpleNamespace(nodes=NODES)))
    assert bool(found) is (what is not None)
    assert what is None or what in found[0]


async def never(client):
    await trio.sleep_forever()


async def fails(client):
    raise AlternatorError("no")


def no_affinity(router, request, affinity, live):
    """`Router._affine_plan` that has forgotten the key."""


def calm(client, cluster, engine):
    """As a trial asks when all should be well; reads are served by whoever wrote last."""
    for number, node in enumerate(cluster.nodes):
        node.clock_skew = -5.0 * number
    client._runtime.quota.tokens = 400
    return check_healthy(client, cluster, engine, "calm")


@pytest.mark.parametrize(
    ("owner", "name", "planted", "what"),
    [
        (RoundRobinPlan, "next_node", first_of_all, "serves nothing"),
        (RetryQuota, "refund", lambda quota, cost: None, "retry tokens"),
        (Client, "refresh", never, "a refresh does not end"),
        (Client, "refresh", fails, "fails in a healthy cluster"),
        (Router, "_affine_plan", no_affinity, "had the coordinators"),
        (Router, "_affine_plan", no_affinity, "was written"),
    ],
)
def test_what_is_not_well_is_found(monkeypatch, owner, name, planted, what):
    """In a cluster that is well: who is left out, what is not given back, who is not answered, what is out of order."""
    assert with_client(calm, **AFFINE) == []

    async def story(client, cluster, engine):
        monkeypatch.setattr(owner, name, planted)
        return await calm(client, cluster, engine)

    assert any(what in each for each in with_client(story, **AFFINE))


PLACE = ("registers", "a")
WRITES = frozenset({PLACE})


def asked(outcome="done", **more):
    """A write of "7", or a read, from 1 to 2."""
    given = {"number": 7, "kind": "any", "began": 1.0, "since": 1.0, "ended": 2.0, "value": "7", "outcome": outcome}
    return Asked(**given, **more)


@pytest.mark.parametrize(
    ("one", "effects", "what"),
    [
        (asked(writes=WRITES), [1.5], None),
        (asked(writes=WRITES), [], "acknowledged without an effect"),
        (asked(writes=WRITES), [2.5], "acknowledged without an effect"),
        (asked("failed", writes=WRITES), [], None),
        (asked("failed", writes=WRITES), [1.5], "failed for certain"),
        (asked("unknown", writes=WRITES), [9.0], None),
        (asked("unknown", writes=WRITES), [1.5, 9.0], " 2 times"),
        (asked(seen={PLACE: "7"}), [0.5], None),
        (asked(seen={PLACE: None}), [1.5], None),
        (asked(seen={PLACE: "7"}), [2.5], "where there was"),
        (asked(seen={PLACE: None}), [0.5], "where there was"),
    ],
)
def test_the_machine_judges_what_it_asked(one, effects, what):
    """Writes by their effects, a failed one that is there among them; reads by what was there."""
    history = [Effect(at, PLACE, "7") for at in effects]
    found = [*wrong_writes([one], history), *wrong_reads([one], history)]
    assert bool(found) is (what is not None)
    assert what is None or what in found[0]

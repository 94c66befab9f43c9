"""Discovery along a chain of scopes, with health: in which order it asks, what it tells, and its probes."""

from __future__ import annotations

import collections

import pytest
import trio

from alternator_trio import DiscoveryError, NodeHealth
from alternator_trio.testing import Answer, Hang
from tests.routing.world import (
    CHAIN,
    DC1,
    DC2,
    RACK1,
    TOPOLOGY,
    Dials,
    asked,
    host,
    questions,
    ring,
    settle,
    states,
    url,
)
from tests.scripted_nodes import Late, ScriptedNodes

BROKEN = Answer(status=500)
FOREVER = 10**6


@pytest.fixture
async def world():
    """Two datacenters."""
    async with ScriptedNodes(topology=TOPOLOGY) as scripted:
        yield scripted


@pytest.fixture
async def six():
    """Six nodes, all of dc1, and a seventh elsewhere that is only a seed."""
    async with ScriptedNodes(topology={"dc1": {"rack1": 6}, "dc2": {"rack1": 1}}) as scripted:
        yield scripted


async def in_all_states(nodes, client):
    """1 and 2 are active, 3 and 4 in quarantine, 5 and 6 down; from now on nobody answers discovery."""
    await client.refresh()
    await settle()
    for number in (5, 6):
        nodes[host(number)].kill()
    while any(states(client)[number] != "DOWN" for number in (5, 6)):
        try:
            await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
        finally:
            await settle()
    for node in nodes:
        node.fail_next(BROKEN, times=FOREVER, operation="localnodes")
    assert [states(client)[number] for number in range(1, 7)] == ["ACTIVE"] * 2 + ["QUARANTINED"] * 2 + ["DOWN"] * 2


async def test_candidates_are_asked_by_their_health(autojump_clock, six):
    """Active ones first, then quarantined ones, then those that are down, at last the seed; by chance among equals."""
    for number in (3, 4):
        six[host(number)].fail_next(BROKEN, times=FOREVER, operation="localnodes")
    dials = Dials(six)
    options = {"routing_scope": DC1, "node_health": NodeHealth(active_failure=1), "dial": dials}
    async with six.open_client(url(7), active_interval=3600.0, max_connections_per_node=1, **options) as client:
        await in_all_states(six, client)
        six[host(5)].accept()
        six[host(6)].accept()
        orders = collections.Counter()
        for _ in range(60):
            del six.requests[:]
            with pytest.raises(DiscoveryError):
                await client.refresh()
            order = [number for number, scope in asked(six) if scope == DC1.key]
            assert list(map(set, (order[:2], order[2:4], order[4:6], order[6:]))) == [{1, 2}, {3, 4}, {5, 6}, {7}]
            orders[tuple(order)] += 1
    assert len(orders) == 8


async def test_contacts_come_before_seeds(autojump_clock, world):
    """A node that has answered before and is listed no more is asked before the seed is."""
    async with world.open_client(url(5), routing_scope=RACK1) as client:
        await client.refresh()
        world[4].fail_next(BROKEN, times=FOREVER, operation="localnodes")
        await client.refresh()
        contact = asked(world)[-1][0]
        assert contact in {1, 2}
        for number in (1, 2):
            world[host(number)].localnodes_answer = Answer(status=200, body=b'["10.0.0.3"]')
        await client.refresh()
        assert ring(client) == (3,)
        world[2].fail_next(BROKEN, times=FOREVER, operation="localnodes")
        del world.requests[:]
        await client.refresh()
        numbers = [number for number, _ in asked(world)]
        assert (numbers[0], numbers[1] in {1, 2}, 5 in numbers) == (3, True, False)


async def test_a_scope_whose_nodes_are_all_down_is_passed_over(autojump_clock, world):
    """It is listed, but no use: the same refresh goes on to the datacenter."""
    options = {"routing_scope": CHAIN, "node_health": NodeHealth(active_failure=1), "active_interval": 3600.0}
    async with world.open_client(**options) as client:
        await client.refresh()
        await settle()
        world[0].kill()
        world[1].kill()
        await trio.sleep(0.5)
        del world.requests[:]
        await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
        assert (ring(client), client.routing_scope) == ((1, 2, 3), DC1)
        assert [scope for scope in questions(world) if scope != (None, None)] == [("dc1", "rack1"), ("dc1", None)]


async def test_a_scope_with_a_node_in_quarantine_is_enough(autojump_clock, world):
    """It is usable: no further scope is asked for."""
    for number in (1, 2):
        world[host(number)].fail_next(BROKEN, times=FOREVER, operation="localnodes")
    async with world.open_client(url(4), routing_scope=CHAIN, node_health=NodeHealth()) as client:
        await client.refresh()
        await settle()
        assert (states(client)[1], client.routing_scope) == ("QUARANTINED", RACK1)
        assert {scope for _, scope in asked(world)} <= {("dc1", "rack1"), (None, None)}


async def test_what_is_in_flight_is_called_off_between_scopes(autojump_clock, world):
    """A silent node has been asked for the rack when another says that it is empty: its connection is closed."""
    world.listed = [host(4), host(5)]
    for number in (1, 2):
        world[host(number)].fail_next(Hang(), operation="localnodes")
    async with world.open_client(*map(url, (1, 2, 3)), routing_scope=RACK1.with_fallback(DC2)) as client:
        await client.refresh()
        await settle()
        assert client.statistics().connections_leased == 0
        assert world[0].open_connections + world[1].open_connections <= 2


async def test_an_answer_in_the_tick_in_which_it_is_given_up(autojump_clock):
    """Two are silent, the others take as long as the third in flight is given: whatever wins, nothing breaks."""
    for seed in range(20):
        async with ScriptedNodes(5) as nodes:
            for number in range(1, 6):
                nodes[host(number)].lists(host(number))
                fault = Hang() if number < 3 else Late(seconds=0.5)
                nodes[host(number)].fail_next(fault, times=FOREVER, operation="localnodes")
            async with nodes.open_client(seed=seed) as client:
                await client.refresh()
                assert client.statistics().crashes == 0
                assert set(ring(client)) <= {3, 4, 5}
                assert trio.current_time() % 5 == pytest.approx(0)


async def test_probes_and_refreshes_do_not_wait_for_each_other(autojump_clock, world):
    """All probes hang for their five seconds: refreshes go on at their cadence, and the other way round."""
    for number in (2, 3):
        world[host(number)].fail_next(Hang(), times=FOREVER, operation="localnodes")
    options = {"routing_scope": DC1, "node_health": NodeHealth(probe_concurrency=1)}
    async with world.open_client(url(1), **options) as client:
        await client.refresh()
        for _ in range(20):
            await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
            await trio.sleep(0.2)
        refreshes = [number for number, scope in asked(world) if scope == DC1.key]
        assert refreshes.count(1) >= 4
        assert client.statistics().failed == 0


async def test_a_crash_forgets_no_probe_that_waits(autojump_clock, world, crash):
    """One is in flight and the others wait for it when Discovery crashes: all of them are made after its restart."""
    world[1].fail_next(Hang(), operation="localnodes")
    world[2].fail_next(Late(seconds=0.2), operation="localnodes")
    options = {"routing_scope": DC1, "node_health": NodeHealth(probe_concurrency=1)}
    async with world.open_client(url(1), **options) as client:
        await trio.sleep(0.1)
        assert [states(client)[number] for number in (1, 2, 3)] == ["ACTIVE", "QUARANTINED", "QUARANTINED"]
        crash(client._runtime.discovery_inbox)
        await trio.sleep(1)
        assert [states(client)[number] for number in (1, 2, 3)] == ["ACTIVE"] * 3

"""Plans without a node left: the request asks for a refresh, waits for it, and goes on with what is there then."""

from __future__ import annotations

import itertools

import pytest
import trio

from alternator_trio import (
    DiscoveryError,
    KeyRouteAffinity,
    NodeHealth,
    NoLiveNodesError,
    OperationTimeoutError,
    RetryPolicy,
)
from alternator_trio.testing import Hang, Reset
from tests.routing.world import (
    CHAIN,
    DC1,
    RACK1,
    Dials,
    all_active,
    bring_down,
    crowd,
    get,
    host,
    ring,
    served,
    settle,
    states,
    url,
)
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scripted_nodes import Late, ScriptedNodes
from tests.users import KEY

BRITTLE = NodeHealth(active_failure=1, quarantine_failure=1)


async def kill_all(nodes, client, *numbers):
    """Kill nodes and let requests find out that they are down."""
    for number in numbers:
        nodes[host(number)].kill()
    while any(states(client)[number] != "DOWN" for number in numbers):
        assert await crowd(client, 4)


async def test_nothing_is_sent_when_all_nodes_are_down(autojump_clock, nodes):
    """A local error that names the scope; nobody is dialled for it but by probes and the refresh, also later on."""
    dials = Dials(nodes)
    async with nodes.open_client(url(1), routing_scope=DC1, node_health=NodeHealth(), dial=dials) as client:
        await all_active(client)
        await kill_all(nodes, client, 1, 2, 3)
        for node in nodes:  # they would serve requests again, but answer no probe
            node.accept()
            node.fail_next(Reset(), times=10**6, operation="localnodes")
        del nodes.requests[:]
        for _ in range(5):
            with pytest.raises(NoLiveNodesError, match="all nodes of the datacenter dc1 are down") as caught:
                await get(client)
            assert (caught.value.attempts, caught.value.operation) == (0, "GetItem")
            await trio.sleep(1)
    assert served(nodes) == []


async def test_the_error_says_what_was_seen_last(autojump_clock, nodes):
    """A request under which the last node goes down fails for want of nodes, from the failure that brought it there."""
    async with nodes.open_client(url(4), routing_scope=DC1, node_health=BRITTLE) as client:
        await all_active(client)
        for number in (1, 2, 3):
            nodes[host(number)].kill()
        await trio.sleep(0.2)
        with pytest.raises(NoLiveNodesError) as caught:
            await get(client)
        assert caught.value.attempts == 3
        assert "refused" in str(caught.value.__cause__)


async def test_a_request_that_asks_nobody_says_what_the_refresh_met(autojump_clock, nodes):
    """With every node down before it began it has seen nothing itself; the refresh has."""
    async with nodes.open_client(url(4), routing_scope=DC1, node_health=BRITTLE) as client:
        await all_active(client)
        for node in nodes:
            node.kill()
        with pytest.raises(NoLiveNodesError):
            await get(client)
        await trio.sleep(2)
        with pytest.raises(NoLiveNodesError, match=r"no node gave a usable node list: .* refused") as caught:
            await get(client)
        assert (caught.value.attempts, type(caught.value.__cause__)) == (0, DiscoveryError)


async def test_it_waits_for_the_refresh_and_goes_on_in_the_next_scope(autojump_clock, nodes):
    """The rack is down, and the datacenter's list comes 300 ms later: the request is served then, by its other rack."""
    async with nodes.open_client(routing_scope=CHAIN, node_health=BRITTLE) as client:
        await all_active(client)
        await trio.sleep(0.5)
        for number in (1, 2):
            nodes[host(number)].kill()
        for number in (3, 4, 5):
            nodes[host(number)].fail_next(Late(seconds=0.15), times=2, operation="localnodes")
        began = trio.current_time()
        await get(client)
        assert trio.current_time() - began == pytest.approx(0.3)
        assert (ring(client), served(nodes)) == ((1, 2, 3), [3])


async def test_a_request_that_failed_everywhere_takes_the_next_snapshot(autojump_clock, nodes):
    """Health is off; the rack's nodes refuse and have left the list: after both, the third attempt is in the next."""
    async with nodes.open_client(routing_scope=RACK1.with_fallback(DC1)) as client:
        await client.refresh()
        await trio.sleep(0.5)
        nodes[0].stop()
        nodes[1].stop()
        await get(client)
        assert client.statistics().retries == 2
        assert (client.routing_scope, served(nodes)) == (DC1, [3])


async def test_a_new_cycle_waits_for_a_node_that_failed_in_the_last(autojump_clock):
    """The only node has broken its first attempt and is busy with another request: it is served after that one."""
    async with ScriptedNodes(1) as nodes:
        nodes[0].fail_next(Reset())
        nodes[0].delay = 2.0
        options = {"discovery": False, "max_connections_per_node": 1, "acquire_timeout": 5.0}
        async with nodes.open_client(**options) as client, trio.open_nursery() as nursery:
            nursery.start_soon(get, client)
            nursery.start_soon(get, client)
    assert len(served(nodes)) == 3


@pytest.mark.parametrize("fast", [0, 1])
async def test_after_the_node_that_was_free_first_comes_the_one_it_was_waited_for(autojump_clock, fast):
    """Both nodes are busy, and the one that is free first breaks the attempt: the next one goes to the other."""
    async with ScriptedNodes(2) as nodes:
        nodes[fast].delay, nodes[1 - fast].delay = 1.0, 2.0
        options = {"discovery": False, "max_connections_per_node": 1, "acquire_timeout": 5.0}
        async with nodes.open_client(**options) as client, trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(get, client)
            await trio.sleep(0.5)
            nodes[fast].fail_next(Reset())
    assert [served(nodes).count(number) for number in (1, 2)] == [2, 2]


async def test_those_who_wait_share_one_refresh(autojump_clock, nodes):
    """Thirty requests find the rack down: one refresh for all, and all go on together."""
    async with nodes.open_client(url(3), routing_scope=CHAIN, node_health=NodeHealth()) as client:
        await all_active(client)
        await trio.sleep(0.5)
        before = len(nodes[2].requests_of("localnodes"))
        nodes[2].fail_next(Late(seconds=0.2), times=2, operation="localnodes")
        await bring_down(nodes, client, 1, 2)
        assert trio.current_time() == pytest.approx(0.9, abs=0.11)
        assert set(served(nodes)) == {3}
        # One or two refreshes: the first may have begun before the last node went down.
        assert len(nodes[2].requests_of("localnodes")) - before <= 3


async def test_a_hundred_milliseconds_lie_between_refreshes(autojump_clock, nodes):
    """While all nodes are down, requests that come without a pause cause ten refreshes a second."""
    async with nodes.open_client(url(4), routing_scope=DC1, node_health=NodeHealth()) as client:
        await all_active(client)
        await kill_all(nodes, client, 1, 2, 3)
        before, began = len(nodes[3].requests_of("localnodes")), trio.current_time()
        while trio.current_time() < began + 2:
            assert all(isinstance(error, NoLiveNodesError) for error in await crowd(client, 10))
        times = [request.at for request in nodes[3].requests_of("localnodes")[before:]]
    assert all(later - earlier >= 0.0999 for earlier, later in itertools.pairwise(times))
    assert 15 <= len(times) <= 21


@pytest.mark.parametrize("limit", ["cancel scope", "operation timeout"])
async def test_the_callers_deadline_holds_while_it_waits(autojump_clock, nodes, limit):
    """The refresh hangs; the request ends when its caller says so, with nothing sent."""
    options = {"operation_timeout": 0.7} if limit == "operation timeout" else {}
    async with nodes.open_client(url(4), routing_scope=DC1, node_health=NodeHealth(), **options) as client:
        await all_active(client)
        await kill_all(nodes, client, 1, 2, 3)
        nodes[3].fail_next(Hang(), times=10**6, operation="localnodes")
        began = trio.current_time()
        if limit == "cancel scope":
            with trio.move_on_after(0.7) as scope:
                await get(client)
            assert scope.cancelled_caught
        else:
            with pytest.raises(OperationTimeoutError):
                await get(client)
        assert trio.current_time() - began == pytest.approx(0.7)
        await settle()
        assert client.statistics().waiting == 0
    assert served(nodes) == []


async def test_it_does_not_wait_longer_than_a_refresh_takes(autojump_clock, nodes):
    """Without a deadline of its caller a request gives up after the five seconds of a refresh that hangs."""
    async with nodes.open_client(url(4), routing_scope=DC1, node_health=NodeHealth()) as client:
        await all_active(client)
        await kill_all(nodes, client, 1, 2, 3)
        nodes[3].fail_next(Hang(), times=10**6, operation="localnodes")
        began = trio.current_time()
        with pytest.raises(NoLiveNodesError):
            await get(client)
        assert trio.current_time() - began <= 5.11


async def test_a_node_in_quarantine_is_enough(autojump_clock, nodes):
    """All are down; the first node that has recovered serves requests although it is not active yet."""
    async with nodes.open_client(url(4), routing_scope=DC1, node_health=NodeHealth()) as client:
        await all_active(client)
        await kill_all(nodes, client, 1, 2, 3)
        nodes[1].accept()
        while states(client)[2] == "DOWN":
            await trio.sleep(0.01)
        assert states(client)[2] == "QUARANTINED"
        await get(client)
    assert served(nodes) == [2]


async def test_affinity_begins_its_cycle_again(autojump_clock, nodes):
    """Health is off and all fail: the second cycle of a write with affinity is the first one again."""
    for node in nodes:
        node.fail_next(Reset(), times=10**6, operation="PutItem")
    affinity = KeyRouteAffinity.any_write(partition_keys={"users": "id"})
    policy = RetryPolicy(max_attempts=6)
    async with nodes.open_client(routing_scope=DC1, key_route_affinity=affinity, retry=policy) as client:
        await client.refresh()
        with pytest.raises(Exception, match="6 attempts"):
            await client.put_item(TableName="users", Item=KEY)
    order = served(nodes, "PutItem")
    assert (sorted(order[:3]), order[3:]) == ([1, 2, 3], order[:3])


async def test_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled while requests wait for a refresh, nodes are probed and scopes change: nothing is left."""

    async def scenario():
        for node in nodes:
            node.start()
            node.clear_faults()
        async with nodes.open_client(routing_scope=CHAIN, node_health=NodeHealth()) as client:
            await all_active(client)
            nodes[2].fail_next(Late(seconds=0.3), times=2, operation="localnodes")
            await bring_down(nodes, client, 1, 2)
            for number in (3, 4, 5):
                nodes[host(number)].kill()
            assert await crowd(client)
            nodes[0].accept()
            await trio.sleep(1.1)
            assert await crowd(client) == []

    await cancel_in_the_middle(scenario, nodes, moments=12)

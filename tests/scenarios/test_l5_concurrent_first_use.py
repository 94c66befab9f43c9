"""L5: many tasks use a new client at the same moment; one refresh starts, no second refresher, no error."""

from __future__ import annotations

import collections

import pytest
import trio

from alternator_trio.client import open_alternator
from alternator_trio.routing import NodeHealth, RoutingScope
from tests.routing.world import CHAIN, DC1, RACK1, TOPOLOGY
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scenarios.crowd import TASKS, all_at_once
from tests.scripted_nodes import Late, ScriptedNodes

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


NOWHERE = RoutingScope.rack("dc1", "rack9").with_fallback(DC1)
"""A rack that nobody knows, and then the datacenter."""


class Refreshes(trio.abc.Instrument):
    """Counts discovery's refresh tasks: how many ever, and how many at a time at most."""

    def __init__(self):
        self.begun = self.running = self.most = 0

    def task_spawned(self, task):
        if task.name == "Discovery refresh":
            self.begun += 1
            self.running += 1
            self.most = max(self.most, self.running)

    def task_exited(self, task):
        self.running -= task.name == "Discovery refresh"


@pytest.fixture
async def refreshes():
    counter = Refreshes()
    trio.lowlevel.add_instrument(counter)
    yield counter
    trio.lowlevel.remove_instrument(counter)


async def get(client, number):
    await client.get_item(TableName="users", Key={"id": {"S": str(number)}})


@pytest.mark.parametrize(("seconds", "asked"), [(0.0, 1), (0.2, 1), (0.9, 2), (1.2, 3)])
async def test_l5_requests_start_one_refresh(autojump_clock, nodes, refreshes, seconds, asked):
    """A thousand first requests begin one refresh, which asks no node twice, however late the node list comes."""
    for node in nodes:
        node.fail_next(Late(seconds=seconds), operation="localnodes")
    async with nodes.open_client() as client:
        await all_at_once(lambda number: get(client, number))
        await trio.sleep(5)
        assert (refreshes.begun, refreshes.most) == (1, 1)
        statistics = client.statistics()
    assert (statistics.operations, statistics.failed, statistics.dropped_messages) == (TASKS, 0, 0)
    lists = collections.Counter(request.host for request in nodes.requests_of("localnodes"))
    assert (lists.total(), max(lists.values())) == (asked, 1)
    assert len(nodes.requests_of("GetItem")) == TASKS


async def test_l5_callers_of_refresh_share_it(autojump_clock, nodes, refreshes):
    """A thousand tasks that wait for a refresh, and as many requests beside them, get the same list from one."""
    for node in nodes:
        node.fail_next(Late(seconds=0.9), operation="localnodes")
    lists = []

    async def refresh_and_get(number):
        lists.append(await client.refresh())
        await get(client, number)

    async with nodes.open_client(nodes[0].url) as client:
        await all_at_once(refresh_and_get)
        assert (refreshes.begun, refreshes.most) == (1, 1)
    assert {tuple(node.host for node in answer) for answer in lists} == {HOSTS}
    assert len(lists) == TASKS


async def test_l5_the_first_use_after_an_idle_time_starts_one(autojump_clock, nodes, refreshes):
    """Discovery rests; a thousand tasks arrive at once and wake it once."""
    async with nodes.open_client() as client:
        await get(client, 0)
        await trio.sleep(30)
        before = refreshes.begun
        for node in nodes:
            node.fail_next(Late(seconds=0.2), operation="localnodes")
        await all_at_once(lambda number: get(client, number))
        await trio.sleep(0.5)
        assert (refreshes.begun - before, refreshes.most) == (1, 1)


async def test_l5_no_task_fails_when_the_first_refresh_does(autojump_clock, nodes, refreshes):
    """Nobody answers ``/localnodes``: the seeds serve all requests, and there is still but one refresher."""
    nodes.listed = []
    async with nodes.open_client() as client:
        await all_at_once(lambda number: get(client, number))
        assert (client.statistics().failed, refreshes.most) == (0, 1)
    assert max(collections.Counter(request.host for request in nodes.requests_of("localnodes")).values()) == 1


@pytest.mark.parametrize(("health", "asked"), [(None, 1), (NodeHealth(), 4)], ids=["refresh alone", "with probes"])
async def test_l5_on_real_sockets(cluster, proxy, refreshes, health, asked):
    """Two hundred first requests over TCP: one refresh, and one probe per node at most.

    The refresh asks one node; where the machine holds it up for half a second, the next two as well.
    """
    async with open_alternator(
        *proxy.seeds, max_connections_per_node=8, active_interval=60.0, node_health=health
    ) as client:
        await all_at_once(lambda number: get(client, number), 200)
        assert (client.statistics().failed, refreshes.begun) == (0, 1)
    received = collections.Counter(request.method for node in cluster.nodes for request in node.requests)
    assert received["POST"] == 200
    assert 1 <= received["GET"] <= asked + 2
    assert max(link.connects for link in proxy.links.values()) <= 8


@pytest.mark.parametrize("scope", [DC1, RACK1, CHAIN, NOWHERE], ids=lambda scope: "+".join(map(str, scope.chain)))
async def test_l5_in_a_scope(autojump_clock, refreshes, scope):
    """With fallbacks or without: one refresh, one question per scope that it asks for, one probe per node at most."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes:
        for node in nodes:
            node.fail_next(Late(seconds=0.2), operation="localnodes")
        async with nodes.open_client(routing_scope=scope, node_health=NodeHealth(), active_interval=60.0) as client:
            await all_at_once(lambda number: get(client, number))
            await trio.sleep(5)
            assert (refreshes.begun, refreshes.most) == (1, 1)
            statistics = client.statistics()
        assert (statistics.operations, statistics.failed, statistics.dropped_messages) == (TASKS, 0, 0)
        questions = collections.Counter(request.scope for request in nodes.requests_of("localnodes"))
        probes = questions.pop((None, None), 0)
        assert questions == ({("dc1", "rack9"): 1, ("dc1", None): 1} if scope is NOWHERE else {scope.key: 1})
        assert probes <= len(client.nodes())


async def test_l5_callers_of_refresh_share_one_along_the_chain(autojump_clock, refreshes):
    """A thousand tasks wait for a refresh that has to go on to a fallback: all get its list."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes, nodes.open_client(routing_scope=NOWHERE) as client:
        lists = []

        async def refresh(_):
            lists.append(await client.refresh())

        await all_at_once(refresh)
        assert (refreshes.begun, refreshes.most) == (1, 1)
        assert {tuple(node.host for node in answer) for answer in lists} == {HOSTS}


async def test_l5_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled while the crowd arrives, queues for connections and shares the refresh: nothing is left."""

    async def scenario():
        for node in nodes:
            node.fail_next(Late(seconds=0.3), operation="localnodes")
        async with nodes.open_client(max_connections_per_node=4) as client:
            await all_at_once(lambda number: get(client, number), 100)
            await all_at_once(lambda _: client.refresh(), 100)

    await cancel_in_the_middle(scenario, nodes, moments=10)


async def test_l5_in_a_scope_cancelled_in_the_middle(autojump_clock):
    """The same along a chain, with health, so that probes are under way as well."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes:

        async def scenario():
            for node in nodes:
                node.fail_next(Late(seconds=0.3), times=2, operation="localnodes")
            options = {"max_connections_per_node": 4, "node_health": NodeHealth(), "routing_scope": NOWHERE}
            async with nodes.open_client(**options) as client:
                await all_at_once(lambda number: get(client, number), 100)
                await all_at_once(lambda _: client.refresh(), 100)

        await cancel_in_the_middle(scenario, nodes, moments=10)

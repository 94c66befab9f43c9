"""A2: writes go on while the preferred scope goes away and comes back; where each goes is determined by what lives.

In each phase, once it has settled, every key has one node: the first of its order over the ring in force that is not
down. Two clients that see the same agree.
"""

from __future__ import annotations

import collections
import json

import pytest
import trio

from alternator_trio import KeyRouteAffinity, NodeHealth, RoutingScope, open_alternator
from alternator_trio.testing import CountingProxy, LocalCluster
from tests.routing.world import order_over
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scripted_nodes import ScriptedNodes

TOPOLOGY = {"dc1": {"rack1": 2, "rack2": 1}, "dc2": {"rack1": 3}}
DC1, DC2 = RoutingScope.datacenter("dc1"), RoutingScope.datacenter("dc2")
AFFINITY = KeyRouteAffinity.any_write(partition_keys={"users": "id"})
PAUSE = 0.2  # seconds between the writes of one key
KEYS = [f"key {number}" for number in range(12)]
OPTIONS = {"routing_scope": DC1.with_fallback(DC2), "key_route_affinity": AFFINITY}


@pytest.fixture
async def nodes():
    """10.0.0.1 to .3 in dc1, .4 to .6 in dc2."""
    async with ScriptedNodes(topology=TOPOLOGY) as scripted:
        yield scripted


async def put(client, key):
    await client.put_item(TableName="users", Item={"id": {"S": key}})


async def write_on(client, key, pause):
    while True:
        await put(client, key)
        await trio.sleep(pause)


def keys_in(requests):
    """Each write, and its key."""
    writes = (request for request in requests if request.operation == "PutItem")
    return [(request, json.loads(request.body)["Item"]["id"]["S"]) for request in writes]


def reached(requests):
    """The hosts that the writes of each key reached."""
    hosts = collections.defaultdict(set)
    for request, key in keys_in(requests):
        hosts[key].add(request.host)
    return dict(hosts)


def determined(client, dead=()):
    """The only host of each key in the ring in force."""
    return {key: {next(node.host for node in order_over(client.nodes(), key) if node.host not in dead)} for key in KEYS}


async def seen_in(nodes, seconds):
    """Where writes go in the next seconds."""
    del nodes.requests[:]
    await trio.sleep(seconds)
    return reached(nodes.requests)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a2_every_key_has_one_node_in_every_phase(autojump_clock, nodes, how):
    """The datacenter leaves in order, or dies and stays listed: at home, abroad, and at home again; no write fails."""
    # One write per key at a time is too little traffic for ten failures in a row before attempts run out.
    health = NodeHealth(active_failure=2)
    async with nodes.open_client(node_health=health, **OPTIONS) as client, trio.open_nursery() as nursery:
        await client.refresh()
        for key in KEYS:
            nursery.start_soon(write_on, client, key, PAUSE)
        await trio.sleep(1)
        at_home = determined(client)
        assert await seen_in(nodes, 3) == at_home
        for node in list(nodes)[:3]:
            getattr(node, how)()
        await trio.sleep(1.5)
        assert client.routing_scope == DC2
        assert await seen_in(nodes, 20) == determined(client)
        for node in list(nodes)[:3]:
            node.start()
        await trio.sleep(5)
        assert client.routing_scope == DC1
        assert await seen_in(nodes, 3) == determined(client) == at_home
        assert client.statistics().failed == 0
        nursery.cancel_scope.cancel()


async def test_a2_a_part_of_the_scope_goes_away(autojump_clock, nodes):
    """One node of three dies: its keys go to the next of their order, the others stay; then all is as before."""
    async with nodes.open_client(node_health=NodeHealth(), **OPTIONS) as client, trio.open_nursery() as nursery:
        await client.refresh()
        for key in KEYS:
            nursery.start_soon(write_on, client, key, PAUSE)
        await trio.sleep(1)
        nodes[1].kill()
        await trio.sleep(2)
        assert client.routing_scope == DC1
        assert await seen_in(nodes, 5) == determined(client, dead=[nodes[1].host])
        nodes[1].start()
        await trio.sleep(9)
        assert await seen_in(nodes, 3) == determined(client)
        assert client.statistics().failed == 0
        nursery.cancel_scope.cancel()


async def test_a2_it_comes_back_node_by_node(autojump_clock, nodes):
    """The first active node of dc1 takes all keys home; each further one its own of them."""
    health = NodeHealth(active_failure=2)
    async with nodes.open_client(node_health=health, **OPTIONS) as client, trio.open_nursery() as nursery:
        await client.refresh()
        for key in KEYS:
            nursery.start_soon(write_on, client, key, PAUSE)
        await trio.sleep(1)
        dead = [node.host for node in list(nodes)[:3]]
        for host in dead:
            nodes[host].kill()
        await trio.sleep(10)
        assert client.routing_scope == DC2
        for host in list(dead):
            nodes[host].accept()
            dead.remove(host)
            await trio.sleep(31)
            assert client.routing_scope == DC1
            assert await seen_in(nodes, 3) == determined(client, dead=dead)
        assert client.statistics().failed == 0
        nursery.cancel_scope.cancel()


async def test_a2_two_clients_agree_in_every_phase(autojump_clock, nodes):
    """Opened with other seeds and other randomness; compared write by write."""
    async with (
        nodes.open_client(nodes[4].url, nodes[0].url, seed=1, **OPTIONS) as one,
        nodes.open_client(*reversed(nodes.seeds), seed=2, **OPTIONS) as other,
    ):
        for stopped in ((), (0, 1, 2), (1,), ()):
            for place, node in enumerate(list(nodes)):
                (node.stop if place in stopped else node.start)()
            hosts = []
            for client in (one, other):
                await client.refresh()
                del nodes.requests[:]
                for key in KEYS:
                    await put(client, key)
                hosts.append(reached(nodes.requests))
            assert hosts[0] == hosts[1] == determined(one)


async def in_force(client, scope):
    """Wait until a scope is in force and settled; how long that took, in seconds."""
    began = trio.current_time()
    with trio.fail_after(10):
        while client.routing_scope != scope or any(
            client.node_health()[node.endpoint].state != "ACTIVE" for node in client.nodes()
        ):
            await trio.sleep(0.01)
    took = trio.current_time() - began
    await trio.sleep(0.1)  # for writes that were under way
    return took


async def seen_on_the_wire(cluster, seconds):
    """Where writes go in the next seconds."""
    for node in cluster.nodes:
        node.clear_requests()
    await trio.sleep(seconds)
    hosts = collections.defaultdict(set)
    for node in cluster.nodes:
        for _, key in keys_in(node.requests):
            hosts[key].add(node.address)
    return dict(hosts)


async def test_a2_wire_every_key_has_one_node_in_every_phase(engine):
    """Over TCP, through the proxy: dc1 stops under writes and is started again, and gets them back within seconds."""
    async with LocalCluster(topology=TOPOLOGY, engine=engine) as cluster, CountingProxy(cluster.seeds) as proxy:
        async with open_alternator(*proxy.seeds, active_interval=0.1, **OPTIONS) as client:
            await in_force(client, DC1)
            async with trio.open_nursery() as nursery:
                for key in KEYS:
                    nursery.start_soon(write_on, client, key, 0.02)
                at_home = determined(client)
                for scope in (DC1, DC2, DC1):
                    for node in cluster.nodes[:3]:
                        (node.stop if scope == DC2 else node.start)()
                    assert await in_force(client, scope) < 5
                    assert await seen_on_the_wire(cluster, 0.3) == determined(client)
                assert determined(client) == at_home
                assert client.statistics().failed == 0
                nursery.cancel_scope.cancel()


async def test_a2_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled while the scope changes back and forth under writes: nothing is left."""

    async def scenario():
        for node in nodes:
            node.start()
        health = NodeHealth(active_failure=2)
        async with nodes.open_client(node_health=health, **OPTIONS) as client, trio.open_nursery() as nursery:
            for key in KEYS[:4]:
                nursery.start_soon(write_on, client, key, PAUSE)
            await trio.sleep(1)
            for node in list(nodes)[:3]:
                node.kill()
            await trio.sleep(1)
            for node in list(nodes)[:3]:
                node.start()
            await trio.sleep(2)
            assert client.routing_scope == DC1
            nursery.cancel_scope.cancel()

    await cancel_in_the_middle(scenario, nodes, moments=10)


async def test_a2_wire_cancelled_in_the_middle(engine):
    """The same over TCP: no connection is left at any node."""
    async with LocalCluster(topology=TOPOLOGY, engine=engine) as cluster:

        async def scenario():
            for node in cluster.nodes:
                node.start()
            async with open_alternator(*cluster.seeds, **OPTIONS) as client:
                for change in ("start", "stop", "start"):
                    for node in cluster.nodes[:3]:
                        getattr(node, change)()
                    await client.refresh()
                    for key in KEYS:
                        await put(client, key)

        await cancel_in_the_middle(scenario, *cluster.nodes)

"""Shares of the traffic: what a dead node leaves over is spread over all others, and it gets its own back."""

from __future__ import annotations

import collections
import itertools

import pytest
import trio

from alternator_trio import NodeHealth, PoolTimeoutError, open_alternator
from alternator_trio.testing import LocalCluster
from tests.routing.world import all_active, bring_down, crowd, get, host, served
from tests.scripted_nodes import ScriptedNodes
from tests.users import KEY, USERS
from tests.waiting import all_active as all_active_now

REQUESTS = 3000
TASKS = 32


async def get_many(client, count=REQUESTS, tasks=TASKS):
    """So many requests, from so many tasks."""
    turns = itertools.count(1)

    async def get_on():
        while next(turns) <= count:
            await get(client)

    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(get_on)


def spread(served, dead):
    """How far apart the shares of the nodes that live are, as a part of their mean."""
    shares = collections.Counter(served)
    assert not shares.pop(dead, 0)
    assert len(shares) == 3
    return (max(shares.values()) - min(shares.values())) * 3 / shares.total()


@pytest.fixture
async def four():
    async with ScriptedNodes(4) as scripted:
        yield scripted


@pytest.mark.parametrize("dead", [1, 2, 3, 4])
@pytest.mark.parametrize("tasks", [1, TASKS])
async def test_a_node_that_is_down_leaves_its_share_to_all(autojump_clock, four, dead, tasks):
    """One of four is down: the shares of the others differ by less than 5 %, one request at a time or many."""
    async with four.open_client(node_health=NodeHealth()) as client:
        await all_active(client)
        await bring_down(four, client, dead)
        del four.requests[:]
        await get_many(client, tasks=tasks)
    assert spread(served(four), dead) < 0.05


@pytest.mark.parametrize("dead", [1, 4])
async def test_without_health_its_share_is_spread_as_well(autojump_clock, four, dead):
    """Every fourth request fails there first, and goes on to any of the others."""
    async with four.open_client(discovery=False) as client:
        four[host(dead)].kill()
        await get_many(client, tasks=1)
        assert client.statistics().retries == REQUESTS // 4
    assert spread(served(four), dead) < 0.10


async def test_it_gets_its_share_back(autojump_clock, four):
    """Active again, it is one of four; nobody has more than 5 % above another."""
    async with four.open_client(node_health=NodeHealth()) as client:
        await all_active(client)
        await bring_down(four, client, 2)
        four[host(2)].accept()
        await trio.sleep(2)
        del four.requests[:]
        await get_many(client)
    shares = collections.Counter(served(four)).values()
    assert (len(shares), max(shares) - min(shares) < 0.05 * REQUESTS / 4) == (4, True)


async def test_a_crowd_before_full_pools_marks_nobody(autojump_clock, four):
    """Four connections for two hundred requests of which most give up: all nodes stay active, with nothing noted."""
    options = {"max_connections_per_node": 1, "acquire_timeout": 0.25}
    async with four.open_client(node_health=NodeHealth(), **options) as client:
        await all_active(client)
        for node in four:
            node.delay = 0.1
        errors = await crowd(client, 200)
        assert {type(error) for error in errors} == {PoolTimeoutError}
        assert len(errors) > 150
        assert {(status.state, status.failures) for status in client.node_health().values()} == {("ACTIVE", 0)}


# On real sockets.


def counted(cluster):
    return collections.Counter(
        {
            number: len([1 for request in node.requests if request.operation])
            for number, node in enumerate(cluster.nodes)
        }
    )


async def test_on_real_sockets_a_dead_node_leaves_its_share_to_all():
    """Killed and still listed, one of four: thirty-two tasks go on without an error, the others share within 5 %."""
    async with LocalCluster(nodes=4) as cluster, open_alternator(*cluster.seeds) as client:
        await all_active_now(client)
        await client.create_table(**USERS)
        await get_many(client, 100)
        cluster.nodes[1].kill()
        await get_many(client, 200)
        assert client.node_health()[cluster.nodes[1].url].state == "DOWN"
        for node in cluster.nodes:
            node.clear_requests()
        await get_many(client, 2000)
        assert client.statistics().failed == 0
        assert spread(counted(cluster).elements(), dead=1) < 0.05


async def test_on_real_sockets_a_node_restarted_under_load_is_back_within_five_seconds():
    """Thirty-two in flight; killed, and started a second and a half later: no error, and traffic soon after."""
    async with LocalCluster(nodes=3) as cluster, open_alternator(*cluster.seeds) as client:
        await all_active_now(client)
        await client.create_table(**USERS)
        victim = cluster.nodes[1]

        async def load():
            while True:
                await client.get_item(TableName="users", Key=KEY)
                await trio.sleep(0.02)  # the machine is for others, too

        async with trio.open_nursery() as nursery:
            for _ in range(TASKS):
                nursery.start_soon(load)
            await trio.sleep(0.2)
            victim.kill()
            await trio.sleep(1.5)
            assert client.node_health()[victim.url].state == "DOWN"
            victim.clear_requests()
            victim.start()
            with trio.fail_after(5):
                while not any(request.operation == "GetItem" for request in victim.requests):
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        assert client.statistics().failed == 0
        assert client.node_health()[victim.url].state == "ACTIVE"

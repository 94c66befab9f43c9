"""C3: while discovery refreshes beside load on all nodes, neither opens connections of its own."""

from __future__ import annotations

import collections

import pytest
import trio

from alternator_trio.client import open_alternator
from tests.scenarios.cancellation import cancel_in_the_middle

REFRESHES = 12
INTERVAL = 0.03
POSTS_AT_LEAST = 60


def received(cluster, method):
    """Per node: how many requests of a method came, and on which connections."""
    return {
        node.address: collections.Counter(one.connection_id for one in node.requests if one.method == method)
        for node in cluster.nodes
    }


def count(cluster, method):
    return sum(connections.total() for connections in received(cluster, method).values())


async def load_until_refreshed(cluster, client, tasks):
    """Write and read until enough refreshes have run beside it; every request must succeed."""
    gets = count(cluster, "GET")
    posts = count(cluster, "POST")

    async def work(number):
        key = {"id": {"S": f"user-{number}"}}
        while count(cluster, "GET") - gets < REFRESHES or count(cluster, "POST") - posts < POSTS_AT_LEAST:
            await client.put_item(TableName="users", Item=key)
            assert (await client.get_item(TableName="users", Key=key))["Item"] == key
            await trio.sleep(INTERVAL / 10)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for number in range(tasks):
                nursery.start_soon(work, number)


@pytest.mark.parametrize("tasks", [1, 6])
async def test_c3_get_and_post_share_one_connection_per_node(cluster, proxy, tasks):
    """Bound to one connection per node, load and a dozen refreshes use exactly one for each of the three nodes."""
    async with open_alternator(*proxy.seeds, active_interval=INTERVAL, max_connections_per_node=1) as client:
        await load_until_refreshed(cluster, client, tasks)
        assert {address: link.connects for address, link in proxy.links.items()} == dict.fromkeys(proxy.links, 1)
        assert proxy.disconnects == 0
        assert client.statistics().failed == 0
    posts, gets = received(cluster, "POST"), received(cluster, "GET")
    assert count(cluster, "GET") >= REFRESHES
    assert count(cluster, "POST") >= POSTS_AT_LEAST
    for address in proxy.links:
        assert posts[address]  # the load was balanced
        assert set(gets[address]) <= set(posts[address])


async def test_c3_without_a_bound_there_are_two_connections_per_node_at_most(cluster, proxy):
    """One request and one refresh at a time never need more than two; probes, which would make it three, are off."""
    async with open_alternator(*proxy.seeds, active_interval=INTERVAL, node_health=None) as client:
        await load_until_refreshed(cluster, client, tasks=1)
        assert all(1 <= link.connects <= 2 for link in proxy.links.values())
        assert proxy.disconnects == 0
    assert count(cluster, "GET") >= REFRESHES


async def test_c3_waiting_requests_outlast_a_refresh_that_takes_the_connection(autojump_clock, nodes):
    """Where the only connection is busy with a slow refresh, a request waits for it instead of failing or dialling."""
    nodes.listed = ["10.0.0.1"]
    nodes[0].delay = 0.4
    async with nodes.open_client(nodes[0].url, max_connections_per_node=1, active_interval=0.5) as client:
        for _ in range(10):
            await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
    assert nodes.connects == 1
    assert len(nodes.requests_of("localnodes")) >= 4
    assert len(nodes.requests_of("GetItem")) == 10


async def test_c3_cancelled_in_the_middle(cluster, proxy):
    """Cancelled amid load and refreshes, whichever holds the connections: all are closed."""

    async def scenario():
        async with open_alternator(*proxy.seeds, active_interval=INTERVAL, max_connections_per_node=1) as client:
            await client.refresh()
            async with trio.open_nursery() as nursery:
                for number in range(4):
                    nursery.start_soon(work, client, number)

    async def work(client, number):
        for _ in range(8):
            await client.put_item(TableName="users", Item={"id": {"S": f"user-{number}"}})
            await trio.sleep(INTERVAL / 5)

    await cancel_in_the_middle(scenario, proxy, *cluster.nodes, moments=10)

"""C2: a connection is used again within its idle lifetime; past it the client closes it and reconnects exactly once."""

from __future__ import annotations

import pytest
import trio

from alternator_trio.client import open_alternator
from alternator_trio.testing import CountingProxy
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.users import KEY

LIFETIME = 0.6  # seconds; generous against pauses of a third, on a busy machine
PAUSE = LIFETIME / 3


class Departures:
    """Tells when the client has closed a connection."""

    def __init__(self):
        self.seen = trio.Event()

    def __call__(self, connection):
        self.seen.set()


@pytest.fixture
def departures():
    return Departures()


@pytest.fixture
async def proxy(cluster, departures):
    async with CountingProxy(cluster.seeds, on_client_disconnect=departures) as running:
        yield running


def idle_client(server, lifetime=LIFETIME):
    """One seed and no discovery: nothing is sent but the test's own requests."""
    return open_alternator(server.seeds[0], discovery=False, idle_connection_lifetime=lifetime)


async def test_c2_reused_within_its_lifetime_and_one_reconnect_past_it(cluster, proxy, departures):
    """Pauses shorter than the lifetime keep the connection; after a longer one, three requests reconnect once."""
    node = cluster.nodes[0]
    async with idle_client(proxy) as client:
        for _ in range(3):
            await client.get_item(TableName="users", Key=KEY)
            await trio.sleep(PAUSE)
        assert (proxy.connects, proxy.disconnects) == (1, 0)
        await client.get_item(TableName="users", Key=KEY)
        with trio.fail_after(10 * LIFETIME):
            await departures.seen.wait()  # closed while idle, by no request: the nodes never close one
        assert client.statistics().connections_idle == 0
        for _ in range(3):
            await client.get_item(TableName="users", Key=KEY)
        assert (proxy.connects, proxy.disconnects) == (2, 1)
    assert len({request.connection_id for request in node.requests}) == 2


async def test_c2_the_client_closes_and_not_the_node(autojump_clock, nodes):
    """At the default lifetime: open after 59 s, closed after 61 s, and the end that closed is the client's."""
    closers = []

    async def dial_and_watch(node):
        wire = await nodes.dial(node)
        count = wire.on_close

        def closed():
            closers.append("node" if wire.peer.is_closed else "client")
            count()

        wire.on_close = closed
        return wire

    async with nodes.open_client(nodes[0].url, dial=dial_and_watch, discovery=False) as client:
        await client.get_item(TableName="users", Key=KEY)
        await trio.sleep(59)
        assert nodes.open_connections == 1
        await client.get_item(TableName="users", Key=KEY)
        assert nodes.connects == 1
        await trio.sleep(61)
        assert (nodes.open_connections, closers) == (0, ["client"])
        for _ in range(3):
            await client.get_item(TableName="users", Key=KEY)
        assert nodes.connects == 2


async def test_c2_idle_connections_expire_one_by_one(autojump_clock, nodes):
    """Of eight connections that were used at once, the one still in use is kept when the others expire."""
    nodes[0].delay = 0.1
    async with nodes.open_client(nodes[0].url, discovery=False) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(lambda: client.get_item(TableName="users", Key=KEY))
        assert nodes.connects == 8
        for _ in range(4):
            await trio.sleep(20)
            await client.get_item(TableName="users", Key=KEY)
        assert (nodes.connects, nodes.open_connections) == (8, 1)


async def test_c2_cancelled_in_the_middle(cluster, proxy):
    """Cancelled while it is used, while it idles, after it expired or while it reconnects: no connection is left."""
    node = cluster.nodes[0]

    async def scenario():
        node.clear_requests()
        async with idle_client(proxy, lifetime=0.05) as client:
            for _ in range(3):
                await client.get_item(TableName="users", Key=KEY)
                while client.statistics().connections_idle:  # nothing tells
                    await trio.sleep(0.01)
            assert len({request.connection_id for request in node.requests}) == 3

    await cancel_in_the_middle(scenario, proxy, *cluster.nodes, moments=10)

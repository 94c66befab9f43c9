"""T3: after discovery over https, requests reach every discovered node over https, each verified for itself."""

from __future__ import annotations

import pytest

from alternator_trio.client import open_alternator
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.waiting import all_active


def key(number):
    return {"id": {"S": f"user-{number}"}}


@pytest.fixture
async def good_and_impostor(https_cluster):
    """Two nodes with one certificate, which is for the first one's address."""
    async with https_cluster("127.0.0.1", nodes=2) as running:
        yield running.nodes


async def test_t3_requests_reach_all_discovered_nodes(tls_cluster, tls_proxy, trust):
    """From one seed to three nodes: thirty requests in equal shares, over one connection to each."""
    async with open_alternator(tls_proxy.seeds[0], tls=trust) as client:
        await all_active(client)
        for number in range(30):
            await client.put_item(TableName="users", Item=key(number))
        assert all(link.connects == 1 for link in tls_proxy.links.values())
    shares = [sum(request.method == "POST" for request in node.requests) for node in tls_cluster.nodes]
    assert shares == [10, 10, 10]


async def test_t3_an_impostor_among_the_discovered_gets_nothing(trust, good_and_impostor):
    """One listed node has a certificate for another address: it is passed over, and no byte of a request reaches it."""
    good, impostor = good_and_impostor
    async with open_alternator(good.url, tls=trust) as client:
        await client.refresh()
        assert {node.host for node in client.nodes()} == {good.address, impostor.address}
        for number in range(10):
            await client.put_item(TableName="users", Item=key(number))
        assert client.statistics().failed == 0
    assert not impostor.requests
    assert sum(request.method == "POST" for request in good.requests) == 10


async def test_t3_cancelled_in_the_middle(tls_cluster, tls_proxy, trust):
    """Cancelled while requests go to nodes in handshakes and to those connected: no connection is left."""

    async def scenario():
        async with open_alternator(tls_proxy.seeds[0], tls=trust) as client:
            await client.refresh()
            for number in range(9):
                await client.put_item(TableName="users", Item=key(number))

    await cancel_in_the_middle(scenario, tls_proxy, *tls_cluster.nodes)

"""C1: many sequential requests to one node go over one long-lived connection."""

from __future__ import annotations

import pytest

from alternator_trio._service_errors import ResourceNotFoundException
from alternator_trio.client import open_alternator
from alternator_trio.testing import CountingProxy
from tests.scenarios.cancellation import cancel_in_the_middle

REQUESTS = 300


def item(number: int) -> dict:
    return {"id": {"S": f"user-{number}"}, "n": {"N": str(number)}}


@pytest.fixture
async def single(cluster):
    """A proxy before one node, which is then all that the client ever hears of."""
    for node in cluster.nodes[1:]:
        node.stop()
    async with CountingProxy(cluster.seeds[:1]) as proxy:
        yield proxy


async def send_many(client, count=REQUESTS):
    for number in range(0, count, 2):
        await client.put_item(TableName="users", Item=item(number))
        answer = await client.get_item(TableName="users", Key={"id": {"S": f"user-{number}"}})
        assert answer["Item"] == item(number)


async def test_c1_one_connection_for_all_requests(cluster, single):
    """Without discovery 300 requests, writes and reads in turns, make one connection; leaving the block ends it."""
    async with open_alternator(*single.seeds, discovery=False) as client:
        await send_many(client)
        assert (single.connects, single.disconnects) == (1, 0)
    assert len({request.connection_id for request in cluster.nodes[0].requests}) == 1
    assert len(cluster.nodes[0].requests) == REQUESTS


async def test_c1_discovery_shares_the_connection(cluster, single):
    """With discovery, a refresh having gone before, it is still one connection: the refresh uses it too."""
    async with open_alternator(*single.seeds) as client:
        await client.refresh()
        await send_many(client)
        assert single.connects == 1
    assert len({request.connection_id for request in cluster.nodes[0].requests}) == 1


async def test_c1_discovery_beside_the_first_request_costs_one_more_at_most(single):
    """A first request that does not wait for the first refresh goes beside it: two connections, however many follow."""
    async with open_alternator(*single.seeds, active_interval=0.05) as client:
        await send_many(client)
        assert single.connects <= 2
        assert single.disconnects == 0


async def test_c1_errors_of_the_service_keep_the_connection(single):
    """An answer that is an error is a complete exchange: the next request takes the same connection."""
    async with open_alternator(*single.seeds, discovery=False) as client:
        for _ in range(20):
            with pytest.raises(ResourceNotFoundException):
                await client.get_item(TableName="nowhere", Key={"id": {"S": "ada"}})
        await send_many(client, 20)
        assert single.connects == 1


async def test_c1_cancelled_in_the_middle(cluster, single):
    """Wherever in sixty requests the block is cancelled, its connection is gone with it."""
    node = cluster.nodes[0]

    async def scenario():
        node.clear_requests()
        async with open_alternator(*single.seeds) as client:
            await client.refresh()
            await send_many(client, 60)
            assert len({request.connection_id for request in node.requests}) == 1

    await cancel_in_the_middle(scenario, single, node)

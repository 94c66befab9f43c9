"""Five thousand requests cancelled through the httpx transport: afterwards 20 of 20 succeed, and the counts add up."""

from __future__ import annotations

import contextlib

import httpx
import pytest
import trio

from alternator_trio import open_alternator
from alternator_trio.testing import LocalCluster
from tests.client.conftest import create_table
from tests.client.test_cancel_storm import CONNECTIONS, Storm, cancel_in_ticks, is_at_rest, settled
from tests.http2_node import http2_node


@contextlib.asynccontextmanager
async def storm_over(seeds, cancelled, **options):
    """Rounds until so many have been cancelled; then 20 requests, one after another."""
    async with open_alternator(*seeds, max_connections=CONNECTIONS, **options) as client:
        with contextlib.suppress(Exception):  # another storm's table
            await create_table(client)
        storm = Storm(client, seed=1)
        while storm.cancelled < cancelled:
            await storm.round()
        assert await settled(lambda: is_at_rest(client.statistics()))
        succeeded = 0
        with trio.fail_after(10):
            for turn in range(20):
                await client.put_item(TableName="users", Item={"id": {"S": f"after-{turn}"}})
                succeeded += 1
        assert succeeded == 20
        now = client.statistics()
        assert not any(now.connections_by_node.values())
        yield storm


@pytest.mark.parametrize(("whose", "cancelled"), [("ours", 5000), ("the user's", 1000)])
async def test_a_storm_over_http_1(whose, cancelled) -> None:
    """Over our own connections, and over a client that bounds itself to fewer than we let through."""
    async with LocalCluster(nodes=3, record_requests=False) as cluster:
        limits = httpx.Limits(max_connections=CONNECTIONS // 2)
        async with httpx.AsyncClient(limits=limits, trust_env=False) as mine:
            async with storm_over(cluster.seeds, cancelled, transport="httpx" if whose == "ours" else mine) as storm:
                assert storm.succeeded > cancelled // 10  # the client worked through it
        assert await settled(lambda: not any(node.open_connections for node in cluster.nodes))


async def test_a_storm_over_http_2(authority, trust) -> None:
    """All of it on a handful of connections: a cancellation costs none."""
    async with http2_node(authority) as node:
        async with storm_over([node.url], 2000, transport="httpx", tls=trust, discovery=False) as storm:
            assert storm.succeeded > 200
        assert set(node.versions) == {"2"}
        assert len(set(node.connections)) == 1


async def test_in_every_tick_of_their_way() -> None:
    """Fifty at once, all cancelled in the n-th tick, for many n: nothing is leased afterwards, the next succeed."""
    async with LocalCluster(nodes=3, record_requests=False) as cluster:
        async with open_alternator(*cluster.seeds, transport="httpx", max_connections=CONNECTIONS) as client:
            await create_table(client)
            await client.refresh()
            await cancel_in_ticks(client, range(0, 80, 4))
        assert await settled(lambda: not any(node.open_connections for node in cluster.nodes))

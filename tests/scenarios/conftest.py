"""What the scenarios run against: a cluster on real sockets behind a counting proxy, or scripted nodes in memory."""

from __future__ import annotations

import pytest

from alternator_trio.client import open_alternator
from alternator_trio.testing import CountingProxy, LocalCluster
from tests.scripted_nodes import ScriptedNodes

USERS = {
    "TableName": "users",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture
async def cluster():
    """Three nodes with a table ``users``, made past the proxy and off the record."""
    async with LocalCluster(nodes=3) as running:
        async with open_alternator(*running.seeds, discovery=False) as client:
            await client.create_table(**USERS)
        for node in running.nodes:
            node.clear_requests()
        yield running


@pytest.fixture
async def proxy(cluster):
    """A counting proxy before every node of the cluster."""
    async with CountingProxy(cluster.seeds) as running:
        yield running


@pytest.fixture
async def nodes():
    """Three scripted nodes, 10.0.0.1 to 10.0.0.3; tests that take them take ``autojump_clock`` as well."""
    async with ScriptedNodes(3) as scripted:
        yield scripted

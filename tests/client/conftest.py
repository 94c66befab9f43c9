"""A cluster of three nodes with a table, and a client of it; an authority, and a context that trusts it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator

import pytest
import trustme

from alternator_trio import Client, open_alternator
from alternator_trio.testing import LocalCluster
from tests.certificates import client_context
from tests.users import USERS
from tests.waiting import all_active


@pytest.fixture
async def cluster() -> AsyncGenerator[LocalCluster, None]:
    async with LocalCluster(nodes=3) as cluster, open_alternator(*cluster.seeds) as client:
        await create_table(client)
        await client.refresh()
        for node in cluster.nodes:
            node.clear_requests()
        yield cluster


@pytest.fixture
async def client(cluster: LocalCluster) -> AsyncGenerator[Client, None]:
    async with open_alternator(*cluster.seeds) as client:
        await all_active(client)
        yield client


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    return client_context(authority)


async def create_table(client: Client) -> None:
    await client.create_table(**USERS)

"""What the scenarios run against: a cluster on real sockets behind a counting proxy, or scripted nodes in memory."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest
import trio
import trustme

from alternator_trio.testing import CountingProxy, LocalCluster, MinistackEngine
from tests.certificates import client_context, server_context
from tests.scenarios.lookups import LookupTasks
from tests.scripted_nodes import ScriptedNodes
from tests.users import USERS


@pytest.fixture
async def engine():
    """A store with a table ``users``, made past the nodes and so off their record."""
    store = MinistackEngine()
    status, _ = await store.execute("CreateTable", json.dumps(USERS).encode())
    assert status == 200
    yield store
    await store.aclose()


@pytest.fixture
async def cluster(engine):
    """Three nodes."""
    async with LocalCluster(nodes=3, engine=engine) as running:
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


@pytest.fixture
def authority():
    """A private certificate authority."""
    return trustme.CA()


@pytest.fixture
def trust(authority):
    """A client's context that trusts it, and nobody else."""
    return client_context(authority)


@pytest.fixture
def https_cluster(authority, engine):
    """Opens a cluster of https nodes, all of which present one certificate, for the given names."""

    @asynccontextmanager
    async def opened(*names, nodes):
        async with LocalCluster(nodes=nodes, engine=engine, tls=server_context(authority, *names)) as running:
            yield running

    return opened


@pytest.fixture
async def tls_cluster(https_cluster):
    """Three https nodes that can prove who they are at all their addresses."""
    async with https_cluster("127.0.0.1", "127.0.0.2", "127.0.0.3", nodes=3) as running:
        yield running


@pytest.fixture
async def tls_proxy(tls_cluster):
    """A counting proxy before every https node; it carries TLS unread."""
    async with CountingProxy(tls_cluster.seeds) as running:
        yield running


@pytest.fixture
async def tasks():
    """Counts the resolver's lookup tasks."""
    counter = LookupTasks()
    trio.lowlevel.add_instrument(counter)
    yield counter
    trio.lowlevel.remove_instrument(counter)

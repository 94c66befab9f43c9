"""Hostile servers on real connections: what the kernel and TLS do to a client is in no memory stream."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc

import pytest
import trio

from alternator_trio import DiscoveryError
from alternator_trio.client import Client
from tests.hostile.conftest import Contexts, open_on_sockets
from tests.hostile.judging import ask, assert_next_is_right, assert_outcome
from tests.hostile.rows import DISCOVERY, ROWS, TLS, Row

PLAIN = [row for row in ROWS if row.kind not in {"tls", "discovery"}]
LARGE = [row for row in ROWS if row.large]
PATIENCE = 0.2  # seconds; only timeouts end some rows


@pytest.mark.parametrize("row", PLAIN, ids=[row.name for row in PLAIN])
async def test_a_hostile_server_spoils_nothing_but_its_answer(row):
    """The outcome is the row's, and the requests after it get their own answers, over connections not in doubt."""
    async with open_on_sockets(row) as (client, server):
        (node,) = client.nodes()
        assert_outcome(row, await ask(patient(client, row), row), str(node))
        await assert_next_is_right(client, row, server)
        assert not server.dialled


@pytest.mark.parametrize("row", TLS, ids=[row.name for row in TLS])
async def test_tls_that_stalls_or_breaks_off(contexts: Contexts, row: Row):
    """A handshake ends within the connect timeout, and a connection that is cut is never an answer's end."""
    connect_timeout = PATIENCE if row.slow and not row.handshake else 10.0
    async with open_on_sockets(row, tls=contexts, connect_timeout=connect_timeout) as (client, server):
        (node,) = client.nodes()
        assert_outcome(row, await ask(patient(client, row) if row.handshake else client, row), str(node))
        if row.handshake:
            await assert_next_is_right(client, row, server)


@pytest.mark.parametrize("row", DISCOVERY, ids=[row.name for row in DISCOVERY])
async def test_a_hostile_list_costs_no_request_and_leads_nowhere(row: Row):
    """Before and after a refresh requests are answered, and nobody is dialled but who listens."""
    async with open_on_sockets(row, discovery=True) as (client, server):
        for server.turn in range(1, 4):
            await refresh(client, row)
            for _ in row.hosts:
                assert_outcome(row, await ask(client, row), "")
            assert not server.left_open()
        assert {node.host for node in client.nodes()} <= set(row.hosts)
        assert not server.dialled


@pytest.mark.parametrize("row", LARGE, ids=[row.name for row in LARGE])
async def test_what_a_server_sends_without_end_takes_bounded_memory(row):
    """With answers of at most 1 MiB no server makes the client, and the server beside it, hold more than a few."""
    is_list = row.kind == "discovery"
    async with open_on_sockets(row, max_response_bytes=2**20, discovery=is_list) as (client, server):
        provoke = refresh if is_list else ask
        await provoke(client, row)  # payloads are made, modules loaded
        server.calm = True
        await client.get_item(TableName="calm", Key={"id": {"S": "a"}})
        server.calm = False
        gc.collect()
        tracemalloc.start()
        try:
            await provoke(client, row)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 * 2**20


def patient(client: Client, row: Row) -> Client:
    """The client, with as much patience as a row needs."""
    return client.with_options(attempt_timeout=PATIENCE) if row.slow else client


async def refresh(client: Client, row: Row) -> None:
    """Ask for a list, and do not wait for one that never comes."""
    with contextlib.suppress(DiscoveryError), trio.move_on_after(PATIENCE if row.slow else 10.0):
        await client.refresh()

"""Hostile servers on real connections: what the kernel and TLS do to a client is in no memory stream."""

from __future__ import annotations

import gc
import ssl
import tracemalloc

import pytest
import trustme

from tests.hostile.conftest import open_on_sockets
from tests.hostile.judging import ask, assert_next_is_right, assert_outcome
from tests.hostile.rows import DATA, TLS

QUICK = [row for row in DATA if not row.slow]
LARGE = [row for row in DATA if row.large]
PATIENCE = 0.2  # seconds; only timeouts end some rows


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.mark.parametrize("row", QUICK, ids=[row.name for row in QUICK])
async def test_a_hostile_server_spoils_nothing_but_its_answer(row):
    """The outcome is the row's, and the requests after it get their own answers, over connections not in doubt."""
    async with open_on_sockets(row) as (client, server):
        (node,) = client.nodes()
        assert_outcome(row, await ask(client, row), str(node))
        await assert_next_is_right(client, row, server)


@pytest.mark.parametrize("row", TLS, ids=[row.name for row in TLS])
async def test_tls_that_stalls_or_breaks_off(ca, row):
    """A handshake ends within the connect timeout, and a connection that is cut is never an answer's end."""
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(served)
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    patience = PATIENCE if row.slow else 10.0
    async with open_on_sockets(row, certificates=served, tls=trusting, connect_timeout=patience) as (client, server):
        (node,) = client.nodes()
        outcome = await ask(client, row)
        if not row.handshake:
            assert_outcome(row, outcome, str(node))
            return
        assert_outcome(row, outcome, str(node))
        await assert_next_is_right(client, row, server)


@pytest.mark.parametrize("row", LARGE, ids=[row.name for row in LARGE])
async def test_what_a_server_sends_without_end_takes_bounded_memory(row):
    """With answers of at most 1 MiB no server makes the client, and the server beside it, hold more than a few."""
    async with open_on_sockets(row, max_response_bytes=2**20) as (client, server):
        await ask(client, row)  # payloads are made, modules loaded
        server.calm = True
        await client.get_item(TableName="calm", Key={"id": {"S": "a"}})
        server.calm = False
        gc.collect()
        tracemalloc.start()
        try:
            await ask(client, row)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 * 2**20

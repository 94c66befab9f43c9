"""Hostile servers over the httpx transport: h11 reads the answers there, and httpcore keeps the connections.

What it reads more leniently than the native transport is listed here; see docs/transports.md.
"""

from __future__ import annotations

import pytest

from alternator_trio import AlternatorError
from tests.hostile.conftest import Contexts, open_on_sockets
from tests.hostile.judging import ask, assert_next_is_right
from tests.hostile.rows import DATA, ROWS, Row

PATIENCE = 1.0  # seconds; only that ends interim answers without end, and bytes that never become a line of HTTP
BRIEF = 0.3  # seconds; only that ends the rows which are slow by themselves
PLAYED = [row for row in ROWS if row.kind != "discovery"]
LENIENT = {"length and chunked"}
FAIR = [row for row in DATA if not row.slow and row.name != "answer before the request" and row.ours != "ProtocolError"]


@pytest.mark.parametrize("row", PLAYED, ids=[row.name for row in PLAYED])
async def test_the_outcome_is_the_item_or_an_error_that_names_the_node(contexts: Contexts, row: Row):
    """An answer that is an error's is never taken for a result."""
    options = {"attempt_timeout": BRIEF if row.slow else PATIENCE, "tls": contexts if row.kind == "tls" else None}
    async with open_on_sockets(row, transport="httpx", **options) as (client, _):
        (node,) = client.nodes()
        outcome = await ask(client, row)
        if isinstance(outcome, AlternatorError):
            assert str(node) in str(outcome)
        else:
            assert row.requires != "error" or row.name in LENIENT
            assert row.kind in {"pages", "batch"} or outcome["Item"] == {"id": {"S": "hostile"}}


@pytest.mark.parametrize("row", FAIR, ids=[row.name for row in FAIR])
async def test_the_next_request_is_answered_right(row):
    """As over the native transport, where nothing follows an answer at once."""
    async with open_on_sockets(row, transport="httpx", attempt_timeout=PATIENCE) as (client, server):
        await ask(client, row)
        await assert_next_is_right(client, row, server)

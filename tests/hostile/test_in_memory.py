"""Every hostile server against this client, in memory and under the virtual clock: errors, deadlines, connections."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import AlternatorError
from tests.hostile.conftest import Contexts, open_in_memory
from tests.hostile.judging import ask, assert_next_is_right, assert_outcome
from tests.hostile.rows import DATA, ROWS, TLS, Row

NODE = "http://127.0.0.1:8000"
SECURED = "https://127.0.0.1:8000"
ROWS_IN_MEMORY = [row for row in ROWS if row.kind not in {"tls", "discovery"}]
UNREADABLE = [row for row in DATA if row.ours and row.ours not in {"?", "UnknownServiceError"}]
named = pytest.mark.parametrize("row", ROWS_IN_MEMORY, ids=[row.name for row in ROWS_IN_MEMORY])


@named
async def test_the_outcome_is_the_item_or_an_error_that_names_the_node(autojump_clock, row):
    """Each row ends as its table says, within the attempt's timeout and not before it where only that ends it."""
    async with open_in_memory(row, attempt_timeout=12.0) as (client, _):
        began = trio.current_time()
        outcome = await ask(client, row)
        assert_outcome(row, outcome, NODE)
        assert trio.current_time() - began == pytest.approx(12.0 if row.slow else 0.0)


@named
async def test_the_next_request_is_answered_right(autojump_clock, row):
    """A connection that is in doubt is not used again, and no answer is taken for another's."""
    async with open_in_memory(row) as (client, server):
        await ask(client, row)
        await assert_next_is_right(client, row, server)


@pytest.mark.parametrize("row", TLS, ids=[row.name for row in TLS])
async def test_tls_that_stalls_or_breaks_off(autojump_clock, contexts: Contexts, row: Row):
    """A handshake ends within the connect timeout, an answer within the attempt's, and a cut is never its end."""
    async with open_in_memory(row, tls=contexts, connect_timeout=3.0, attempt_timeout=12.0) as (client, server):
        began = trio.current_time()
        outcome = await ask(client, row)
        assert_outcome(row, outcome, SECURED)
        waited = (12.0 if row.handshake else 3.0) if row.slow else 0.0
        assert trio.current_time() - began == pytest.approx(waited)
        if row.handshake:
            await assert_next_is_right(client, row, server)


@pytest.mark.parametrize("row", ROWS_IN_MEMORY[-2:], ids=[row.name for row in ROWS_IN_MEMORY[-2:]])
async def test_nothing_is_asked_for_again_and_again(autojump_clock, row):
    """What a server never finishes is told to the caller, and not asked for without end."""
    async with open_in_memory(row) as (client, server):
        await ask(client, row)
        assert len(server.operations()) == 1


@pytest.mark.parametrize("row", UNREADABLE, ids=[row.name for row in UNREADABLE])
async def test_a_write_that_was_answered_so_may_have_happened(autojump_clock, row):
    """A node that received a write, and did not refuse it in words, may have carried it out, and the error says so."""
    async with open_in_memory(row) as (client, _):
        with pytest.raises(AlternatorError) as caught:
            await client.put_item(TableName="hostile", Item={"id": {"S": "a"}})
        assert caught.value.may_have_happened

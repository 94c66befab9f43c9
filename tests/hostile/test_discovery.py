"""Hostile node lists: requests go on, nobody is dialled who should not be, and who asks is told which node and why."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import DiscoveryError
from tests.hostile.conftest import open_in_memory
from tests.hostile.judging import ask, assert_outcome
from tests.hostile.rows import DISCOVERY, Row, row_named

NODE = "http://127.0.0.1:8000"
FLAPPING = row_named("/localnodes: flapping")
USABLE = {"/localnodes: CRLF", "/localnodes: hostile addresses", FLAPPING.name}
"""Lists with a good entry, perhaps among bad ones."""


@pytest.mark.parametrize("row", DISCOVERY, ids=[row.name for row in DISCOVERY])
async def test_requests_go_on_and_nobody_else_is_dialled(autojump_clock, row):
    """Whatever the list says, requests are answered, before and after it, by the nodes that there are."""
    async with open_in_memory(row, discovery=True, active_interval=0.5) as (client, server):
        for server.turn in range(5):
            assert_outcome(row, await ask(client, row), NODE)
            await trio.sleep(1.0)
        assert client.nodes()
        assert {str(node) for node in client.nodes()} <= endpoints_of(row)
        assert server.dialled <= endpoints_of(row)


@pytest.mark.parametrize("row", DISCOVERY, ids=[row.name for row in DISCOVERY])
async def test_a_refresh_names_the_node_and_the_reason(autojump_clock, row):
    """It ends within five seconds, with the good entries or with what was wrong with the list."""
    async with open_in_memory(row, discovery=True) as (client, _):
        with trio.fail_after(5.01):
            if row.name in USABLE:
                await client.refresh()
                return
            with pytest.raises(DiscoveryError) as caught:
                await client.refresh()
        assert caught.value.failures
        assert {candidate for candidate, _ in caught.value.failures} <= {NODE, "cluster"}
        assert len(str(caught.value)) < 1000


async def test_flapping_lists_leave_no_connections_behind(autojump_clock):
    """Of two lists that take turns each is taken whole, and connections to nodes that left are closed, each time."""
    async with open_in_memory(FLAPPING, discovery=True) as (client, server):
        for server.turn in range(1, 50):
            nodes = await client.refresh()
            assert {node.host for node in nodes} == {*FLAPPING.lists[server.turn % 2]}
            for _ in nodes:
                assert_outcome(FLAPPING, await ask(client, FLAPPING), NODE)
            assert server.open.total() >= len(nodes)
            assert not server.left_open()


def endpoints_of(row: Row) -> set[str]:
    return {f"http://{host}:8000" for host in row.hosts}

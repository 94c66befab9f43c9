"""Hostile node lists: requests go on, nobody is dialled who should not be, and who asks is told which node and why."""

from __future__ import annotations

import json

import pytest
import trio

from alternator_trio import DiscoveryError
from tests.hostile.conftest import open_in_memory
from tests.hostile.judging import ask, assert_outcome
from tests.hostile.rows import DISCOVERY, Row, whole
from tests.hostile.steps import Send

NODE = "http://127.0.0.1:8000"
USABLE = {"/localnodes: CRLF", "/localnodes: hostile addresses"}
"""Lists with one good entry among the bad ones."""


@pytest.mark.parametrize("row", DISCOVERY, ids=[row.name for row in DISCOVERY])
async def test_requests_go_on_and_nobody_else_is_dialled(autojump_clock, row):
    """Whatever the list says, requests are answered, before and after it, by the one node that there is."""
    async with open_in_memory(row, discovery=True, active_interval=0.5) as (client, server):
        for _ in range(5):
            assert_outcome(row, await ask(client, row), NODE)
            await trio.sleep(1.0)
        assert [str(node) for node in client.nodes()] == [NODE]
        assert server.dialled == {NODE}


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
    """Two lists of twenty nodes that take turns: connections to nodes that left are closed, each time."""
    lists = [[f"10.{number}.0.{host}" for host in range(1, 21)] for number in (1, 2)]
    row = Row(
        name="flapping", does="", kind="discovery", answer=(Send(lambda: whole(json.dumps(lists[turn % 2]).encode())),)
    )
    turn = 0
    async with open_in_memory(row, discovery=True) as (client, server):
        for turn in range(50):
            await client.refresh()
            for _ in range(20):
                assert_outcome(row, await ask(client, row), NODE)
            assert sorted(node.host for node in client.nodes()) == sorted(lists[turn % 2])
            assert server.open_connections <= 21

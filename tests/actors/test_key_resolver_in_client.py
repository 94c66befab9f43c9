"""KeyResolver in its place: one lookup per table on the wire, shared by all who wait, and not lost in a crash."""

from __future__ import annotations

import contextlib

import pytest
import trio
import trio.testing

from alternator_trio import AlternatorError, ClientClosedError, OperationTimeoutError
from alternator_trio._actors.messages import KeyWanted
from alternator_trio.testing import Hang
from tests.scripted_nodes import Late, answer_json

NOT_FOUND = answer_json({"__type": "x#ResourceNotFoundException", "message": "no such table"}, status=400)


def lookups(nodes):
    return len(nodes.requests_of("DescribeTable"))


async def test_many_who_ask_share_one_lookup(autojump_clock, nodes):
    """A hundred tasks need the key of one table: one DescribeTable, and the same name for all."""
    for node in nodes:
        node.fail_next(Late(seconds=0.3), operation="DescribeTable")
    names = []

    async def ask():
        names.append(await client.partition_key("users"))

    async with nodes.open_client() as client, trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(ask)
    assert names == ["id"] * 100
    assert lookups(nodes) == 1


async def test_a_known_name_is_not_looked_up_again(autojump_clock, nodes):
    """The second question is answered from memory."""
    async with nodes.open_client() as client:
        for _ in range(3):
            assert await client.partition_key("users") == "id"
    assert lookups(nodes) == 1


async def test_each_table_has_its_own_lookup(autojump_clock, nodes):
    """Two tables are looked up side by side: the slow one does not hold up the other."""
    nodes.respond = lambda request: answer_json(
        {"Table": {"KeySchema": [{"KeyType": "HASH", "AttributeName": f"key {request.body[-10:]!r}"}]}}
    )
    for node in nodes:
        node.fail_next(Hang(), operation="DescribeTable")
    async with nodes.open_client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.partition_key, "slow")
        await trio.testing.wait_all_tasks_blocked()
        for node in nodes:
            node.clear_faults()
        with trio.fail_after(1):
            await client.partition_key("fast")
        assert lookups(nodes) == 2
        nursery.cancel_scope.cancel()


async def test_who_leaves_takes_nothing_along(autojump_clock, nodes):
    """One waiter is cancelled in mid-lookup: the other gets the name, from the same lookup."""
    for node in nodes:
        node.fail_next(Late(seconds=0.3), operation="DescribeTable")
    async with nodes.open_client() as client, trio.open_nursery() as nursery:
        with trio.move_on_after(0.1):
            nursery.start_soon(client.partition_key, "users")
            await client.partition_key("users")
    assert trio.current_time() == pytest.approx(0.3)
    assert lookups(nodes) == 1


async def test_all_who_wait_are_told_of_a_failure(autojump_clock, nodes):
    """Each gets an error of its own."""
    for node in nodes:
        node.fail_next(NOT_FOUND, times=100, operation="DescribeTable")
    errors = []

    async def ask():
        with pytest.raises(AlternatorError) as caught:
            await client.partition_key("nowhere")
        errors.append(caught.value)

    async with nodes.open_client() as client, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    assert [error.code for error in errors] == ["ResourceNotFoundException"] * 5
    assert len({id(error) for error in errors}) == 5


async def test_one_table_too_many_is_said(autojump_clock, nodes, monkeypatch):
    """Where the resolver has no room for the question, who asks is told so."""
    monkeypatch.setattr(KeyWanted, "limit", 0)
    async with nodes.open_client() as client:
        with pytest.raises(AlternatorError, match="the key of 'users' is not looked up: too many tables at once"):
            await client.partition_key("users")


async def test_a_restart_looks_up_again_for_who_waits(autojump_clock, nodes, crash):
    """A crash in mid-lookup: the lookup that died with it leaves no mark, and who waited is answered by another."""
    for node in nodes:
        node.fail_next(Hang(), operation="DescribeTable")
    async with nodes.open_client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.partition_key, "users")
        await trio.sleep(0.2)
        for node in nodes:
            node.clear_faults()
        crash(client._runtime.keys_inbox)
    assert trio.current_time() == pytest.approx(0.3)
    assert lookups(nodes) == 2


async def test_a_restart_keeps_the_names(autojump_clock, nodes, crash):
    """What was known before a crash is known after it."""
    async with nodes.open_client() as client:
        await client.partition_key("users")
        crash(client._runtime.keys_inbox)
        await trio.sleep(0.2)
        assert await client.partition_key("users") == "id"
        assert client.statistics().crashes == 1
    assert lookups(nodes) == 1


async def test_a_name_that_was_cleared_is_looked_up_at_once(autojump_clock, nodes):
    """Who clears it and asks in the same breath gets no name of before."""
    async with nodes.open_client() as client:
        await client.partition_key("users")
        client.clear_partition_key("users")
        assert await client.partition_key("users") == "id"
    assert lookups(nodes) == 2


async def test_who_waits_when_the_block_ends_is_told(autojump_clock, nodes):
    """A task outside the block gets ClientClosedError at once."""
    for node in nodes:
        node.fail_next(Hang(), operation="DescribeTable")

    async def ask(client):
        with pytest.raises(ClientClosedError):
            await client.partition_key("users")

    async with trio.open_nursery() as nursery:
        async with nodes.open_client() as client:
            nursery.start_soon(ask, client)
            await trio.sleep(0.2)
    assert trio.current_time() == pytest.approx(0.2)


@pytest.mark.parametrize("ended_by", ["its caller", "operation_timeout"])
async def test_a_change_that_was_cut_off_may_have_happened(autojump_clock, nodes, ended_by):
    """The table may have another key by now: its name is looked up again."""
    for node in nodes:
        node.fail_next(Hang(), operation="DeleteTable")
    async with nodes.open_client() as client:
        await client.partition_key("users")
        with trio.move_on_after(1), contextlib.suppress(OperationTimeoutError):
            timeout = 0.5 if ended_by == "operation_timeout" else None
            await client.with_options(operation_timeout=timeout).delete_table(TableName="users")
        await client.partition_key("users")
    assert lookups(nodes) == 2


async def test_a_change_that_was_never_sent_has_not_happened(autojump_clock, nodes):
    """Its caller gives it up before it begins: the name stays."""
    async with nodes.open_client() as client:
        await client.partition_key("users")
        with trio.CancelScope() as scope:
            scope.cancel()
            await client.delete_table(TableName="users")
        await client.partition_key("users")
    assert lookups(nodes) == 1

"""What `Client.statistics` counts, and what it does not."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import EncodingError, OperationTimeoutError, ServiceError
from alternator_trio.testing import Answer, Hang
from tests.scripted_nodes import ScriptedNodes

KEY = {"TableName": "users", "Key": {"id": {"S": "ada"}}}


@pytest.fixture
async def nodes():
    async with ScriptedNodes(3) as nodes:
        yield nodes


def counts(client):
    statistics = client.statistics()
    return statistics.operations, statistics.retries, statistics.failed


async def test_what_succeeds_is_no_failure(autojump_clock, nodes):
    """Not even after a retry."""
    async with nodes.open_client(discovery=False) as client:
        for node in nodes:
            node.fail_next(Answer(status=503))
        await client.get_item(**KEY)
        assert counts(client) == (1, 3, 0)


async def test_an_error_of_ours_is_a_failure(autojump_clock, nodes):
    """Of the service, of time, of parameters: one per operation, however many attempts it had."""
    async with nodes.open_client(discovery=False) as client:
        for node in nodes:
            node.fail_next(Answer(status=400), operation="GetItem")
            node.fail_next(Hang(), operation="Scan")
        with pytest.raises(ServiceError):
            await client.get_item(**KEY)
        with pytest.raises(OperationTimeoutError):
            await client.with_options(operation_timeout=1.0).scan(TableName="users")
        with pytest.raises(EncodingError):
            await client.put_item(TableName="users", Item={"id": object()})
        assert counts(client) == (3, 0, 3)


async def test_what_the_caller_cancels_is_begun_and_no_failure(autojump_clock, nodes):
    """Its ending is the caller's own doing."""
    async with nodes.open_client(discovery=False) as client:
        for node in nodes:
            node.fail_next(Hang())
        with trio.move_on_after(1.0):
            await client.get_item(**KEY)
        assert counts(client) == (1, 0, 0)

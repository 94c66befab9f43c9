"""The minute after new credentials: each shard refuses them once, and no operation notices."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import Credentials, ServiceError, open_alternator
from alternator_trio.testing import LocalCluster, Reset
from tests.client.conftest import create_table
from tests.scripted_nodes import ScriptedNodes, answer_json
from tests.users import KEY
from tests.waiting import all_active

EPOCH = 1440936000.0
OLD, NEW = Credentials("role", "old"), Credentials("role", "new")
REFUSAL = answer_json({"__type": "x#UnrecognizedClientException", "message": "wrong signature"}, status=400)
COUNT_UP = {"Key": KEY, "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}


def wall_clock() -> float:
    return EPOCH + trio.current_time()


async def test_a_change_of_secret_is_not_noticed() -> None:
    """Every shard of every node knows the old secret; the new client's operations all succeed, none is counted twice.

    The counter shows that a refused attempt was not executed: no other write may be repeated so freely.
    """
    async with LocalCluster(nodes=3, credentials={"role": "old"}, shards=4) as cluster:
        async with open_alternator(*cluster.seeds, credentials=OLD) as old:
            await create_table(old)
            await all_active(old)
            async with trio.open_nursery() as nursery:
                for _ in range(60):  # enough at once that every shard has a connection
                    nursery.start_soon(old.list_tables)
        cluster.credentials["role"] = "new"
        for node in cluster.nodes:
            node.clear_requests()
        async with open_alternator(*cluster.seeds, credentials=NEW) as client:
            await all_active(client)
            async with trio.open_nursery() as nursery:
                for _ in range(60):
                    nursery.start_soon(lambda: client.update_item(TableName="users", **COUNT_UP))
            item = (await client.get_item(TableName="users", Key=KEY))["Item"]
            assert item["n"] == {"N": "60"}
            assert (client.statistics().failed, client.statistics().retries) == (0, 0)
            assert client.statistics().retry_tokens == 500
        sent = sum(request.operation == "UpdateItem" for node in cluster.nodes for request in node.requests)
        assert sent > 60


@pytest.fixture
async def nodes():
    async with ScriptedNodes(3) as scripted:
        yield scripted


async def test_it_is_sent_again_on_the_same_connection(autojump_clock, nodes) -> None:
    """That is the same shard: another one could refuse it as well. It is the same attempt, and the plan goes on."""
    for node in nodes:
        node.fail_next(REFUSAL, operation="GetItem")
    async with nodes.open_client(credentials=NEW, wall_clock=wall_clock) as client:
        for _ in range(3):
            answer = await client.get_item(TableName="users", Key=KEY)
            assert answer["ResponseMetadata"]["RetryAttempts"] == 0
    connections = [request.connection_id for request in nodes.requests_of("GetItem")]
    assert connections[::2] == connections[1::2]
    assert len({request.host for request in nodes.requests_of("GetItem")}) == 3


@pytest.mark.parametrize(("seconds", "sent"), [(59.0, 2), (62.0, 1)])
async def test_it_is_for_a_minute(autojump_clock, nodes, seconds: float, sent: int) -> None:
    """Counted from the first signature; afterwards a refusal is final."""
    async with nodes.open_client(credentials=NEW, wall_clock=wall_clock) as client:
        await client.list_tables()
        await trio.sleep(seconds)
        before = len(nodes.requests_of("ListTables"))
        for node in nodes:
            node.fail_next(REFUSAL, operation="ListTables")
        if sent == 2:
            await client.list_tables()
        else:
            with pytest.raises(ServiceError, match="UnrecognizedClientException"):
                await client.list_tables()
        assert len(nodes.requests_of("ListTables")) - before == sent


async def test_credentials_of_an_operation_have_a_minute_of_their_own(autojump_clock, nodes) -> None:
    """However long the client has been open."""
    async with nodes.open_client(credentials=OLD, wall_clock=wall_clock) as client:
        await client.list_tables()
        await trio.sleep(3600)
        for node in nodes:
            node.fail_next(REFUSAL, operation="ListTables")
        await client.with_options(credentials=NEW).list_tables()


async def test_a_second_refusal_is_final(autojump_clock, nodes) -> None:
    """The secret is wrong: two requests, one attempt, at one node."""
    for node in nodes:
        node.fail_next(REFUSAL, times=100, operation="PutItem")
    async with nodes.open_client(credentials=NEW, wall_clock=wall_clock) as client:
        with pytest.raises(ServiceError) as caught:
            await client.put_item(TableName="users", Item=KEY)
    assert (caught.value.code, caught.value.attempts) == ("UnrecognizedClientException", 1)
    assert caught.value.may_have_happened is False
    assert len(nodes.requests_of("PutItem")) == 2


async def test_each_attempt_is_sent_again_once(autojump_clock, nodes) -> None:
    """Each is lost on its second sending: the next node refuses the next attempt once as well."""
    for node in nodes:
        node.fail_next(REFUSAL, operation="GetItem")
        node.fail_next(Reset(), operation="GetItem")
    async with nodes.open_client(credentials=NEW, wall_clock=wall_clock) as client:
        answer = await client.get_item(TableName="users", Key=KEY)
        assert answer["ResponseMetadata"]["RetryAttempts"] == 3
    assert len(nodes.requests_of("GetItem")) == 7


async def test_an_unsigned_request_has_nothing_to_repeat(autojump_clock, nodes) -> None:
    """Who does not sign is refused for another reason, by whatever name."""
    for node in nodes:
        node.fail_next(REFUSAL, operation="ListTables")
    async with nodes.open_client(wall_clock=wall_clock) as client:
        with pytest.raises(ServiceError, match="UnrecognizedClientException"):
            await client.list_tables()
    assert len(nodes.requests_of("ListTables")) == 1


async def test_who_is_cancelled_before_the_second_sending_leaves_nothing(autojump_clock, nodes) -> None:
    """The only connection is taken by another in between; who waits for it again may leave."""
    for node in nodes:
        node.fail_next(REFUSAL, operation="ListTables")
        node.delay = 1.0
    async with nodes.open_client(
        credentials=NEW, wall_clock=wall_clock, max_connections_per_node=1, discovery=False
    ) as client:
        async with trio.open_nursery() as nursery:
            for patience in [1.5] * 6 + [60.0] * 6:
                nursery.start_soon(list_tables_within, client, patience)
        statistics = client.statistics()
        assert (statistics.connections_leased, statistics.waiting) == (0, 0)


async def list_tables_within(client, seconds) -> None:
    with trio.move_on_after(seconds):
        await client.list_tables()

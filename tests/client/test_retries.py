"""Retries end to end: where they go, what is repeated, and what is said when the outcome is unknown."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import (
    AttemptTimeoutError,
    Client,
    ConditionalCheckFailedException,
    ConnectError,
    IndeterminateWriteError,
    OperationTimeoutError,
    ServiceError,
    TransportError,
    open_alternator,
)
from alternator_trio.testing import Answer, Close, Fault, Hang, LocalCluster, Reset, Truncate
from tests.users import COUNT_UP, KEY
from tests.waiting import all_active


def everywhere(cluster: LocalCluster, fault: Fault, times: int = 1) -> None:
    for node in cluster.nodes:
        node.fail_next(fault, times=times)


def posts(cluster: LocalCluster) -> list[str]:
    return [node.url for node in cluster.nodes for request in node.requests if request.method == "POST"]


@pytest.mark.parametrize("fault", [Reset(), Close(), Truncate(), Reset(executed=True), Answer(status=503)])
async def test_a_read_survives(client: Client, cluster: LocalCluster, fault: Fault) -> None:
    """A read is repeated at other nodes after any failure that is not final."""
    cluster.nodes[0].fail_next(fault)
    cluster.nodes[1].fail_next(fault)
    for _ in range(3):
        await client.get_item(TableName="users", Key=KEY)
    assert client.statistics().failed == 0
    assert client.statistics().retries == 2


async def test_a_counter_is_not_repeated(client: Client, cluster: LocalCluster) -> None:
    """A numeric ADD whose connection broke is indeterminate at once, and was executed once."""
    everywhere(cluster, Reset(executed=True))
    with pytest.raises(IndeterminateWriteError) as caught:
        await client.call("UpdateItem", COUNT_UP)
    assert caught.value.may_have_happened
    assert caught.value.attempts == 1
    assert isinstance(caught.value.__cause__, TransportError)
    for node in cluster.nodes:
        node.clear_faults()
    answer = await client.get_item(TableName="users", Key=KEY)
    assert answer["Item"]["n"] == {"N": "1"}


async def test_a_counter_that_was_never_sent_is_repeated(client: Client, cluster: LocalCluster) -> None:
    """A refused connection is no unknown outcome."""
    cluster.nodes[0].kill()
    cluster.nodes[1].kill()
    for _ in range(6):
        await client.call("UpdateItem", COUNT_UP)
    answer = await client.get_item(TableName="users", Key=KEY)
    assert answer["Item"]["n"] == {"N": "6"}


async def test_ambiguous_writes_can_be_retried(cluster: LocalCluster) -> None:
    """ambiguous_writes="retry" repeats even a counter, as AWS's SDKs do."""
    async with open_alternator(*cluster.seeds, ambiguous_writes="retry") as client:
        await all_active(client)
        everywhere(cluster, Reset(executed=True))
        answer = await client.call("UpdateItem", COUNT_UP)
        assert answer["ResponseMetadata"]["RetryAttempts"] == 3
        read = await client.get_item(TableName="users", Key=KEY)
        assert read["Item"]["n"] == {"N": "4"}  # which is what the option trades


async def test_a_condition_that_fails_on_the_repeat_is_indeterminate(client: Client, cluster: LocalCluster) -> None:
    """The first attempt may be why the condition fails on the second."""
    everywhere(cluster, Reset(executed=True))
    with pytest.raises(IndeterminateWriteError) as caught:
        await client.put_item(TableName="users", Item=KEY, ConditionExpression="attribute_not_exists(id)")
    assert isinstance(caught.value.__cause__, ConditionalCheckFailedException)
    assert caught.value.attempts == 4
    assert caught.value.may_have_happened


async def test_create_table_answered_in_use_on_the_repeat_is_indeterminate(
    client: Client, cluster: LocalCluster
) -> None:
    """ResourceInUse after an attempt of unknown outcome says nothing about who made the table."""
    everywhere(cluster, Reset(executed=True))
    with pytest.raises(IndeterminateWriteError):
        await client.create_table(
            TableName="other",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )


async def test_a_repeatable_write_is_repeated(client: Client, cluster: LocalCluster) -> None:
    """A put whose answer was lost is put again, elsewhere."""
    cluster.nodes[0].fail_next(Close(executed=True))
    cluster.nodes[1].fail_next(Close(executed=True))
    for _ in range(3):
        await client.put_item(TableName="users", Item=KEY)
    assert client.statistics().retries == 2
    assert len(posts(cluster)) == 5


async def test_shedding_goes_elsewhere_and_drops_the_connection(client: Client, cluster: LocalCluster) -> None:
    """RequestLimitExceeded was not executed: the next node is asked at once, even for a counter."""
    shed = Answer(status=400, body=b'{"__type":"x#RequestLimitExceeded","message":"shard is busy"}')
    cluster.nodes[0].fail_next(shed)
    for _ in range(3):
        await client.call("UpdateItem", COUNT_UP)
    answer = await client.get_item(TableName="users", Key=KEY)
    assert answer["Item"]["n"] == {"N": "3"}


async def test_server_errors_exhaust_the_attempts(client: Client, cluster: LocalCluster) -> None:
    """Four attempts, then the last error; a write may have happened."""
    everywhere(cluster, Answer(status=500, body=b'{"__type":"x#InternalServerError","message":"oops"}'), times=4)
    with pytest.raises(ServiceError) as caught:
        await client.put_item(TableName="users", Item=KEY)
    assert (caught.value.status, caught.value.attempts, caught.value.may_have_happened) == (500, 4, True)


async def test_no_node_at_all(cluster: LocalCluster) -> None:
    """With every node gone the error is the last connect failure, after four attempts."""
    async with open_alternator(*cluster.seeds) as client:
        for node in cluster.nodes:
            node.kill()
        with pytest.raises(ConnectError, match="refused") as caught:
            await client.put_item(TableName="users", Item=KEY)
        assert caught.value.attempts == 4
        assert not caught.value.may_have_happened


async def test_the_attempt_timeout(cluster: LocalCluster) -> None:
    """A node that accepts and never answers costs one attempt timeout, then the next node answers."""
    async with open_alternator(*cluster.seeds, attempt_timeout=0.2) as client:
        await all_active(client)
        cluster.nodes[0].fail_next(Hang())
        cluster.nodes[1].fail_next(Hang())
        with trio.fail_after(5):
            for _ in range(3):
                await client.get_item(TableName="users", Key=KEY)
        assert client.statistics().retries == 2


async def test_attempts_that_all_time_out(cluster: LocalCluster) -> None:
    """The error says how long an attempt was waited for."""
    async with open_alternator(*cluster.seeds, attempt_timeout=0.1) as client:
        await all_active(client)
        everywhere(cluster, Hang(), times=4)
        with pytest.raises(AttemptTimeoutError, match=r"0\.1 s") as caught:
            await client.get_item(TableName="users", Key=KEY)
        assert not caught.value.may_have_happened  # a read


async def test_the_operation_timeout(cluster: LocalCluster) -> None:
    """operation_timeout bounds all attempts together and says that the write may have happened."""
    async with open_alternator(*cluster.seeds, operation_timeout=0.2) as client:
        await all_active(client)
        everywhere(cluster, Hang())
        with pytest.raises(OperationTimeoutError) as caught:
            await client.put_item(TableName="users", Item=KEY)
        assert caught.value.may_have_happened
        assert caught.value.node is not None
        assert client.statistics().connections_leased == 0


async def test_the_retry_quota_is_bounded(client: Client, cluster: LocalCluster) -> None:
    """Retries stop when the quota is spent, and the quota never goes below zero."""
    everywhere(cluster, Answer(status=503), times=1000)
    for _ in range(20):
        with pytest.raises(ServiceError):
            await client.get_item(TableName="users", Key=KEY)
    assert 0 <= client.statistics().retry_tokens < 14

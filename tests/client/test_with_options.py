"""Options of single operations: what is in force shows in what is done."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import (
    AttemptTimeoutError,
    Client,
    ConfigurationError,
    Credentials,
    IndeterminateWriteError,
    KeyRouteAffinity,
    RetryPolicy,
    ServiceError,
    open_alternator,
)
from alternator_trio.testing import Answer, Hang, LocalCluster, Reset
from tests.users import COUNT_UP, KEY


async def test_the_attempt_timeout(client: Client, cluster: LocalCluster) -> None:
    """One view gives up early, the client would not."""
    for node in cluster.nodes:
        node.fail_next(Hang(), times=4)
    hasty = client.with_options(attempt_timeout=0.1, retry=RetryPolicy(max_attempts=1))
    with trio.fail_after(2), pytest.raises(AttemptTimeoutError, match=r"0\.1 s"):
        await hasty.get_item(TableName="users", Key=KEY)


async def test_the_retry_policy(client: Client, cluster: LocalCluster) -> None:
    """One attempt for the view, four for the client."""
    for node in cluster.nodes:
        node.fail_next(Answer(status=503), times=100)
    for each, attempts in ((client.with_options(retry=RetryPolicy(max_attempts=1)), 1), (client, 4)):
        with pytest.raises(ServiceError) as caught:
            await each.get_item(TableName="users", Key=KEY)
        assert caught.value.attempts == attempts


async def test_ambiguous_writes(client: Client, cluster: LocalCluster) -> None:
    """The view repeats a counter, the client does not."""
    for node in cluster.nodes:
        node.fail_next(Reset(executed=True), times=1)
    await client.with_options(ambiguous_writes="retry").call("UpdateItem", COUNT_UP)
    for node in cluster.nodes:
        node.fail_next(Reset(executed=True), times=1)
    with pytest.raises(IndeterminateWriteError):
        await client.call("UpdateItem", COUNT_UP)


async def test_credentials() -> None:
    """An operation is signed by whom it says, the client's others by the client's role."""
    secrets = {"reader": "one", "writer": "two"}
    async with LocalCluster(nodes=1, credentials=secrets) as cluster:
        async with open_alternator(*cluster.seeds, credentials=Credentials("reader", "one")) as client:
            await client.list_tables()
            await client.with_options(credentials=Credentials("writer", "two")).list_tables()
            with pytest.raises(ServiceError, match="MissingAuthenticationToken"):
                await client.with_options(credentials=None).list_tables()
            await client.list_tables()
        signed = [request.header("authorization") for request in cluster.nodes[0].requests if request.operation]
    roles = [None if line is None else line.partition("Credential=")[2].partition("/")[0] for line in signed]
    assert roles == ["reader", "writer", None, "reader"]


async def test_affinity(client: Client, cluster: LocalCluster) -> None:
    """The view's writes of one key go to one node, the client's take turns."""
    affine = client.with_options(key_route_affinity=KeyRouteAffinity.any_write(partition_keys={"users": "id"}))
    nodes = {(await affine.put_item(TableName="users", Item=KEY))["ResponseMetadata"]["Node"] for _ in range(6)}
    assert len(nodes) == 1
    nodes = {(await client.put_item(TableName="users", Item=KEY))["ResponseMetadata"]["Node"] for _ in range(6)}
    assert len(nodes) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"atempt_timeout": 1.0}, "did you mean 'attempt_timeout'"),
        ({"attempt_timeout": -1.0}, "attempt_timeout: -1.0"),
        ({"max_connections": 3}, "max_connections: it holds for the whole client"),
        ({"credentials": "role:hash"}, "credentials: str is no Credentials"),
    ],
)
async def test_bad_options_are_named(client: Client, options: dict[str, object], message: str) -> None:
    """Unknown, wrong, or of the whole client; a value that may be a secret is not shown."""
    with pytest.raises(ConfigurationError, match=message):
        client.with_options(**options)
    with pytest.raises(ConfigurationError, match=message):
        await client.call("ListTables", {}, **options)

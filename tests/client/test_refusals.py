"""What servers refuse for reasons of their own (size, load, encoding), as a client's user meets it."""

from __future__ import annotations

import json

import pytest

from alternator_trio import RequestCompression, ServiceError, ValidationException, open_alternator
from alternator_trio.testing import Answer, LocalCluster, Shed
from tests.client.conftest import create_table
from tests.waiting import all_active

TOO_MUCH = "x" * (16 * 2**20)
GZIP = RequestCompression.gzip(threshold_bytes=0)
ITEM = {"id": {"S": "ada"}, "text": {"S": "x" * 100}}


def posts(cluster):
    return [request for node in cluster.nodes for request in node.requests if request.method == "POST"]


async def test_an_older_cluster_and_compression(cluster):
    """Compressed bytes are no JSON to it: the error names the option, and keeps what the server said."""
    async with LocalCluster(1, unpacks_requests=False) as old, open_alternator(*old.seeds) as client:
        await create_table(client)
        with pytest.raises(ValidationException, match=r"request_compression.*2026\.1") as caught:
            await client.with_options(request_compression=GZIP).put_item(TableName="users", Item=ITEM)
        await client.put_item(TableName="users", Item=ITEM)
    assert "Parsing JSON failed" in caught.value.message
    assert "request_compression" not in str(caught.value.response)
    assert caught.value.attempts == 1


async def test_an_ordinary_refusal_has_no_hint(cluster):
    """A compressed request that is wrong by its parameters is refused as a plain one is."""
    async with open_alternator(*cluster.seeds, request_compression=GZIP) as client:
        with pytest.raises(ValidationException) as caught:
            await client.put_item(TableName="users", Item={"text": {"S": "x" * 100}})
    assert posts(cluster)[-1].header("content-encoding") == "gzip"
    assert "compress" not in caught.value.message


async def test_a_body_that_cannot_be_unpacked_is_not_sent_again(cluster):
    """A 500, which would be repeated otherwise: the same bytes would come."""
    body = json.dumps({"__type": "x#InternalServerError", "message": "Unsupported Content-Encoding"}).encode()
    async with open_alternator(*cluster.seeds, request_compression=GZIP) as client:
        await all_active(client)
        for node in cluster.nodes:
            node.clear_requests()
            node.fail_next(Answer(status=500, body=body))
        with pytest.raises(ServiceError, match=r"request_compression.*cannot unpack") as caught:
            await client.get_item(TableName="users", Key={"id": {"S": "ada" * 50}})
    assert (caught.value.attempts, len(posts(cluster))) == (1, 1)


@pytest.mark.parametrize("compression", [None, GZIP], ids=["plain", "compressed"])
async def test_a_body_over_16_mib_is_too_large(cluster, compression):
    """Also one that is only so large unpacked; nothing is tried again, and the client goes on."""
    async with open_alternator(*cluster.seeds, request_compression=compression) as client:
        with pytest.raises(ServiceError) as caught:
            await client.put_item(TableName="users", Item={"id": {"S": "ada"}, "text": {"S": TOO_MUCH}})
        assert (caught.value.status, caught.value.code, caught.value.attempts) == (413, "PayloadTooLarge", 1)
        assert not caught.value.may_have_happened
        await client.put_item(TableName="users", Item=ITEM)


@pytest.mark.parametrize("drop", [False, True])
async def test_a_shard_that_sheds_is_left_at_once(cluster, client, drop):
    """The connection is not used again, whatever it promised; the next node has the answer."""
    node = cluster.nodes[0]
    await client.put_item(TableName="users", Item=ITEM)
    node.clear_requests()
    node.fail_next(Shed(drop=drop), operation="GetItem")
    for _ in range(9):
        assert (await client.get_item(TableName="users", Key={"id": {"S": "ada"}}))["Item"] == ITEM
    assert (client.statistics().failed, client.statistics().retries) == (0, 1)
    numbers = [request.connection_id for request in node.requests if request.operation == "GetItem"]
    assert len(numbers) > 1
    assert numbers[0] not in numbers[1:]


async def test_a_misshapen_value_is_named(client):
    """What the server says comes first, and stays alone in ``response``."""
    with pytest.raises(
        ValidationException, match=r"; Item\.born\.N is a value of type int; numbers are text"
    ) as caught:
        await client.put_item(TableName="users", Item={"id": {"S": "ada"}, "born": {"N": 1815}})
    said = caught.value.response["Error"]["Message"]
    assert caught.value.message.startswith(f"{said}; ")
    assert "born" not in said


async def test_a_large_request_is_not_looked_through(client):
    """All other tasks would wait for as long as that takes; what the server says is the whole error."""
    with pytest.raises(ValidationException) as caught:
        await client.put_item(TableName="users", Item={"id": {"S": "a" * 512 * 1024}, "born": {"N": 1815}})
    assert caught.value.message == caught.value.response["Error"]["Message"]

"""Operations end to end: boto3's spelling in, wire-shaped answers out."""

from __future__ import annotations

import asyncio
import datetime as dt
import pickle
import zlib
from collections.abc import Callable

import pytest

from alternator_trio import (
    Client,
    ClientClosedError,
    ConditionalCheckFailedException,
    ConfigurationError,
    DecodingError,
    EncodingError,
    KeyRouteAffinity,
    NodeHealth,
    NoLiveNodesError,
    ResourceNotFoundException,
    RetryPolicy,
    RoutingScope,
    ServiceError,
    ValidationException,
    open_alternator,
)
from alternator_trio.testing import Answer, LocalCluster
from tests.users import KEY


async def test_item_round_trip(client: Client) -> None:
    """What was put is got, binary values as bytes."""
    item = {**KEY, "raw": {"B": b"\x00\xff"}, "parts": {"BS": [b"a", b"b"]}, "nested": {"M": {"B": {"S": "x"}}}}
    await client.put_item(TableName="users", Item=item)
    answer = await client.get_item(TableName="users", Key=KEY, ConsistentRead=True)
    assert answer["Item"]["raw"] == {"B": b"\x00\xff"}
    assert sorted(answer["Item"]["parts"]["BS"]) == [b"a", b"b"]
    assert answer["Item"]["nested"] == {"M": {"B": {"S": "x"}}}


async def test_response_metadata(client: Client, cluster: LocalCluster) -> None:
    """Every answer says its status, its retries and its node."""
    metadata = (await client.get_item(TableName="users", Key=KEY))["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 200
    assert metadata["RetryAttempts"] == 0
    assert metadata["Node"] in {node.url for node in cluster.nodes}


async def test_update_and_delete(client: Client) -> None:
    """UpdateItem and DeleteItem return the attributes asked for."""
    updated = await client.update_item(
        TableName="users",
        Key=KEY,
        UpdateExpression="SET born = :y",
        ExpressionAttributeValues={":y": {"N": "1815"}},
        ReturnValues="ALL_NEW",
    )
    assert updated["Attributes"] == {**KEY, "born": {"N": "1815"}}
    deleted = await client.delete_item(TableName="users", Key=KEY, ReturnValues="ALL_OLD")
    assert deleted["Attributes"] == updated["Attributes"]


async def test_batches_and_pages(client: Client) -> None:
    """Batches write and read; Scan and Query page with bytes and strings alike."""
    keys = [{"id": {"S": f"user-{number}"}} for number in range(60)]
    await client.batch_write_item(RequestItems={"users": [{"PutRequest": {"Item": key}} for key in keys]})
    read = await client.batch_get_item(RequestItems={"users": {"Keys": keys[:10]}})
    assert len(read["Responses"]["users"]) == 10
    seen = 0
    page = await client.scan(TableName="users", Limit=25)
    while True:
        seen += page["Count"]
        if "LastEvaluatedKey" not in page:
            break
        page = await client.scan(TableName="users", Limit=25, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert seen == 60
    found = await client.query(
        TableName="users", KeyConditionExpression="id = :id", ExpressionAttributeValues={":id": keys[3]["id"]}
    )
    assert found["Items"] == [keys[3]]


async def test_tables(client: Client) -> None:
    """Tables are listed, described, updated and deleted."""
    assert (await client.list_tables())["TableNames"] == ["users"]
    assert (await client.describe_table(TableName="users"))["Table"]["TableStatus"] == "ACTIVE"
    await client.update_table(TableName="users", BillingMode="PAY_PER_REQUEST")
    await client.delete_table(TableName="users")
    with pytest.raises(ResourceNotFoundException):
        await client.describe_table(TableName="users")


async def test_call_performs_any_operation(client: Client) -> None:
    """An operation without a method of its own is called by name; TagResource's empty answer is success."""
    table = (await client.call("DescribeTable", {"TableName": "users"}))["Table"]
    tagged = await client.call("TagResource", {"ResourceArn": table["TableArn"], "Tags": [{"Key": "a", "Value": "b"}]})
    assert set(tagged) == {"ResponseMetadata"}
    tags = await client.call("ListTagsOfResource", {"ResourceArn": table["TableArn"]})
    assert tags["Tags"] == [{"Key": "a", "Value": "b"}]


async def test_an_operations_name_is_checked(client: Client, cluster: LocalCluster) -> None:
    """A name that could smuggle a header is refused before anything is sent."""
    with pytest.raises(EncodingError, match="no operation's name"):
        await client.call("GetItem\r\nx: y", {})
    assert [r for node in cluster.nodes for r in node.requests if r.operation is not None] == []
    assert client.statistics().connections_leased == 0


async def test_a_bad_value_is_refused_in_the_callers_frame(client: Client) -> None:
    """A value that JSON does not have is named, before anything is sent."""
    with pytest.raises(EncodingError, match=r"Item\.when: .*datetime"):
        await client.call("PutItem", {"TableName": "users", "Item": {"when": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}})


async def test_service_errors_say_everything(client: Client) -> None:
    """A service error has DynamoDB's name, code, status, message, node, attempts and botocore's response."""
    await client.put_item(TableName="users", Item={**KEY, "v": {"B": b"old"}})
    with pytest.raises(ConditionalCheckFailedException) as caught:
        await client.put_item(
            TableName="users",
            Item=KEY,
            ConditionExpression="attribute_not_exists(id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    error = caught.value
    assert (error.code, error.status, error.operation, error.attempts) == (
        "ConditionalCheckFailedException",
        400,
        "PutItem",
        1,
    )
    assert error.node in map(str, client.nodes())
    assert error.response["Error"]["Code"] == error.code
    assert error.response["Item"] == {**KEY, "v": {"B": b"old"}}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert not error.may_have_happened
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.response) == (type(error), str(error), error.response)


async def test_validation_errors_are_not_retried(client: Client, cluster: LocalCluster) -> None:
    """A 4xx is final."""
    with pytest.raises(ValidationException):
        await client.get_item(TableName="users", Key={"wrong": {"S": "x"}})
    assert sum(r.method == "POST" for node in cluster.nodes for r in node.requests) == 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", ()),
        (b"not json", ()),
        (b"[1, 2]", ()),
        (b'{"Item": {"id": {"S": "a"}}', ()),
        (b'{"Item": {"id": {"B": "not base64!"}}}', ()),
        (b"<html>hello</html>", ()),
        (b"\xff\xfe", ()),
        (b"{}", (("Content-Encoding", "gzip"),)),
        (b"{}", (("x-amz-crc32", "1"),)),
    ],
)
async def test_an_unreadable_200_is_an_error(body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
    """A 200 whose body is not the promised answer is an error that names the node, never an empty item."""
    async with LocalCluster(nodes=1) as cluster, open_alternator(*cluster.seeds, discovery=False) as client:
        cluster.nodes[0].fail_next(Answer(status=200, body=body, headers=headers))
        with pytest.raises(DecodingError) as caught:
            await client.get_item(TableName="users", Key=KEY)
        assert caught.value.node == cluster.seeds[0]
        assert caught.value.attempts == 1


async def test_a_matching_crc32_is_accepted() -> None:
    """x-amz-crc32 is checked where it is sent."""
    async with LocalCluster(nodes=1) as cluster, open_alternator(*cluster.seeds, discovery=False) as client:
        crc = str(zlib.crc32(b'{"a": 1}'))
        cluster.nodes[0].fail_next(Answer(status=200, body=b'{"a": 1}', headers=(("x-amz-crc32", crc),)))
        assert (await client.call("GetItem", {}))["a"] == 1


async def test_an_error_without_json_is_understood() -> None:
    """HTML and text errors become service errors too."""
    async with LocalCluster(nodes=1) as cluster, open_alternator(*cluster.seeds, discovery=False) as client:
        cluster.nodes[0].fail_next(Answer(status=418, body=b"<h1>teapot</h1>"))
        with pytest.raises(ServiceError, match="teapot") as caught:
            await client.get_item(TableName="users", Key=KEY)
        assert (caught.value.code, caught.value.status) == ("HTTP418", 418)


async def test_without_discovery_the_seeds_are_the_nodes() -> None:
    """discovery=False: no /localnodes is asked, refresh and nodes answer all the same."""
    async with LocalCluster(nodes=2) as cluster:
        async with open_alternator(cluster.seeds[0], discovery=False) as client:
            await client.list_tables()
            assert [str(node) for node in await client.refresh()] == [cluster.seeds[0]]
        assert [request.path for request in cluster.nodes[0].requests] == ["/"]
        assert cluster.nodes[1].requests == []


async def test_use_after_the_block() -> None:
    """A client whose block has ended refuses."""
    async with LocalCluster(nodes=1) as cluster:
        async with open_alternator(*cluster.seeds) as client:
            await client.list_tables()
        with pytest.raises(ClientClosedError):
            await client.list_tables()
        with pytest.raises(ClientClosedError):
            await client.refresh()
        with pytest.raises(ClientClosedError):
            await client.partition_key("users")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Tablename": "users", "Key": KEY}, "no parameter 'Tablename'; did you mean 'TableName'"),
        ({"TableName": "users"}, "needs the parameter 'Key'"),
        ({"TableName": "users", "Key": KEY, "x": 1}, "no parameter 'x'; it has AttributesToGet, ConsistentRead"),
    ],
)
async def test_a_wrong_parameter_is_named(
    client: Client, cluster: LocalCluster, parameters: dict[str, object], message: str
) -> None:
    """A misspelt, unknown or missing parameter is refused before anything is sent; a call by name is not checked."""
    with pytest.raises(EncodingError, match=message):
        await client.get_item(**parameters)
    assert [r for node in cluster.nodes for r in node.requests if r.operation == "GetItem"] == []
    with pytest.raises(ServiceError):
        await client.call("GetItem", {"Tablename": "users"})


async def test_an_answer_beyond_the_bound_is_final(client: Client, cluster: LocalCluster) -> None:
    """It would not be smaller a second time: one attempt, an error that names the option, and the write happened."""
    small = client.with_options(max_response_bytes=10)
    with pytest.raises(DecodingError, match="max_response_bytes") as caught:
        await small.call(
            "UpdateItem",
            {
                "TableName": "users",
                "Key": KEY,
                "UpdateExpression": "ADD n :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
                "ReturnValues": "ALL_NEW",
            },
        )
    assert (caught.value.attempts, caught.value.may_have_happened) == (1, True)
    assert (await client.get_item(TableName="users", Key=KEY))["Item"]["n"] == {"N": "1"}


async def test_writes_that_stay_in_their_datacenter_never_go_to_an_unknown_seed() -> None:
    """A seed's datacenter is not known: such a write waits for a node list, and is refused without one."""
    async with LocalCluster(topology={"dc1": {"r1": 1}, "dc2": {"r1": 1}}) as cluster:
        here, there = cluster.nodes
        for scope, failed in (("dc1", False), ("dc_1", True)):
            async with open_alternator(
                there.url, routing_scope=RoutingScope.datacenter(scope), writes_cross_datacenter=False
            ) as client:
                if failed:
                    with pytest.raises(NoLiveNodesError, match="no node of datacenter dc_1 is known"):
                        await client.put_item(TableName="users", Item=KEY)
                else:
                    with pytest.raises(ResourceNotFoundException) as caught:
                        await client.put_item(TableName="users", Item=KEY)
                    assert caught.value.node == here.url
        assert [request.operation for request in there.requests if request.operation] == []


def test_without_trio_it_says_so() -> None:
    """The commonest mistake has words of its own."""

    async def main() -> None:
        async with open_alternator("http://127.0.0.1:9"):
            pass

    with pytest.raises(RuntimeError, match=r"trio\.run"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RoutingScope("dc", None, ("dc2",)), "'dc2' is no fallback"),
        (lambda: RoutingScope("dc").with_fallback("dc2"), "'dc2' is no RoutingScope"),
        (lambda: KeyRouteAffinity("any_write"), "'any_write' is no mode"),
        (lambda: KeyRouteAffinity.rmw(partition_keys=["a"]), "no table of partition keys"),
        (lambda: NodeHealth(probe_timeout="a"), "probe_timeout: 'a'"),
        (lambda: RetryPolicy(base_delay=float("inf")), "retry.base_delay: inf"),
    ],
)
def test_wrong_choices_are_named(build: Callable[[], object], message: str) -> None:
    """A value of the wrong kind is refused when it is given, not when it is used."""
    with pytest.raises(ConfigurationError, match=message):
        build()


@pytest.mark.parametrize(
    ("operation", "parameters", "message"),
    [
        (7, {}, "^operation: 7 is no string"),
        (["GetItem"], {}, "^operation: "),
        ("GetItem", ["TableName", "users"], "^the parameters of GetItem are a list"),
        ("GetItem", None, "^the parameters of GetItem are a NoneType"),
    ],
)
async def test_a_call_of_the_wrong_types_is_named(
    client: Client, operation: object, parameters: object, message: str
) -> None:
    """An operation is a string, its parameters are a mapping."""
    with pytest.raises(EncodingError, match=message):
        await client.call(operation, parameters)

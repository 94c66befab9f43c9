"""Where Alternator answers otherwise than AWS, the nodes answer like Alternator: one test per difference."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from alternator_trio.testing import LocalCluster

PREFIX = "com.amazonaws.dynamodb.v20120810#"
PUT = {"TableName": "users", "Item": {"id": {"S": "ada"}}}
GET = {"TableName": "users", "Key": {"id": {"S": "ada"}}}
LIMIT = 16 * 2**20


def error_of(reply):
    assert reply.json["__type"].startswith(PREFIX)
    return reply.status, reply.json["__type"].removeprefix(PREFIX)


def puts(count, *, start=0):
    return [{"PutRequest": {"Item": {"id": {"S": f"{n:04}"}}}} for n in range(start, start + count)]


async def test_nodes_share_one_store(cluster, client, dial):
    """What was written through one node is read through another."""
    await client.call("PutItem", PUT)
    async with dial(cluster.nodes[3]) as other:
        assert (await other.call("GetItem", GET)).json == {"Item": {"id": {"S": "ada"}}}


@pytest.mark.parametrize(
    "value",
    [{"B": "YQ"}, {"B": "x"}, {"B": "Y Q="}, {"B": "é"}, {"BS": ["YQ==", "x"]}, {"M": {"B": {"L": [{"B": "x"}]}}}],
    ids=str,
)
async def test_binary_values_are_base64(client, value):
    """What is none is refused when it is written; the engine would hand it back to whoever reads the table."""
    item = {"id": {"S": "ada"}, "value": value}
    assert error_of(await client.call("PutItem", {**PUT, "Item": item})) == (400, "ValidationException")
    assert (await client.call("GetItem", GET)).json == {}


async def test_what_only_looks_binary_is_taken(client):
    """Base64 that is some, none at all, and attributes of the name B."""
    item = {"id": {"S": "ada"}, "B": {"B": "YQ=="}, "BS": {"S": "x"}, "set": {"BS": ["", "YWI="]}, "text": {"S": '"B"'}}
    assert (await client.call("PutItem", {**PUT, "Item": item})).status == 200
    assert (await client.call("GetItem", GET)).json == {"Item": item}


async def test_a_table_is_active_when_create_table_returns(client, id_table):
    """CreateTable is synchronous."""
    created = await client.call("CreateTable", {**id_table, "TableName": "second"})
    described = await client.call("DescribeTable", {"TableName": "second"})
    assert created.json["TableDescription"]["TableStatus"] == "ACTIVE"
    assert described.json["Table"]["TableStatus"] == "ACTIVE"


async def test_answer_headers_are_alternators(client):
    """Content-Type, Date and Server come; x-amz-crc32 and x-amzn-errortype, which Alternator does not send, do not."""
    reply = await client.call("GetItem", {"TableName": "absent", "Key": {}})
    assert set(reply.headers) == {"content-type", "date", "server", "content-length"}
    assert reply.headers["content-type"] == "application/x-amz-json-1.0"


async def test_lean_headers_are_enough(client):
    """Host, x-amz-target, content-type and content-length are all that a request needs."""
    body = json.dumps(PUT).encode()
    headers = [("x-amz-target", "DynamoDB_20120810.PutItem"), ("content-type", "application/x-amz-json-1.0")]
    assert (await client.request("POST", "/", headers=headers, body=body)).status == 200


@pytest.mark.parametrize("target", ["DynamoDBStreams_20120810.ListTables", "Anything.ListTables", "ListTables"])
async def test_the_targets_prefix_is_ignored(client, target):
    """Alternator looks at what follows the last dot."""
    reply = await client.request("POST", "/", headers=[("x-amz-target", target)], body=b"{}")
    assert reply.json == {"TableNames": ["users"]}


@pytest.mark.parametrize("operation", ["Nonsense", "TransactWriteItems", "ExecuteStatement", "CreateBackup", ""])
async def test_unsupported_operations_are_unknown(client, operation):
    """What Alternator has not is unknown to it, though the engine has it."""
    reply = await client.call(operation, {})
    assert error_of(reply) == (400, "UnknownOperationException")
    assert reply.json["message"] == f"Unsupported operation {operation}"


async def test_a_post_without_a_target_is_an_unknown_operation(client):
    """A missing x-amz-target is the empty operation."""
    assert error_of(await client.request("POST", "/", body=b"{}")) == (400, "UnknownOperationException")


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/other"), ("POST", "/other"), ("POST", "/localnodes"), ("PUT", "/"), ("DELETE", "/localnodes")],
)
async def test_wrong_path_or_method_is_404(client, method, target):
    """404 has a shape of its own: message and code."""
    reply = await client.request(method, target)
    assert (reply.status, reply.json) == (404, {"message": "Not found", "code": 404})


async def test_a_head_request_gets_a_head(client):
    """The 404 to HEAD has no body, and the connection goes on."""
    assert (await client.request("HEAD", "/")).status == 404
    assert (await client.request("GET", "/")).status == 200


async def test_bytes_that_are_no_http_are_answered_400_in_text(client):
    """An unparsable head gets plain text, and the connection is closed."""
    await client.send(b"this is not HTTP\r\n\r\n")
    reply = await client.answer()
    assert (reply.status, reply.headers["content-type"]) == (400, "text/plain")
    assert await client.end() == "fin"


async def test_engine_errors_get_alternators_prefix(client):
    """``__type`` is prefixed, the message is under ``message``."""
    reply = await client.call("GetItem", {"TableName": "absent", "Key": {"id": {"S": "x"}}})
    assert error_of(reply) == (400, "ResourceNotFoundException")
    assert reply.json["message"]


async def test_the_item_of_a_failed_condition_is_kept(client):
    """``Item`` stands beside the error when it was asked for."""
    await client.call("PutItem", PUT)
    condition = {"ConditionExpression": "attribute_not_exists(id)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    reply = await client.call("PutItem", {**PUT, **condition})
    assert error_of(reply) == (400, "ConditionalCheckFailedException")
    assert reply.json["Item"] == {"id": {"S": "ada"}}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"TableName": }'])
@pytest.mark.parametrize("operation", ["GetItem", "CreateTable", "UpdateTimeToLive"])
async def test_a_body_that_is_no_json_object_is_a_validation_error(client, operation, body):
    """AWS says SerializationException, Alternator ValidationException."""
    assert error_of(await client.call(operation, body)) == (400, "ValidationException")


class FailingEngine:
    """An engine that fails on everything."""

    async def execute(self, operation, body):
        raise ZeroDivisionError(operation)

    async def reset(self): ...

    async def aclose(self): ...


async def test_a_crash_of_the_engine_is_a_500(dial, caplog):
    """The client gets InternalServerError on a connection that goes on, and the crash is logged."""
    async with LocalCluster(1, engine=FailingEngine()) as cluster, dial(cluster.nodes[0]) as client:
        assert error_of(await client.call("GetItem", GET)) == (500, "InternalServerError")
        assert (await client.request("GET", "/")).status == 200
    assert "ZeroDivisionError" in caplog.text


async def test_a_content_length_over_the_limit_is_refused_before_the_body(cluster, client):
    """413 comes when the head is read; the connection is closed; the request is on record without its body."""
    await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (LIMIT + 1))
    assert error_of(await client.answer()) == (413, "PayloadTooLarge")
    assert await client.end() == "fin"
    assert [request.body for request in cluster.nodes[0].requests] == [b""]


async def test_a_chunked_body_over_the_limit_is_refused(client):
    """A body of unknown length is counted, and refused at the limit."""
    await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    await client.send(b"%x\r\n" % (LIMIT + 1) + bytes(LIMIT + 1) + b"\r\n0\r\n\r\n")
    assert error_of(await client.answer()) == (413, "PayloadTooLarge")


async def test_a_body_at_the_limit_is_taken(client):
    """16 MiB exactly is within the limit (and then no JSON)."""
    assert error_of(await client.call("GetItem", bytes(LIMIT))) == (400, "ValidationException")


async def test_a_small_body_that_unpacks_over_the_limit_is_refused(client):
    """The limit holds for the unpacked body as well, and the connection is closed then too."""
    bomb = gzip.compress(bytes(LIMIT + 1))
    assert len(bomb) < 100_000
    reply = await client.call("GetItem", bomb, headers=[("content-encoding", "gzip")])
    assert error_of(reply) == (413, "PayloadTooLarge")
    assert await client.end() == "fin"


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_compressed_requests_are_unpacked(cluster, client, encoding, compress):
    """gzip and deflate (zlib) are understood; the record keeps the bytes that came."""
    packed = compress(json.dumps(PUT).encode())
    assert (await client.call("PutItem", packed, headers=[("content-encoding", encoding)])).status == 200
    assert (await client.call("GetItem", GET)).json == {"Item": {"id": {"S": "ada"}}}
    assert cluster.nodes[0].requests[0].body == packed


@pytest.mark.parametrize("encoding", ["br", "GZIP", "gzip, deflate", "identity", ""])
async def test_an_unsupported_encoding_is_a_500(client, encoding):
    """Alternator knows two tokens in lower case, one at a time."""
    reply = await client.call("GetItem", gzip.compress(b"{}"), headers=[("content-encoding", encoding)])
    assert error_of(reply) == (500, "InternalServerError")


async def test_a_broken_compressed_body_is_a_500(client):
    """Corrupt data are the server's failure, as Alternator sees it."""
    reply = await client.call("GetItem", b"not gzip", headers=[("content-encoding", "gzip")])
    assert error_of(reply) == (500, "InternalServerError")


async def test_an_older_version_takes_compressed_bytes_for_json(dial):
    """Before 2026.1: a validation error that says that the JSON cannot be parsed."""
    async with LocalCluster(1, unpacks_requests=False) as cluster, dial(cluster.nodes[0]) as client:
        headers = [("content-encoding", "gzip")]
        reply = await client.call("ListTables", gzip.compress(b"{}"), headers=headers)
        assert error_of(reply) == (400, "ValidationException")
        assert "Parsing JSON failed" in reply.json["message"]
        assert (await client.call("ListTables", b"{}")).status == 200


async def test_small_answers_have_a_content_length(client):
    """An answer below the bounds is not chunked."""
    await client.call("PutItem", PUT)
    reply = await client.call("GetItem", GET)
    assert reply.headers["content-length"] == str(len(reply.body))


async def test_answers_over_100_kb_are_chunked(client):
    """Any operation's answer is streamed when it is large."""
    item = {"id": {"S": "ada"}, "text": {"S": "x" * 100_001}}
    await client.call("PutItem", {"TableName": "users", "Item": item})
    reply = await client.call("GetItem", GET)
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.json["Item"] == item
    assert reply.data_events > 1


@pytest.mark.parametrize(("count", "chunked"), [(255, False), (256, True)])
async def test_answers_of_256_items_are_chunked(client, count, chunked):
    """Scan and Query are streamed by number of items, however small."""
    for start in range(0, count, 100):
        batch = puts(min(100, count - start), start=start)
        assert (await client.call("BatchWriteItem", {"RequestItems": {"users": batch}})).status == 200
    reply = await client.call("Scan", {"TableName": "users"})
    assert reply.json["Count"] == count
    assert ("transfer-encoding" in reply.headers) is chunked


async def test_tag_and_untag_answer_with_an_empty_body(client):
    """TagResource and UntagResource answer 200 and nothing."""
    described = await client.call("DescribeTable", {"TableName": "users"})
    arn = {"ResourceArn": described.json["Table"]["TableArn"]}
    tags = [{"Key": "system:write_isolation", "Value": "always"}]
    tagged = await client.call("TagResource", {**arn, "Tags": tags})
    assert (tagged.status, tagged.body, tagged.headers["content-length"]) == (200, b"", "0")
    assert (await client.call("ListTagsOfResource", arn)).json == {"Tags": tags}
    untagged = await client.call("UntagResource", {**arn, "TagKeys": ["system:write_isolation"]})
    assert (untagged.status, untagged.body) == (200, b"")
    assert (await client.call("ListTagsOfResource", arn)).json == {"Tags": []}


async def test_failed_tagging_has_a_body(client):
    """Only success is empty."""
    assert error_of(await client.call("TagResource", {"ResourceArn": "x", "Tags": []})) == (400, "ValidationException")


async def test_a_batch_takes_100_writes(client):
    """AWS takes 25; nothing is ever left unprocessed."""
    reply = await client.call("BatchWriteItem", {"RequestItems": {"users": puts(100)}})
    assert (reply.status, reply.json["UnprocessedItems"]) == (200, {})
    assert (await client.call("Scan", {"TableName": "users"})).json["Count"] == 100


async def test_a_batch_of_101_writes_is_refused_whole(client):
    """One item over the limit, over two tables, and nothing is written."""
    reply = await client.call("BatchWriteItem", {"RequestItems": {"users": puts(101)}})
    assert error_of(reply) == (400, "ValidationException")
    assert (await client.call("Scan", {"TableName": "users"})).json["Count"] == 0


async def test_duplicate_keys_anywhere_in_a_batch_are_refused(client):
    """The first and the hundredth write of a batch may not be of one key."""
    reply = await client.call("BatchWriteItem", {"RequestItems": {"users": [*puts(99), *puts(1)]}})
    assert error_of(reply) == (400, "ValidationException")
    assert (await client.call("Scan", {"TableName": "users"})).json["Count"] == 0


@pytest.mark.parametrize(("length", "status"), [(192, 200), (193, 400)])
async def test_table_names_have_up_to_192_characters(client, id_table, length, status):
    """AWS takes 255."""
    assert (await client.call("CreateTable", {**id_table, "TableName": "t" * length})).status == status


async def test_items_may_be_larger_than_400_kb(client):
    """The size of a request is the only bound on an item, in a put, an update and a batch."""
    text = {"S": "x" * 500_000}
    item = {"id": {"S": "ada"}, "text": text}
    update = {
        **GET,
        "UpdateExpression": "SET more = :more",
        "ExpressionAttributeValues": {":more": text},
    }
    assert (await client.call("PutItem", {"TableName": "users", "Item": item})).status == 200
    assert (await client.call("UpdateItem", update)).status == 200
    batch = {"RequestItems": {"users": [{"PutRequest": {"Item": item}}]}}
    assert (await client.call("BatchWriteItem", batch)).status == 200


async def test_time_to_live_is_set_once(client):
    """Enabling twice, and disabling what is disabled, are validation errors; AWS's engine takes both."""

    def setting(*, enabled):
        return {"TableName": "users", "TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": "expires"}}

    assert error_of(await client.call("UpdateTimeToLive", setting(enabled=False))) == (400, "ValidationException")
    assert (await client.call("UpdateTimeToLive", setting(enabled=True))).status == 200
    again = await client.call("UpdateTimeToLive", setting(enabled=True))
    assert error_of(again) == (400, "ValidationException")
    assert again.json["message"] == "TTL is already enabled"


async def test_time_to_live_of_an_absent_table_is_not_found(client):
    """The engine's own error comes through."""
    request = {"TableName": "absent", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "e"}}
    assert error_of(await client.call("UpdateTimeToLive", request)) == (400, "ResourceNotFoundException")


async def test_describe_endpoints_names_the_host_that_was_asked(client):
    """The address is the request's Host header."""
    reply = await client.call("DescribeEndpoints", {})
    assert reply.json == {"Endpoints": [{"Address": client.host, "CachePeriodInMinutes": 1440}]}


async def test_streams_are_read_through_the_same_endpoint(client, id_table):
    """The Streams operations reach their part of the engine; empty and full answers alike."""
    specification = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    await client.call("CreateTable", {**id_table, "TableName": "fed", "StreamSpecification": specification})
    streams = (await client.call("ListStreams", {"TableName": "fed"})).json["Streams"]
    arn = {"StreamArn": streams[0]["StreamArn"]}
    shards = (await client.call("DescribeStream", arn)).json["StreamDescription"]["Shards"]
    where = {**arn, "ShardId": shards[0]["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = (await client.call("GetShardIterator", where)).json
    await client.call("PutItem", {"TableName": "fed", "Item": {"id": {"S": "ada"}}})
    records = (await client.call("GetRecords", iterator)).json["Records"]
    assert [record["dynamodb"]["Keys"] for record in records] == [{"id": {"S": "ada"}}]

"""Compressed answers: which encoding a header asks for, and which answers the nodes compress."""

from __future__ import annotations

import gzip
import json
import random
import zlib

import pytest
import trio

from alternator_trio.testing import LocalCluster, Truncate
from alternator_trio.testing._compression import compressed, preferred
from alternator_trio.testing._http import Reply

GET = {"TableName": "users", "Key": {"id": {"S": "ada"}}}
UNPACK = {"gzip": gzip.decompress, "deflate": zlib.decompress}


def noise(length: int) -> str:
    """Text that hardly gets smaller."""
    return random.Random(1).randbytes(length // 2).hex()


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("GZIP", "gzip"),
        ("gzip, deflate", "gzip"),
        ("deflate, gzip", "deflate"),
        ("deflate,gzip", "deflate"),
        ("br, zstd, deflate", "deflate"),
        (" , gzip,, ", "gzip"),
        # none
        ("", None),
        ("identity", None),
        ("br", None),
        ("x-gzip", None),
        ('"gzip"', None),
        ("gzip deflate", None),
        # weights
        ("gzip;q=0.5, deflate;q=0.8", "deflate"),
        ("gzip; q=0.5 , deflate ;Q = 0.4", "gzip"),
        ("gzip;q=0.5, deflate", "deflate"),
        ("deflate;q=0.5, gzip;q=0.5", "deflate"),
        ("gzip;q=0, deflate;q=0.001", "deflate"),
        ("gzip;q=0", None),
        ("gzip;q=0.0, deflate;q=0", None),
        ("deflate;q=.5, gzip;q=1.", "gzip"),
        ("deflate;q=0.5, gzip;q=1e-3", "deflate"),
        ("gzip;level=1;q=0", None),
        # weights that are none, or too large, or too small
        ("deflate;q=0.5, gzip;q=high", "gzip"),
        ("deflate;q=0.5, gzip;q=", "gzip"),
        ("deflate;q=7, gzip;q=8", "deflate"),
        ("deflate;q=-1, gzip;q=0.1", "gzip"),
        # several for one
        ("gzip;q=0.2, deflate;q=0.5, gzip;q=1", "deflate"),
        ("gzip;q=0, deflate;q=0.5, gzip;q=1", "gzip"),
        ("gzip;q=0, gzip", None),
        ("gzip;q=0.2;q=1, deflate;q=0.5", "deflate"),
        # identity is passed over
        ("identity, gzip;q=0.1", "gzip"),
        ("identity;q=0, gzip;q=0", None),
        # anything
        ("*", "gzip"),
        ("*;q=0", None),
        ("*;q=0.1, identity", "gzip"),
        ("*, deflate", "deflate"),
        ("deflate, *", "deflate"),
        ("*, deflate;q=0.5", "gzip"),
        ("*, gzip;q=0.5", "deflate"),
        ("gzip;q=0, *", "deflate"),
        ("*, gzip;q=0.1, deflate;q=0.2", "deflate"),
        ("*, gzip;q=0, deflate;q=0", None),
    ],
)
def test_the_preferred_encoding(header, encoding):
    """Weight before order, and what Alternator makes of the rest."""
    assert preferred(header) == encoding


@pytest.mark.parametrize(
    ("reply", "header", "compress_from"),
    [
        (Reply(200, bytes(5000)), None, 4096),
        (Reply(200, bytes(4095)), b"gzip", 4096),
        (Reply(200, bytes(5000)), b"identity", 4096),
        (Reply(200, bytes(5000)), b"gzip", None),
        (Reply(200, bytes(5000), streamed=True), b"gzip", None),
        (Reply(400, bytes(5000)), b"gzip", 4096),
        (Reply(500, bytes(5000)), b"gzip", 0),
    ],
)
def test_other_answers_go_as_they_are(reply, header, compress_from):
    """Nobody asked, too small, switched off, or an error."""
    assert compressed(reply, header, compress_from) is reply


@pytest.mark.parametrize(
    ("reply", "compress_from"),
    [(Reply(200, b"a" * 4096), 4096), (Reply(200, b"{}", streamed=True), 4096), (Reply(200, b"{}"), 0)],
)
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_answers_are_compressed(reply, compress_from, encoding):
    """From the size on, streamed ones always, and also when that makes them larger."""
    packed = compressed(reply, encoding.encode(), compress_from)
    assert packed.headers == (("Content-Encoding", encoding),)
    assert UNPACK[encoding](packed.body) == reply.body
    assert packed.streamed == reply.streamed


@pytest.fixture
def put(client):
    async def put(name, size):
        item = {"id": {"S": name}, "text": {"S": "x" * size}}
        assert (await client.call("PutItem", {"TableName": "users", "Item": item})).status == 200
        return item

    return put


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_node_compresses_for_who_asks(client, put, encoding):
    """The answer says how it is encoded and how long it is then; the next one on the connection is plain."""
    item = await put("ada", 5000)
    packed = await client.call("GetItem", GET, headers=[("Accept-Encoding", encoding)])
    plain = await client.call("GetItem", GET)
    assert packed.headers["content-encoding"] == encoding
    assert packed.headers["content-length"] == str(len(packed.body))
    assert len(packed.body) < 200
    assert UNPACK[encoding](packed.body) == plain.body
    assert plain.json == {"Item": item}
    assert "content-encoding" not in plain.headers


async def test_a_node_compresses_from_4096_bytes_on(client, put):
    """The size is the uncompressed body's, and 4096 itself is compressed."""
    await put("ada", 0)
    frame = len((await client.call("GetItem", GET)).body)
    found = []
    for size in (4095, 4096):
        await put("ada", size - frame)
        reply = await client.call("GetItem", GET, headers=[("accept-encoding", "gzip")])
        found.append(reply.headers.get("content-encoding"))
    assert found == [None, "gzip"]


async def test_a_streamed_answer_is_compressed_and_chunked(client, put):
    """An answer of 256 items is compressed, whatever its size, and has no Content-Length."""
    for number in range(256):
        await put(str(number), 0)
    scan = {"TableName": "users", "ProjectionExpression": "absent"}
    reply = await client.call("Scan", scan, headers=[("accept-encoding", "deflate, gzip")])
    assert reply.headers["content-encoding"] == "deflate"
    assert reply.headers["transfer-encoding"] == "chunked"
    assert zlib.decompress(reply.body) == (await client.call("Scan", scan)).body


async def test_a_large_streamed_answer_comes_in_chunks_of_what_is_compressed(client):
    """The chunks are of the compressed body, and put together they are one stream."""
    item = {"id": {"S": "ada"}, "noise": {"S": noise(300_000)}}
    assert (await client.call("PutItem", {"TableName": "users", "Item": item})).status == 200
    reply = await client.call("GetItem", GET, headers=[("accept-encoding", "gzip")])
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.data_events > 1
    assert json.loads(gzip.decompress(reply.body)) == {"Item": item}


async def test_an_error_is_not_compressed(dial):
    """Not even where everything else is."""
    async with LocalCluster(1, compress_from=1) as cluster, dial(cluster.nodes[0]) as client:
        asking = [("accept-encoding", "gzip")]
        tables = await client.call("ListTables", {}, headers=asking)
        error = await client.call("GetItem", {"TableName": "absent", "Key": {}}, headers=asking)
    assert tables.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in error.headers
    assert error.json["__type"].endswith("#ResourceNotFoundException")


@pytest.mark.parametrize("path", ["/", "/localnodes"])
async def test_what_is_no_operation_is_not_compressed(dial, path):
    """Health checks and discovery's answers go as they are."""
    async with LocalCluster(1, compress_from=1) as cluster, dial(cluster.nodes[0]) as client:
        reply = await client.request("GET", path, headers=[("accept-encoding", "gzip")])
    assert reply.status == 200
    assert "content-encoding" not in reply.headers


async def test_an_answer_without_a_body_is_not_compressed(dial, id_table):
    """TagResource answers with nothing, and nothing is less than every size."""
    async with LocalCluster(1, compress_from=1) as cluster, dial(cluster.nodes[0]) as client:
        arn = (await client.call("CreateTable", id_table)).json["TableDescription"]["TableArn"]
        tagging = {"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "b"}]}
        reply = await client.call("TagResource", tagging, headers=[("accept-encoding", "gzip")])
    assert (reply.status, reply.body) == (200, b"")
    assert "content-encoding" not in reply.headers


async def test_an_older_cluster_compresses_nothing(dial, id_table):
    """Without a size no answer is compressed."""
    async with LocalCluster(1, compress_from=None) as cluster, dial(cluster.nodes[0]) as client:
        await client.call("CreateTable", id_table)
        item = {"id": {"S": "ada"}, "text": {"S": "x" * 200_000}}
        await client.call("PutItem", {"TableName": "users", "Item": item})
        reply = await client.call("GetItem", GET, headers=[("accept-encoding", "gzip")])
    assert "content-encoding" not in reply.headers
    assert reply.json == {"Item": item}


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_is_at_least_one(size):
    """What compresses nothing is None: ScyllaDB reads 0 so, and others would read it as everything."""
    with pytest.raises(ValueError, match="compress_from"):
        LocalCluster(compress_from=size)


async def test_a_truncated_answer_is_truncated_compressed(cluster, client, put):
    """The fault leaves the encoding alone: a part of the compressed body, under its length."""
    await put("ada", 5000)
    cluster.nodes[0].fail_next(Truncate(body_bytes=10))
    body = json.dumps(GET).encode()
    await client.send(
        b"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: DynamoDB_20120810.GetItem\r\naccept-encoding: gzip\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    with trio.fail_after(5):
        received = b"".join([part async for part in client.stream])
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert body[:2] == b"\x1f\x8b"
    assert len(body) == 10

"""Signing and compression end to end: what goes over the wire, and that a server which checks accepts it."""

from __future__ import annotations

import gzip
import zlib

import pytest

from alternator_trio import Credentials, RequestCompression, ServiceError, open_alternator
from alternator_trio.testing import LocalCluster, Reset
from tests.client.conftest import create_table
from tests.users import KEY
from tests.waiting import all_active

ROLE = Credentials("role", "salted_hash")
LARGE = {**KEY, "text": {"S": "lorem ipsum " * 1000}}


@pytest.mark.parametrize("compression", [None, RequestCompression.gzip(), RequestCompression.deflate()])
async def test_a_verifying_server_accepts_what_is_sent(compression: RequestCompression | None) -> None:
    """The signature covers the compressed body and the headers of the node that the request goes to."""
    async with LocalCluster(nodes=3, credentials={"role": "salted_hash"}) as cluster:
        async with open_alternator(
            *cluster.seeds, credentials=ROLE, request_compression=compression, response_compression=("gzip", "deflate")
        ) as client:
            await create_table(client)
            await all_active(client)
            for node in cluster.nodes:
                node.clear_requests()
            for _ in range(3):
                await client.put_item(TableName="users", Item=LARGE)
                answer = await client.get_item(TableName="users", Key=KEY)
                assert answer["Item"] == LARGE
        sent = [request for node in cluster.nodes for request in node.requests if request.operation == "PutItem"]
        assert len(sent) == 3
        for request in sent:
            coding = None if compression is None else compression.encoding.encode()
            assert request.header("content-encoding") == (None if coding is None else coding.decode())
            unpack = {None: bytes, b"gzip": gzip.decompress, b"deflate": zlib.decompress}[coding]
            assert b"lorem ipsum" in unpack(request.body)


async def test_each_attempt_is_signed_for_its_node() -> None:
    """A retry elsewhere carries another Host and another signature, and is accepted."""
    async with LocalCluster(nodes=3, credentials={"role": "salted_hash"}) as cluster:
        async with open_alternator(*cluster.seeds, credentials=ROLE) as client:
            await create_table(client)
            await all_active(client)
            for node in cluster.nodes[:2]:
                node.clear_requests()
                node.fail_next(Reset())
            for _ in range(3):
                await client.put_item(TableName="users", Item=KEY)
            assert client.statistics().retries == 2
        for node in cluster.nodes:
            hosts = {request.header("host") for request in node.requests}
            assert hosts <= {f"{node.address}:{node.port}"}


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (Credentials("role", "a-secret-of-ours"), "UnrecognizedClientException"),
        (Credentials("nobody", "salted_hash"), "UnrecognizedClientException"),
        (None, "MissingAuthenticationTokenException"),
    ],
)
async def test_wrong_credentials_are_the_servers_error(credentials: Credentials | None, code: str) -> None:
    """The error has the server's name, is not retried, and shows no secret."""
    async with LocalCluster(nodes=1, credentials={"role": "salted_hash"}) as cluster:
        async with open_alternator(*cluster.seeds, credentials=credentials) as client:
            with pytest.raises(ServiceError) as caught:
                await client.list_tables()
        assert (caught.value.code, caught.value.attempts) == (code, 1)
        assert "a-secret-of-ours" not in f"{caught.value!r} {caught.value} {client!r} {caught.value.response}"


async def test_small_bodies_go_as_they_are() -> None:
    """Below the threshold nothing is compressed."""
    async with LocalCluster(nodes=1) as cluster:
        async with open_alternator(*cluster.seeds, request_compression=RequestCompression.gzip()) as client:
            await client.list_tables()
        (request,) = [request for request in cluster.nodes[0].requests if request.operation]
        assert request.header("content-encoding") is None
        assert request.body == b"{}"


async def test_answers_are_asked_for_compressed_in_order() -> None:
    """Accept-Encoding names what the client takes, in its order; without it none is asked for."""
    async with LocalCluster(nodes=1) as cluster:
        for encodings in (("deflate", "gzip"), ()):
            async with open_alternator(*cluster.seeds, response_compression=encodings) as client:
                await client.list_tables()
        asked = [request.header("accept-encoding") for request in cluster.nodes[0].requests if request.operation]
    assert asked == ["deflate, gzip", None]

"""Requests written as bytes: exactly these heads, and what h11 reads in them."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._wire.http_request import RequestWriter, sdk_lines
from alternator_trio.config import AlternatorConfig
from alternator_trio.errors import EncodingError
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

NODE = Node("http", "10.0.0.1", 8000)
HOSTS = {
    "10.0.0.1:8000": NODE,
    "node-1.example": Node("http", "node-1.example", 80),
    "node-1.example:80": Node("https", "node-1.example", 80),
    "[2001:db8::1]:8000": Node("http", "2001:db8::1", 8000),
    "[2001:db8::1]": Node("https", "2001:db8::1", 443),
}


def events(data: bytes) -> tuple[h11.Request, bytes]:
    """The one request in the bytes, as a server reads it."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert connection.trailing_data == (b"", False)
    return request, body


def test_an_operation_is_these_bytes():
    """The lean head: host, user-agent, x-amz-target, content-type, content-length, and nothing else."""
    writer = RequestWriter("demo/1")
    assert writer.post(NODE, writer.fields("GetItem"), b"{}") == (
        b"POST / HTTP/1.1\r\n"
        b"host: 10.0.0.1:8000\r\n"
        b"user-agent: demo/1\r\n"
        b"x-amz-target: DynamoDB_20120810.GetItem\r\n"
        b"content-type: application/x-amz-json-1.0\r\n"
        b"content-length: 2\r\n"
        b"\r\n"
        b"{}"
    )


def test_the_question_for_nodes_is_these_bytes():
    """A GET without a body."""
    expected = b"GET /localnodes HTTP/1.1\r\nhost: 10.0.0.1:8000\r\nuser-agent: demo/1\r\n\r\n"
    assert RequestWriter("demo/1").localnodes(NODE, RoutingScope.cluster()) == expected


def test_the_question_for_a_rack_names_it():
    """Names are quoted; a datacenter's question names no rack."""
    writer = RequestWriter("demo/1")
    assert writer.localnodes(NODE, RoutingScope.rack("dc 1", "r&b")).startswith(
        b"GET /localnodes?dc=dc%201&rack=r%26b HTTP/1.1\r\n"
    )
    assert writer.localnodes(NODE, RoutingScope.datacenter("dc1")).startswith(b"GET /localnodes?dc=dc1 HTTP/1.1\r\n")


@pytest.mark.parametrize(("host", "node"), HOSTS.items(), ids=HOSTS)
def test_the_host_field_is_the_nodes_authority(host, node):
    """Without the scheme's default port, IPv6 in brackets; of the node that the request goes to, not of the first."""
    writer = RequestWriter("demo/1")
    fields = writer.fields("GetItem")
    writer.post(NODE, fields, b"")
    for data in (writer.post(node, fields, b""), writer.localnodes(node, RoutingScope.cluster())):
        request, _ = events(data)
        assert dict(request.headers)[b"host"] == host.encode()


@given(body=st.binary(max_size=300))
def test_any_body_arrives_as_it_is(body):
    """Content-Length is the body's length: h11 finds exactly the body and nothing after it."""
    writer = RequestWriter("demo/1")
    request, read = events(writer.post(NODE, writer.fields("PutItem"), body))
    assert (request.method, request.target, read) == (b"POST", b"/", body)


def test_an_operation_of_streams_has_the_streams_target():
    """The Streams API has a prefix of its own."""
    assert b"x-amz-target: DynamoDBStreams_20120810.GetRecords\r\n" in RequestWriter("demo/1").fields("GetRecords")


@given(name=st.text(max_size=12).filter(lambda text: not (text.isascii() and text.isalnum())))
def test_a_name_that_could_write_a_head_of_its_own_is_refused(name):
    """Nothing but letters and digits gets into the target."""
    with pytest.raises(EncodingError):
        RequestWriter("demo/1").fields(name)


def test_what_was_built_for_nodes_that_left_is_dropped():
    """A cluster that changes for a year does not fill the memory."""
    writer = RequestWriter("demo/1")
    other = NODE.at("10.0.0.2")
    for node in (NODE, other):
        writer.post(node, writer.fields("GetItem"), b"")
    writer.keep_only([other])
    assert list(writer._by_node) == [other]


@pytest.mark.parametrize(("accepted", "asked"), [((), True), (("gzip",), False)])
def test_what_sdks_send_asks_for_no_second_encoding(accepted, asked):
    """An answer as it is, unless it may come compressed: the operation asks for that."""
    config = AlternatorConfig.build(("http://10.0.0.1:8000",), None, {"response_compression": accepted})
    assert (b"accept-encoding: identity\r\n" in sdk_lines("a1b2", 1, config)) is asked

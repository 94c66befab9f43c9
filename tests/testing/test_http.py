"""The nodes' HTTP/1.1: requests whole, split and together, bounds, and the bytes of answers."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio.testing._http import HEAD_LIMIT, BadRequestError, Renderer, Reply, RequestParser, chunked

REQUESTS = (
    b"POST /?a=b HTTP/1.1\r\nHost: one\r\nX-Amz-Target: A.GetItem\r\nContent-Length: 5\r\n\r\nhello"
    b"GET /localnodes HTTP/1.1\r\n\r\n"
    b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
)


def parsed(pieces):
    parser = RequestParser()
    return [request for piece in pieces for request in parser.feed(piece)]


def test_pipelined_requests_are_all_parsed():
    """Three requests in one read are three requests, in order."""
    first, second, third = parsed([REQUESTS])
    assert (first.method, first.target, first.body) == ("POST", "/?a=b", b"hello")
    assert first.headers[1] == (b"X-Amz-Target", b"A.GetItem")
    assert first.fields[b"x-amz-target"] == b"A.GetItem"
    assert (second.method, second.target, second.body) == ("GET", "/localnodes", b"")
    assert third.body == b"abcde"


@given(cuts=st.lists(st.integers(0, len(REQUESTS)), max_size=8))
def test_where_reads_are_cut_makes_no_difference(cuts):
    """The same bytes in any pieces are the same requests."""
    ends = [0, *sorted(cuts), len(REQUESTS)]
    pieces = [REQUESTS[start:end] for start, end in itertools.pairwise(ends)]
    assert parsed(pieces) == parsed([REQUESTS])


def test_one_byte_at_a_time():
    """Single bytes are the same requests."""
    assert parsed([bytes([byte]) for byte in REQUESTS]) == parsed([REQUESTS])


def test_requests_before_garbage_are_not_lost():
    """What was complete before the error can still be taken."""
    parser = RequestParser()
    with pytest.raises(BadRequestError):
        parser.feed(b"GET / HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    assert [request.target for request in parser.take()] == ["/"]


def test_a_head_over_its_bound_is_no_request():
    """An endless header is refused at 64 KiB, however it is cut; one just under the bound is taken."""
    endless = [b"GET / HTTP/1.1\r\nx: ", *[b"y" * 1024] * (HEAD_LIMIT // 1024)]
    assert len(parsed([*endless, b"\r\n\r\n"])) == 1
    with pytest.raises(BadRequestError, match="too long"):
        parsed([*endless, b"y"])


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
    ],
)
def test_who_wants_the_connection_kept(head, kept):
    """HTTP/1.1 keeps, unless the request says close."""
    assert parsed([head])[0].keep_alive is kept


async def test_the_connection_is_closed_when_the_client_asked_for_it(client):
    """``Connection: close`` is answered with the same and obeyed."""
    reply = await client.request("GET", "/", headers=[("connection", "close")])
    assert reply.headers["connection"] == "close"
    assert await client.end() == "fin"


async def test_pipelined_requests_are_answered_in_order(client):
    """Answers come in the order of the requests."""
    await client.send(b"GET / HTTP/1.1\r\nhost: 1\r\n\r\nGET / HTTP/1.1\r\nhost: 2\r\n\r\n")
    assert (await client.answer("GET")).body == b"healthy: 1"
    assert (await client.answer("GET")).body == b"healthy: 2"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("size", [0, 1, 32 * 1024, 100_000])
def test_answers_are_what_h11_reads(size, streamed):
    """Any body, framed either way, is read back by an independent parser."""
    body = bytes(size)
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(Renderer().render(Reply(200, body, streamed=streamed, headers=(("X-One", "1"),))))
    response = reader.next_event()
    read = b""
    while isinstance(event := reader.next_event(), h11.Data):
        read += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert read == body
    assert (b"x-one", b"1") in list(response.headers)


def test_an_unknown_status_has_a_phrase():
    """Statuses of no registry can be given by tests."""
    assert Renderer().render(Reply(599)).startswith(b"HTTP/1.1 599 Unknown\r\n")


def test_a_missing_last_chunk():
    """Without its last chunk a chunked body is only its data."""
    assert chunked(b"abc", last_chunk=False) == b"3\r\nabc\r\n"

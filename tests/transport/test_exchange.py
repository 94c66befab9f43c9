"""One attempt on one connection: what is an answer, what is an error, and what becomes of the connection."""

from __future__ import annotations

import gc
from typing import Never

import pytest
import trio
import trio.testing

from alternator_trio._transport.native import NativeTransport
from alternator_trio._transport.wires import Peek
from alternator_trio.errors import ConnectError, ConnectionLostError, ProtocolError
from alternator_trio.nodes import Node
from tests.transport.peers import (
    ANSWER,
    LARGE_BODY,
    LARGE_REQUEST,
    NODE,
    REQUEST,
    answering,
    open_peers,
    read_request,
)
from tests.transport.pool_world import A, FakeWire, PoolWorld

TOO_LARGE = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\n{}"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


# Answers


async def test_a_clean_exchange_leaves_its_connection_for_the_next():
    """Three exchanges, one dial."""
    async with open_peers(answering(ANSWER)) as peers:
        for _ in range(3):
            response = await peers.attempt()
            assert (response.status, response.body) == (200, b"{}")
        assert peers.dials == 1
        peers.assert_at_rest(idle=1)


@pytest.mark.parametrize(
    "parts",
    [
        [bytes([byte]) for byte in ANSWER],
        [CONTINUE, ANSWER],
        [CONTINUE + ANSWER[:30], ANSWER[30:]],
        [CHUNKED, b"2\r\n{", b"}\r\n0\r", b"\n\r\n"],
    ],
    ids=["byte by byte", "interim", "interim and half", "chunked"],
)
async def test_an_answer_is_read_in_whatever_parts_it_comes(parts):
    """The answer is the same, and the connection is kept."""
    async with open_peers(answering(*parts)) as peers:
        for _ in range(2):
            assert (await peers.attempt()).body == b"{}"
        assert peers.dials == 1


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER + b"x",
        ANSWER + ANSWER,
        CHUNKED + b"2\r\n{}\r\n0\r\n\r\n\r\n",
        ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"),
        ANSWER.replace(b"1.1", b"1.0"),
        TOO_LARGE,
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 38\r\n\r\n" + b'{"__type": "a.b#RequestLimitExceeded"}',
    ],
    ids=["stray byte", "second answer", "stray line", "close", "HTTP/1.0", "413", "shedding"],
)
async def test_an_answer_that_ends_its_connection_is_delivered_all_the_same(answer):
    """The answer is read, and the connection is closed at once."""
    async with open_peers(answering(answer)) as peers:
        assert (await peers.attempt()).status in {200, 400, 413}
        peers.assert_at_rest(idle=0)


async def test_an_error_answer_keeps_its_connection():
    """A refusal of the operation says nothing about the connection."""
    async with open_peers(answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}")) as peers:
        assert (await peers.attempt()).status == 400
        peers.assert_at_rest(idle=1)


# Errors


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "before an answer began"),
        (HEAD, "within the head"),
        (CONTINUE, "within the head"),
        (HEAD + b"Content-Length: 2\r\n\r\n", "before the body was complete"),
        (ANSWER[:-1], "before the body was complete"),
        (CHUNKED + b"2\r\n{}\r\n", "before the body was complete"),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", "before the body was complete"),
    ],
)
@pytest.mark.parametrize("request_bytes", [REQUEST, LARGE_REQUEST], ids=["small", "large"])
async def test_a_connection_that_ends_early_is_an_error_that_says_how_far_it_came(request_bytes, sent, reason):
    """In each phase: the reason, the node, and that the request may have been carried out."""
    async with open_peers(answering(sent, then="close")) as peers:
        with pytest.raises(ConnectionLostError, match=reason) as caught:
            await peers.attempt(request_bytes)
        assert caught.value.node == NODE.endpoint
        assert caught.value.may_have_happened
        peers.assert_at_rest(idle=0)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        HEAD + b"\r\n{}",
        CHUNKED + b"x\r\n",
    ],
)
@pytest.mark.parametrize("request_bytes", [REQUEST, LARGE_REQUEST], ids=["small", "large"])
async def test_what_is_no_acceptable_answer_is_a_protocol_error(request_bytes, answer):
    """It names the node, the request may have been carried out, and the connection is closed."""
    async with open_peers(answering(answer)) as peers:
        with pytest.raises(ProtocolError) as caught:
            await peers.attempt(request_bytes)
        assert caught.value.node == NODE.endpoint
        assert caught.value.may_have_happened
        peers.assert_at_rest(idle=0)


async def test_a_failed_dial_is_an_error_of_which_nothing_was_sent():
    """The slot is free again."""
    async with open_peers(answering(ANSWER)) as peers:

        async def refuse(node):
            await trio.lowlevel.checkpoint()
            raise ConnectError("refused", node=node.endpoint)

        peers.transport._dial = refuse
        with pytest.raises(ConnectError) as caught:
            await peers.attempt()
        assert not caught.value.may_have_happened
        peers.assert_at_rest(idle=0)


# Large requests


async def test_a_large_request_is_sent_whole_and_its_connection_kept():
    """Ten megabytes arrive as they are; a second such request takes the same connection."""
    received = []

    async def serve(stream: trio.abc.Stream) -> None:
        for _ in range(2):
            received.append(await read_request(stream))
            await stream.send_all(ANSWER)
        await trio.sleep_forever()

    async with open_peers(serve) as peers:
        for _ in range(2):
            assert (await peers.attempt(LARGE_REQUEST)).status == 200
        assert received == [LARGE_REQUEST] * 2
        peers.assert_at_rest(idle=1)


async def refuse_unread(stream: trio.abc.Stream) -> None:
    """Read the beginning of the head, refuse, and read no more."""
    await stream.receive_some(10)
    await stream.send_all(TOO_LARGE)
    await trio.sleep_forever()


async def test_a_refusal_before_the_body_was_read_is_read():
    """A peer that answers 413 and reads no more is heard, and the connection with the half-sent body closed."""
    async with open_peers(refuse_unread, trio.testing.lockstep_stream_pair) as peers:
        response = await peers.attempt(LARGE_REQUEST)
        assert response.status == 413
        peers.assert_at_rest(idle=0)


async def test_any_answer_before_the_request_was_sent_ends_the_connection():
    """A 200 as well: the rest of the body would be read as the next request."""

    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some(10)
        await stream.send_all(ANSWER)
        await trio.sleep_forever()

    async with open_peers(serve, trio.testing.lockstep_stream_pair) as peers:
        assert (await peers.attempt(LARGE_REQUEST)).status == 200
        peers.assert_at_rest(idle=0)


async def test_an_interim_answer_does_not_stop_a_large_request():
    """A peer that says 100 Continue, unasked, goes on to get the whole body."""
    received = []

    async def serve(stream: trio.abc.Stream) -> None:
        await stream.send_all(CONTINUE)
        received.append(await read_request(stream))
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(ANSWER)
        await trio.sleep_forever()

    async with open_peers(serve, trio.testing.lockstep_stream_pair) as peers:
        assert (await peers.attempt(LARGE_REQUEST)).body == b"{}"
        assert received[0].endswith(LARGE_BODY)
        peers.assert_at_rest(idle=1)


async def test_a_refusal_is_read_though_sending_fails():
    """The peer answers and closes its receiving side: the broken send does not hide what it said."""

    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some(10)
        await stream.receive_stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(TOO_LARGE)
        await trio.sleep_forever()

    async with open_peers(serve, trio.testing.lockstep_stream_pair) as peers:
        assert (await peers.attempt(LARGE_REQUEST)).status == 413
        peers.assert_at_rest(idle=0)


# What a failed exchange tells of its connection


@pytest.mark.parametrize(
    ("sent", "exchanges_before", "status", "was_stale"),
    [
        (b"", 0, 0, False),
        (b"", 1, 0, True),
        (HEAD, 1, 0, False),
        (ANSWER[:-1], 1, 200, False),
        (b"HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\n{", 0, 503, False),
    ],
)
async def test_a_failed_exchange_tells_how_far_it_came(sent, exchanges_before, status, was_stale):
    """The status if there was one, and whether the connection may simply have been too old."""

    async def serve(stream: trio.abc.Stream) -> None:
        for _ in range(exchanges_before):
            await read_request(stream)
            await stream.send_all(ANSWER)
        await answering(sent, then="close")(stream)

    async with open_peers(serve) as peers:
        for _ in range(exchanges_before):
            await peers.attempt()
        lease = peers.lease()
        with pytest.raises(ConnectionLostError):
            await peers.transport.attempt(lease, REQUEST, trio.current_time(), 12.0, 100)
        assert (lease.status, lease.was_stale) == (status, was_stale)


class BrokenWire(FakeWire):
    """One whose peer has ended, as a send finds."""

    async def send(self, data: bytes) -> Never:
        raise trio.BrokenResourceError


async def test_when_a_connection_breaks_the_idle_ones_of_its_node_are_looked_at():
    """One of them has ended too, and is closed without waiting for its lease."""
    world = PoolWorld()
    transport = NativeTransport(world.pools, world.dial)
    idle, broken = await world.lease(), world.pools.take(A, 0.0)
    assert broken is not None

    async def dial(node: Node) -> FakeWire:
        return BrokenWire(node)

    await broken.dial(dial)
    world.pools.give_back(idle, 0.0)
    world.wires[0].shows = Peek.ENDED
    with pytest.raises(ConnectionLostError):
        await transport.attempt(broken, REQUEST, trio.current_time(), 1.0, 1000)
    assert world.pools.statistics() == (0, 0, 0)


async def test_an_idle_connection_holds_no_answer():
    """A thousand idle connections do not keep a thousand pages in memory."""
    body = b"a" * 10_007
    async with open_peers(answering(HEAD + b"Content-Length: 10007\r\n\r\n" + body[:-1], body[-1:])) as peers:
        await peers.attempt()
        peers.assert_at_rest(idle=1)
        gc.collect()
        kept = [held for held in gc.get_objects() if isinstance(held, list) and any(_is_long(part) for part in held)]
        assert not kept


def _is_long(held: object) -> bool:
    return isinstance(held, bytes) and 10_000 <= len(held) < 10_100

"""Wires over real sockets: what a look shows, what closing does, and which failures sent nothing."""

from __future__ import annotations

import errno
import gc
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
import trio.testing

from alternator_trio._transport.wires import NothingSentError, Peek, SocketWire, StreamWire

MEGABYTE = b"a" * 2**20


@contextmanager
def connected() -> Iterator[tuple[SocketWire, socket.socket]]:
    """A wire and the peer's blocking socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    wire = SocketWire(client)
    with peer:
        try:
            yield wire, peer
        finally:
            wire.close()


class Fickle(socket.socket):
    """Of a wire's every two calls the first finds it not ready, whatever it was said to be."""

    is_ready = True

    def send(self, data) -> int:
        self._turn()
        return super().send(data)

    def recv(self, size: int) -> bytes:
        self._turn()
        return super().recv(size)

    def _turn(self) -> None:
        self.is_ready = not self.is_ready
        if not self.is_ready:
            raise BlockingIOError


def reset(sock: socket.socket) -> None:
    """End a connection with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def seen(wire: SocketWire, but: Peek = Peek.QUIET) -> Peek:
    """What a look shows once it shows something else, or after a second."""
    with trio.move_on_after(1):
        while (peek := wire.peek()) is but:
            await trio.sleep(0.001)
    return peek


async def test_a_quiet_wire_is_quiet():
    """Nothing has come."""
    with connected() as (wire, _):
        assert wire.peek() is Peek.QUIET


async def test_a_look_sees_an_orderly_end():
    """FIN."""
    with connected() as (wire, peer):
        peer.close()
        assert await seen(wire) is Peek.ENDED


async def test_a_look_sees_a_reset():
    """RST."""
    with connected() as (wire, peer):
        reset(peer)
        assert await seen(wire) is Peek.ENDED


async def test_a_look_sees_stray_bytes_and_leaves_them():
    """Looking takes nothing away."""
    with connected() as (wire, peer):
        peer.send(b"xy")
        assert await seen(wire) is Peek.STRAY
        assert await wire.receive() == b"xy"


async def test_a_look_at_a_closed_wire_shows_its_end():
    """And is no error."""
    with connected() as (wire, _):
        wire.close()
        assert wire.peek() is Peek.ENDED


async def test_the_end_of_the_stream_is_empty():
    """FIN is received as no bytes."""
    with connected() as (wire, peer):
        peer.send(b"{}")
        peer.close()
        assert await wire.receive() == b"{}"
        assert await wire.receive() == b""


async def test_what_fits_is_sent_without_a_checkpoint():
    """A schedule point costs a quarter of an exchange."""
    with connected() as (wire, peer):
        with trio.testing.assert_no_checkpoints():
            await wire.send(b"{}")
        assert peer.recv(10) == b"{}"


async def test_what_does_not_fit_is_sent_as_the_peer_reads():
    """Sixteen megabytes arrive whole."""
    with connected() as (wire, peer):
        received = bytearray()

        def read() -> None:
            while len(received) < 16 * len(MEGABYTE):
                received.extend(peer.recv(2**18))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, read)
            await wire.send(16 * MEGABYTE)
        assert received == 16 * MEGABYTE


async def test_being_woken_for_nothing_is_harmless():
    """The kernel says that a socket is ready, and then has no room, and no bytes: all is sent and received."""
    with socket.create_server(("127.0.0.1", 0)) as listener, Fickle() as client:
        client.connect(listener.getsockname())
        peer, _ = listener.accept()
        peer.settimeout(5)
        wire = SocketWire(client)
        received = bytearray()

        def read_and_answer() -> None:
            while len(received) < 4 * len(MEGABYTE):
                received.extend(peer.recv(2**18))
            peer.send(b"{}")

        with peer:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, read_and_answer)
                await wire.send(4 * MEGABYTE)
                assert await wire.receive() == b"{}"
    assert received == 4 * MEGABYTE


async def test_receiving_is_always_a_checkpoint():
    """A flood of answers does not starve other tasks."""
    with connected() as (wire, peer):
        peer.send(b"{}")
        await seen(wire)
        with trio.testing.assert_checkpoints():
            await wire.receive()


async def test_whenever_an_answer_comes_it_is_received():
    """Before the receive, while other tasks have their turn, or when all are waiting: early and late ones in turn."""
    with connected() as (wire, peer):

        async def answer_late() -> None:
            await trio.testing.wait_all_tasks_blocked(0.001)
            peer.send(b"late")

        for _ in range(40):
            peer.send(b"early")
            await seen(wire)
            assert await wire.receive() == b"early"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer_late)
                assert await wire.receive() == b"late"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, peer.send, b"between")
                assert await wire.receive() == b"between"


@pytest.mark.parametrize("misses", [0, 1])
async def test_a_cancelled_receive_takes_nothing(misses):
    """The bytes that have come stay for the next receive, whether it looks first or has the kernel call."""
    with connected() as (wire, peer):
        for _ in range(misses):
            with trio.move_on_after(0.001):
                await wire.receive()
        peer.send(b"{}")
        await seen(wire)
        with trio.CancelScope() as scope:
            scope.cancel()
            await wire.receive()
        assert scope.cancelled_caught
        assert await wire.receive() == b"{}"


async def test_closing_while_other_tasks_have_their_turn_is_told_as_closing():
    """The wire is closed between the checkpoint of a receive and its look."""
    with connected() as (wire, _):

        async def close() -> None:
            wire.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(close)
            with pytest.raises(trio.ClosedResourceError):
                await wire.receive()


async def test_a_reset_is_received_as_what_it_is():
    """An error of the system, which is not taken for our own closing."""
    with connected() as (wire, peer):
        reset(peer)  # not looked for: a look takes the error away
        with pytest.raises(ConnectionResetError):
            await wire.receive()


@pytest.mark.parametrize("what", ["receive", "send"])
async def test_closing_wakes_whoever_waits(what):
    """With `ClosedResourceError`, at once; closing again is harmless."""
    with connected() as (wire, _):
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await (wire.receive() if what == "receive" else wire.send(64 * MEGABYTE))

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked(0.01)
            wire.close()
            wire.close()


async def test_a_send_after_a_reset_says_that_nothing_was_sent():
    """The kernel refuses it whole."""
    with connected() as (wire, peer):
        reset(peer)
        await seen(wire)
        with pytest.raises(NothingSentError) as caught:
            await wire.send(b"{}")
        cause = caught.value.__cause__
        assert isinstance(cause, OSError)
        assert cause.errno in {errno.ECONNRESET, errno.EPIPE}


async def test_a_send_that_breaks_in_its_middle_does_not_say_so():
    """Some of it may have been read."""
    with connected() as (wire, peer):

        async def break_off() -> None:
            await trio.testing.wait_all_tasks_blocked(0.01)
            reset(peer)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_off)
            with pytest.raises(OSError, match=r"reset|[Bb]roken"):
                await wire.send(64 * MEGABYTE)


async def test_a_closed_wire_leaves_no_socket():
    """A socket that is collected open is a ResourceWarning, and here an error."""
    with connected() as (wire, _):
        wire.close()
        del wire
        gc.collect()


async def test_a_stream_without_a_socket_is_taken_to_be_quiet():
    """Streams in memory have nothing to look at."""
    client, server = trio.testing.memory_stream_pair()
    await server.send_all(b"x")
    assert StreamWire(client, lambda: None).peek() is Peek.QUIET

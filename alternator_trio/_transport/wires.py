"""What a connection sends and receives on: a raw socket for plain TCP; in ``tls_wire`` TLS over one; any Trio stream.

Rules: closing is synchronous and wakes whoever waits on the wire with `trio.ClosedResourceError`. A send that the
kernel takes at once is no checkpoint, because a receive, which always is one, comes next (a schedule point costs as
much as a quarter of the whole exchange).
"""

from __future__ import annotations

import enum
import select
import socket
from collections.abc import Callable
from typing import Final, Protocol

import trio

__all__ = ["AlertError", "NothingSentError", "Peek", "SocketWire", "StreamWire", "Wire", "peek_at", "poll_of"]

RECEIVE_BYTES: Final = 64 * 1024
_RECEIVES_WITHOUT_LOOK: Final = 16  # after a look that came too early


class NothingSentError(Exception):
    """The wire was broken before the first byte of a send; the cause says how."""


class AlertError(trio.BrokenResourceError):
    """The peer ended the connection with a TLS alert, which is the cause."""


class Peek(enum.Enum):
    """What a look at an idle wire shows."""

    QUIET = enum.auto()
    """Nothing has arrived: as it should be."""
    ENDED = enum.auto()
    """The peer has closed, or the connection is broken."""
    STRAY = enum.auto()
    """Bytes that nobody asked for."""


class Wire(Protocol):
    """A byte stream with a synchronous close."""

    async def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            NothingSentError: It is certain that nothing was.
        """
        ...

    async def receive(self) -> bytes:
        """The next bytes; empty at the end of the stream.

        Raises:
            AlertError: The peer says why it ends the connection.
        """
        ...

    def peek(self) -> Peek:
        """Look, without waiting and without taking anything, at what has arrived."""
        ...

    def close(self) -> None:
        """Close at once."""
        ...


class SocketWire:
    """A connected TCP socket. Takes it over: the wire closes it."""

    __slots__ = ("_has_news", "_sock", "_without_look")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._without_look = 0
        self._has_news = poll_of(sock)

    async def send(self, data: bytes) -> None:
        """Send all of it; a checkpoint only when the kernel's buffer is full."""
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # The kernel knew already: the node has closed, and none of this reaches it.
            raise NothingSentError from error
        if sent < len(data):
            await self._send_rest(memoryview(data)[sent:])

    async def receive(self) -> bytes:
        """The next bytes; empty at the end of the stream. Always a checkpoint.

        With many exchanges at a time the bytes are there when the other tasks have had their turn, and a look costs
        less than having the kernel call. With few it comes too early, and is left out for a while.
        """
        if self._without_look:
            self._without_look -= 1
        else:
            await trio.lowlevel.checkpoint()
            try:
                return self._sock.recv(RECEIVE_BYTES)
            except BlockingIOError:
                self._without_look = _RECEIVES_WITHOUT_LOOK
            except OSError as error:
                if self._sock.fileno() < 0:
                    raise trio.ClosedResourceError("the wire was closed meanwhile") from error
                raise
        while True:
            await trio.lowlevel.wait_readable(self._sock)
            try:
                return self._sock.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue

    def peek(self) -> Peek:
        """Look at the socket (0.5 µs where it is quiet)."""
        return peek_at(self._sock) if self._has_news(0) else Peek.QUIET

    def close(self) -> None:
        """Close at once, waking whoever waits."""
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()

    async def _send_rest(self, data: memoryview) -> None:
        while data:
            await trio.lowlevel.wait_writable(self._sock)
            try:
                data = data[self._sock.send(data) :]
            except BlockingIOError:
                continue


class StreamWire:
    """Any Trio stream, to test with.

    Args:
        stream: What to send and receive on; the wire takes it over.
        close: Closes it synchronously (its ``aclose`` may wait for the peer).
    """

    __slots__ = ("_close", "_stream")

    def __init__(self, stream: trio.abc.Stream, close: Callable[[], None]) -> None:
        self._stream = stream
        self._close = close

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._stream.send_all(data)

    async def receive(self) -> bytes:
        """The next bytes; empty at the end of the stream."""
        return bytes(await self._stream.receive_some(RECEIVE_BYTES))

    def peek(self) -> Peek:
        """There is nothing to look at."""
        return Peek.QUIET

    def close(self) -> None:
        """Close at once."""
        self._close()


def poll_of(sock: socket.socket) -> Callable[[int], object]:
    """Tells, without the price of an exception, whether anything is to be seen on a socket."""
    poller = select.poll()
    poller.register(sock.fileno(), select.POLLIN)
    return poller.poll


def peek_at(sock: socket.socket) -> Peek:
    """Look, without waiting and without taking anything, at what has arrived at a socket (1 µs)."""
    try:
        data = sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return Peek.QUIET
    except OSError:
        return Peek.ENDED
    return Peek.STRAY if data else Peek.ENDED

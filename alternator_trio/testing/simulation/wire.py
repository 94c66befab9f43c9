"""A simulated connection: two ends, each with the manners of a socket (Linux's), and a way in either direction.

Rules: what was sent before an end is still read, also before a reset; closing is synchronous; a send that fits into the
window is no checkpoint, one that does not waits like a partial write; bytes for an end that is closed are answered with
a reset, unless its machine is off.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final

import trio

from alternator_trio._transport.wires import NothingSentError, Peek
from alternator_trio.testing._stream import Gate
from alternator_trio.testing.simulation.link import Link
from alternator_trio.testing.simulation.way import Way

__all__ = ["ClientEnd", "NodeEnd", "connect"]

_RESET: Final = (errno.ECONNRESET, "Connection reset by peer")


class _End:
    def __init__(self, number: int, incoming: Way, outgoing: Way) -> None:
        self.number = number
        self.link = incoming.link
        self.is_closed = False
        self.on_close: Callable[[], object] = lambda: None
        self._incoming = incoming
        self._outgoing = outgoing

    def close(self, *, reset: bool = False) -> None:
        """Close it at once, with FIN or RST; closing again does nothing."""
        if not self.is_closed:
            self._outgoing.put("reset" if reset else "end")
            self.vanish()

    def vanish(self) -> None:
        """Close it without a word: the other end learns nothing until it sends."""
        if not self.is_closed:
            self.is_closed = self._incoming.reader_is_gone = True
            self.tell()
            self.on_close()

    def tell(self) -> None:
        """Wake who waits at either end."""
        self._incoming.tell()
        self._outgoing.tell()

    # Below: the parts of the above, and of what the two kinds of ends have in common.

    async def _receive(self) -> bytes:
        """The next piece; empty at the end."""
        incoming = self._incoming
        if incoming.arrives <= trio.current_time():
            await trio.lowlevel.checkpoint()
        while True:
            if self.is_closed:
                raise trio.ClosedResourceError("this end is closed")
            piece = incoming.take()
            if piece is not None:
                return piece
            if incoming.was_reset:
                raise ConnectionResetError(*_RESET)
            if incoming.has_ended:
                return b""
            await incoming.wait(incoming.arrives)

    async def _send(self, data: bytes) -> None:
        """Send all of it; waits where the window is full."""
        whole = len(data)
        while data:
            if self.is_closed:
                raise trio.ClosedResourceError("this end is closed")
            if self._incoming.look_for_reset():
                raise _broken(nothing_sent=len(data) == whole)
            room = len(data) if self._outgoing.reader_is_gone else self._outgoing.room
            if room > 0:
                self._transmit(data[:room])
                data = data[room:]
            else:
                await self._outgoing.wait()

    def _transmit(self, data: bytes) -> None:
        fate = self.link.weather.fate(data)
        for piece in fate.pieces:
            self._outgoing.put(piece)
        if self._outgoing.reader_is_gone and self.link.is_answering:
            self._incoming.put("reset")
        if fate.then == "reset":
            self._outgoing.put("reset")
            self._incoming.put("reset")
        if fate.then is not None:
            self.link.record(fate.then, self.number)
            self._outgoing.is_silent = self._incoming.is_silent = True


class ClientEnd(_End):
    """The client's end: a `Wire`."""

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        self.link.sent(self.number, data)
        await self._send(data)

    async def receive(self) -> bytes:
        """The next bytes; empty at the end."""
        data = await self._receive()
        self.link.read(self.number, data)
        if self._incoming.is_empty:
            self.link.received(self.number)
        return data

    def peek(self) -> Peek:
        """What has arrived."""
        if self._incoming.look():
            return Peek.STRAY
        return Peek.ENDED if self._incoming.has_ended or self.is_closed else Peek.QUIET


class NodeEnd(_End, trio.abc.Stream):
    """The node's end, as `alternator_trio.testing` serves connections on: a stream behind the node's gate."""

    def __init__(self, number: int, incoming: Way, outgoing: Way, gate: Gate) -> None:
        super().__init__(number, incoming, outgoing)
        self._gate = gate

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, however many; empty at the end."""
        del max_bytes
        try:
            data = await self._receive()
        except ConnectionResetError as error:
            raise trio.BrokenResourceError("the client is gone") from error
        await self._gate.passed()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it."""
        await self._gate.passed()
        try:
            await self._send(bytes(data))
        except (ConnectionResetError, NothingSentError) as error:
            raise trio.BrokenResourceError("the client is gone") from error

    async def wait_send_all_might_not_block(self) -> None:
        """A checkpoint and no more."""
        await trio.lowlevel.checkpoint()

    def finish_sending(self) -> None:
        """Send FIN and keep reading."""
        self._outgoing.put("end")

    def cut(self, *, reset: bool) -> None:
        """Close at once."""
        self.close(reset=reset)

    async def aclose(self) -> None:
        """Close."""
        self.close()
        await trio.lowlevel.checkpoint()


def connect(number: int, link: Link, gate: Gate) -> tuple[ClientEnd, NodeEnd]:
    """The two ends of a new connection."""
    window = link.weather.window()
    there, back = Way(link, window), Way(link, window)
    return ClientEnd(number, back, there), NodeEnd(number, there, back, gate)


def _broken(*, nothing_sent: bool) -> Exception:
    error = ConnectionResetError(*_RESET)
    if not nothing_sent:
        return error
    nothing = NothingSentError()
    nothing.__cause__ = error
    return nothing

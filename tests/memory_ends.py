"""A connection in memory: two ends with the manners of a socket (Linux's).

Rules: what was sent before an end is still read, also before a reset; closing is synchronous, on both ends, and closing
again does nothing; sending never waits.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from alternator_trio._transport.wires import RECEIVE_BYTES, Peek

__all__ = ["MemoryEnd", "memory_pair"]


class MemoryEnd:
    """One end of a connection in memory: a `Wire` for the client, and what a node serves on."""

    def __init__(self) -> None:
        self.peer: MemoryEnd = self
        self.is_closed = False
        self.on_close: Callable[[], object] = lambda: None
        self._received = bytearray()
        self._has_ended = False
        self._is_reset = False
        self._news = trio.Event()

    async def send(self, data: bytes) -> None:
        """Send; no checkpoint, as with a socket whose buffer has room."""
        if self.is_closed:
            raise trio.ClosedResourceError
        if self._is_reset:
            raise ConnectionResetError("connection reset by peer")
        if not self.peer.is_closed:
            self.peer._received += data
            self.peer._tell()

    async def receive(self) -> bytes:
        """The next bytes; empty at the end."""
        await trio.lowlevel.checkpoint()
        while not (self._received or self._has_ended or self._is_reset or self.is_closed):
            await self._news.wait()
        if self.is_closed:
            raise trio.ClosedResourceError
        if self._is_reset and not self._received:
            raise ConnectionResetError("connection reset by peer")
        data = bytes(self._received[:RECEIVE_BYTES])
        del self._received[:RECEIVE_BYTES]
        return data

    def peek(self) -> Peek:
        if self._received:
            return Peek.STRAY
        return Peek.ENDED if self._has_ended or self._is_reset or self.is_closed else Peek.QUIET

    def close(self, *, reset: bool = False) -> None:
        """Close at once, with a FIN or an RST; closing again does nothing."""
        if self.is_closed:
            return
        self.is_closed = True
        self.peer._has_ended = True
        self.peer._is_reset = self.peer._is_reset or reset
        self._tell()
        self.peer._tell()
        self.on_close()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


def memory_pair() -> tuple[MemoryEnd, MemoryEnd]:
    """The two ends of a connection."""
    one, other = MemoryEnd(), MemoryEnd()
    one.peer, other.peer = other, one
    return one, other

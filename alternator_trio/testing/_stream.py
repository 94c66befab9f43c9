"""One accepted TCP connection of a node, as a Trio stream that can be paused and cut from outside.

Rules:

* It waits first and reads then, so that while its gate is shut nothing is taken from the kernel, as with a stopped
  process.
* Cutting is synchronous; it wakes the task that waits on the socket.
* A send that the kernel takes at once passes no checkpoint; waiting for the next request is one.
"""

from __future__ import annotations

import socket
import struct

import trio

RECEIVE_BYTES = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Gate:
    """What a pause shuts: tasks of a paused node wait here."""

    def __init__(self) -> None:
        self._opened: trio.Event | None = None

    @property
    def is_shut(self) -> bool:
        return self._opened is not None

    def shut(self) -> None:
        if self._opened is None:
            self._opened = trio.Event()

    def open(self) -> None:
        if self._opened is not None:
            self._opened.set()
            self._opened = None

    async def passed(self) -> None:
        while self._opened is not None:
            await self._opened.wait()


class NodeStream(trio.abc.Stream):
    """The node's side of one TCP connection."""

    def __init__(self, sock: socket.socket, gate: Gate) -> None:
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._gate = gate

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while True:
            if self._sock.fileno() == -1:
                raise trio.ClosedResourceError("the node has cut this connection")
            await trio.lowlevel.wait_readable(self._sock)
            if self._gate.is_shut:
                await self._gate.passed()
                continue
            try:
                return self._sock.recv(max_bytes or RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError("the client is gone") from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        rest = memoryview(data)
        while True:
            await self._gate.passed()
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                pass
            except OSError as error:
                raise trio.BrokenResourceError("the client is gone") from error
            if not rest:
                return
            await trio.lowlevel.wait_writable(self._sock)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.wait_writable(self._sock)

    def finish_sending(self) -> None:
        """Send FIN and keep reading, so that data still coming does not reset the answer away."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise trio.BrokenResourceError("the client is gone") from error

    def cut(self, *, reset: bool) -> None:
        """Close at once, with RST or in order; closing again does nothing."""
        if self._sock.fileno() == -1:
            return
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()

    async def aclose(self) -> None:
        self.cut(reset=False)
        await trio.lowlevel.checkpoint()

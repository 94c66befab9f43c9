"""What a client's connections go over in a sweep: memory, wires that take a request in halves, TLS, or httpx on top.

Rules: every wire and every dial of the client is counted on the client's side, so that nothing of it goes unseen. No
name and no address is looked up. TLS runs over a pair of sockets within the process, where what is sent is there at
once: the virtual clock never jumps past it.
"""

from __future__ import annotations

import atexit
import functools
import os
import pathlib
import shutil
import socket
import ssl
import tempfile

import trio
import trustme

from alternator_trio._transport.tls_contexts import TlsContexts
from alternator_trio._transport.wires import Peek, Wire
from alternator_trio.errors import AlternatorError
from alternator_trio.nodes import Node
from alternator_trio.tls import Tls
from tests.memory_ends import MemoryEnd
from tests.scripted_nodes import ScriptedNodes

__all__ = ["Network", "client_context"]


class Network:
    """The network of one client, below its native transport or below httpx.

    Args:
        nodes: Where it leads.
        dial_seconds: How long a dial takes.
        in_halves: Whether a request is taken in halves, with a schedule point between.
        in_pieces: The largest number of bytes that arrives at once, the next a moment later; 0: all that there are.
        tls: Whether wires are secured.
        renews_trust: Whether the authority's file is written anew before every second dial; sessions are resumed.

    Attributes:
        dialling: Dials in progress.
        open: Wires that the client has not closed.
    """

    def __init__(
        self,
        nodes: ScriptedNodes,
        *,
        dial_seconds: float = 0.0,
        in_halves: bool = False,
        in_pieces: int = 0,
        tls: bool = False,
        renews_trust: bool = False,
    ) -> None:
        self.dialling = 0
        self.open: dict[_CountedWire, None] = {}
        self._nodes = nodes
        self._dial_seconds = dial_seconds
        self._in_halves = in_halves
        self._in_pieces = in_pieces
        self._dials = 0
        self._renews_trust = renews_trust
        trust = Tls(ca_file=_trust_file()) if renews_trust else client_context()
        self._contexts = TlsContexts(trust) if tls else None

    async def dial(self, node: Node) -> Wire:
        """What the native transport dials with."""
        self.dialling += 1
        try:
            await trio.sleep(self._dial_seconds)
            wire = await (self._nodes.dial(node) if self._contexts is None else self._secured(node, self._contexts))
        finally:
            self.dialling -= 1
        return _CountedWire(wire, self.open, in_halves=self._in_halves, in_pieces=self._in_pieces)

    async def open_stream(self, host: str, port: int) -> _Stream:
        """What httpcore gets in place of TCP."""
        try:
            return _Stream(await self.dial(Node("http", host, port)))
        except AlternatorError as error:
            raise OSError(str(error)) from error

    async def _secured(self, node: Node, contexts: TlsContexts) -> Wire:
        self._dials += 1
        if self._renews_trust and self._dials % 2:
            os.utime(_trust_file(), ns=(self._dials, self._dials))
        mine, theirs = socket.socketpair()
        wire = contexts.secure(node, mine)
        is_ready = False
        try:
            end = _TlsEnd(theirs)
            self._nodes.serve(self._nodes[node.host], end, end)
            await wire.handshake()
            is_ready = True
        finally:
            if not is_ready:
                wire.close()
        return wire


class _CountedWire:
    """A wire of the client's."""

    def __init__(self, wire: Wire, register: dict[_CountedWire, None], *, in_halves: bool, in_pieces: int) -> None:
        self._wire = wire
        self._register = register
        self._in_halves = in_halves
        self._in_pieces = in_pieces
        self._left = b""  # of what arrived in pieces
        register[self] = None

    async def send(self, data: bytes) -> None:
        if self._in_halves:
            middle = len(data) // 2
            await self._wire.send(data[:middle])
            await trio.sleep(0.001)
            data = data[middle:]
        await self._wire.send(data)

    async def receive(self) -> bytes:
        if not self._in_pieces:
            return await self._wire.receive()
        if self._left:
            await trio.sleep(0.001)
        data = self._left or await self._wire.receive()
        self._left = data[self._in_pieces :]
        return data[: self._in_pieces]

    def peek(self) -> Peek:
        return Peek.STRAY if self._left else self._wire.peek()

    def close(self) -> None:
        self._register.pop(self, None)
        self._wire.close()


class _Stream(trio.abc.Stream):
    """A wire as httpcore's backend sees a TCP connection, ``socket`` included."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.socket = _Socket(wire)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        await self._wire.send(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._wire.receive()

    async def aclose(self) -> None:
        self._wire.close()
        await trio.lowlevel.checkpoint()


class _Socket:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._is_closed = False

    def close(self) -> None:
        self._is_closed = True
        self._wire.close()

    def fileno(self) -> int:
        return -1 if self._is_closed else 0

    def is_readable(self) -> bool:
        return self._wire.peek() is not Peek.QUIET


class _TlsEnd(MemoryEnd):
    """A node's end of a secured connection."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        sock.setblocking(False)
        self._socket = trio.socket.from_stdlib_socket(sock)
        self._stream = trio.SSLStream(
            trio.SocketStream(self._socket), _server_tls(), server_side=True, https_compatible=True
        )

    async def send(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise ConnectionResetError from error

    async def receive(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some())
        except trio.BrokenResourceError as error:
            raise ConnectionResetError from error

    def close(self, *, reset: bool = False) -> None:
        del reset  # to a reader of TLS the one is as abrupt as the other
        if not self.is_closed:
            self.is_closed = True
            self._socket.close()
            self.on_close()


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def _server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert(*(f"10.0.0.{number}" for number in range(1, 5))).configure_cert(context)
    return context


@functools.cache
def _trust_file() -> pathlib.Path:
    directory = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, directory)
    path = pathlib.Path(directory, "ca.pem")
    path.write_bytes(_authority().cert_pem.bytes())
    return path


@functools.cache
def client_context() -> ssl.SSLContext:
    """What trusts the scripted nodes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _authority().configure_trust(context)
    return context

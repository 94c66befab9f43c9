"""Hostile nodes in memory and on real sockets, and clients of them."""

from __future__ import annotations

import functools
import random
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest
import trio
import trustme

from alternator_trio import RetryPolicy, open_alternator
from alternator_trio._runtime import open_runtime
from alternator_trio._transport.dialing import TcpDialer
from alternator_trio._transport.tls_contexts import contexts_for
from alternator_trio._transport.wires import Wire
from alternator_trio.client import Client
from alternator_trio.config import AlternatorConfig
from alternator_trio.nodes import Node
from tests.certificates import client_context, server_context
from tests.hostile.rows import Row
from tests.hostile.server import HostileServer, NodeOnSocket
from tests.memory_ends import MemoryEnd, memory_pair

MAX_BYTES = 4 * 2**20
OPTIONS = {
    "node_health": None,
    "discovery": False,
    "retry": RetryPolicy(max_attempts=1),
    "response_compression": ("gzip", "deflate"),
    "max_response_bytes": MAX_BYTES,
}
Contexts: TypeAlias = tuple[ssl.SSLContext, ssl.SSLContext]
"""Of the server and of the client."""


@pytest.fixture(scope="session")
def contexts() -> Contexts:
    """What TLS rows are played with."""
    authority = trustme.CA()
    return server_context(authority), client_context(authority)


class NodeInMemory:
    """The server's end of a connection in memory, which finds out that the client has left."""

    def __init__(self, end: MemoryEnd) -> None:
        self._end = end
        self.send_bare = self.send
        self.receive = end.receive
        self.close = end.close

    async def send(self, data: bytes) -> None:
        if self._end.peer.is_closed:
            raise trio.BrokenResourceError
        await self._end.send(data)


class DialerWithin(TcpDialer):
    """Dials over a pair of sockets within the process: TLS needs sockets, and the virtual clock knows no network.

    What is sent over such a pair is there at once, so that the clock never jumps past it.
    """

    def __init__(self, config: AlternatorConfig, nursery: trio.Nursery, server: HostileServer, tls: Contexts) -> None:
        super().__init__(config.connect_timeout, contexts_for(config))
        self._nursery = nursery
        self._server = server
        self._served = tls[0] if server.row.handshake else None

    async def _connect(self, node: Node) -> Wire:
        await trio.lowlevel.checkpoint()
        self._server.dialled.add(node.endpoint)
        mine, theirs = socket.socketpair()
        theirs.setblocking(False)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
        self._nursery.start_soon(self._serve, stream, node.host)
        return await self._secured(node, mine)

    async def _serve(self, stream: trio.SocketStream, host: str) -> None:
        try:
            await self._server.serve(NodeOnSocket(stream, self._served), host)
        finally:
            stream.socket.close()


@asynccontextmanager
async def open_in_memory(
    row: Row, *, tls: Contexts | None = None, **options: object
) -> AsyncGenerator[tuple[Client, HostileServer]]:
    """A client of a hostile node, over memory streams; with contexts over TLS."""
    server = HostileServer(row)
    scheme = "http" if tls is None else "https"
    if tls is not None:
        options["tls"] = tls[1]
    config = AlternatorConfig.build((f"{scheme}://127.0.0.1:8000",), None, OPTIONS | options)
    async with trio.open_nursery() as nursery:

        async def dial(node: Node) -> MemoryEnd:
            await trio.lowlevel.checkpoint()
            server.dialled.add(node.endpoint)
            mine, theirs = memory_pair()
            nursery.start_soon(server.serve, NodeInMemory(theirs), node.host)
            return mine

        dialer = dial if tls is None else DialerWithin(config, nursery, server, tls)
        async with open_runtime(config, dial=dialer, rng=random.Random(0)) as runtime:
            yield Client(runtime), server
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_on_sockets(
    row: Row, *, tls: Contexts | None = None, **options: object
) -> AsyncGenerator[tuple[Client, HostileServer]]:
    """A client of a hostile node, over real connections; with contexts over TLS."""
    if tls is not None:
        options["tls"] = tls[1]
    async with trio.open_nursery() as nursery:

        async def spring(stream: trio.SocketStream) -> None:
            server.dialled.add("the trap")
            await stream.aclose()

        trap = await _listen(nursery, spring, ("127.0.0.1",))
        server = HostileServer(row, f"127.0.0.1:{trap}")
        port = await _listen(
            nursery, functools.partial(_serve, server, tls[0] if tls and row.handshake else None), row.hosts
        )
        scheme = "http" if tls is None else "https"
        async with open_alternator(f"{scheme}://127.0.0.1:{port}", **(OPTIONS | options)) as client:
            yield client, server
        nursery.cancel_scope.cancel()


async def _listen(nursery: trio.Nursery, serve: object, hosts: tuple[str, ...]) -> int:
    port = 0
    for host in hosts:  # all of them at one port, as nodes do
        listeners = await nursery.start(functools.partial(trio.serve_tcp, serve, port, host=host))
        port = listeners[0].socket.getsockname()[1]
    return port


async def _serve(server: HostileServer, tls: ssl.SSLContext | None, stream: trio.SocketStream) -> None:
    await server.serve(NodeOnSocket(stream, tls), stream.socket.getsockname()[0])

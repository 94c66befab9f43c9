"""Hostile nodes in memory and on real sockets, and clients of them."""

from __future__ import annotations

import functools
import random
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from alternator_trio import RetryPolicy, open_alternator
from alternator_trio._runtime import open_runtime
from alternator_trio.client import Client
from alternator_trio.config import AlternatorConfig
from alternator_trio.nodes import Node
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


class NodeInMemory:
    """The server's end of a connection in memory, which finds out that the client has left."""

    def __init__(self, end: MemoryEnd) -> None:
        self._end = end
        self.receive = end.receive
        self.close = end.close

    async def send(self, data: bytes) -> None:
        if self._end.peer.is_closed:
            raise trio.BrokenResourceError
        await self._end.send(data)


@asynccontextmanager
async def open_in_memory(row: Row, **options: object) -> AsyncGenerator[tuple[Client, HostileServer]]:
    """A client of a hostile node, over memory streams."""
    server = HostileServer(row)
    config = AlternatorConfig.build(("http://127.0.0.1:8000",), None, OPTIONS | options)
    async with trio.open_nursery() as nursery:

        async def dial(node: Node) -> MemoryEnd:
            await trio.lowlevel.checkpoint()
            server.dialled.add(node.endpoint)
            mine, theirs = memory_pair()
            nursery.start_soon(server.serve, NodeInMemory(theirs))
            return mine

        async with open_runtime(config, dial=dial, rng=random.Random(0)) as runtime:
            yield Client(runtime), server
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_on_sockets(
    row: Row, *, certificates: ssl.SSLContext | None = None, **options: object
) -> AsyncGenerator[tuple[Client, HostileServer]]:
    """A client of a hostile node, over real connections; with certificates over TLS."""
    server = HostileServer(row)

    async def serve(stream: trio.SocketStream) -> None:
        secured: trio.abc.Stream = stream
        if certificates is not None and row.handshake:
            secured = trio.SSLStream(stream, certificates, server_side=True, https_compatible=True)
        await server.serve(NodeOnSocket(secured, stream.socket))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(functools.partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        scheme = "http" if certificates is None else "https"
        async with open_alternator(f"{scheme}://127.0.0.1:{port}", **(OPTIONS | options)) as client:
            yield client, server
        nursery.cancel_scope.cancel()

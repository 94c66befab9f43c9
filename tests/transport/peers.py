"""Attempts over memory streams to a peer that a test writes, with pools and their alarm."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import trio
import trio.testing

from alternator_trio._transport.connection import Connection
from alternator_trio._transport.native import NativeTransport
from alternator_trio._transport.pools import Pools
from alternator_trio._transport.wires import StreamWire
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio.nodes import Node
from tests.transport.pool_world import Alarm

NODE = Node("http", "10.0.0.1", 8000)
REQUEST = b"POST / HTTP/1.1\r\nhost: 10.0.0.1:8000\r\ncontent-length: 2\r\n\r\n{}"
LARGE_BODY = b"a" * 10_000_000
LARGE_REQUEST = b"POST / HTTP/1.1\r\nhost: 10.0.0.1:8000\r\ncontent-length: 10000000\r\n\r\n" + LARGE_BODY
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Serve = Callable[[trio.abc.Stream], Awaitable[None]]
StreamPair = tuple[trio.StapledStream, trio.StapledStream]


async def read_request(stream: trio.abc.Stream) -> bytes:
    """One request, head and body; what came of it when the stream ended before."""
    data = bytearray()
    wanted = math.inf
    while len(data) < wanted:
        part = await stream.receive_some()
        if not part:
            break
        data += part
        head, separator, _ = bytes(data[:1000]).partition(b"\r\n\r\n")
        if separator:
            length = int(head.rpartition(b"content-length: ")[2])
            wanted = len(head) + len(separator) + length
    return bytes(data)


def answering(*parts: bytes, then: str = "go on") -> Serve:
    """Answers each request with these parts, one at a time; then goes on, closes, or is silent."""

    async def serve(stream: trio.abc.Stream) -> None:
        while await read_request(stream):
            for part in parts:
                await stream.send_all(part)
                await trio.testing.wait_all_tasks_blocked()
            if then == "close":
                await stream.aclose()
                return

    return serve


class Peers:
    """Pools and a transport whose dial leads to ``serve``, in memory.

    Attributes:
        open_wires: What was dialled and not closed.
        dials: How often was dialled.
        alarm: When a sweep is wanted, and who sweeps.
    """

    def __init__(self, nursery: trio.Nursery, serve: Serve, make_pair: Callable[[], StreamPair], **bounds: float):
        self.open_wires: set[int] = set()
        self.dials = 0
        self.alarm = Alarm()
        self._nursery = nursery
        self._serve = serve
        self._make_pair = make_pair
        options = {"per_node": 8, "total": 8, "idle_lifetime": 60.0, "max_age": None, "acquire_timeout": 10.0}
        self.pools = Pools(**(options | bounds), alarm=self.alarm)
        self.transport = NativeTransport(self.pools, self.dial)

    async def dial(self, node: Node) -> StreamWire:
        await trio.lowlevel.checkpoint()
        self.dials += 1
        number = self.dials
        client, server = self._make_pair()

        def close() -> None:
            self.open_wires.discard(number)
            client.send_stream.close()
            client.receive_stream.close()

        self.open_wires.add(number)
        self._nursery.start_soon(self._run_peer, server)
        return StreamWire(client, close)

    async def attempt(
        self, request: bytes = REQUEST, seconds: float = 12.0, max_body_bytes: int = 2**20
    ) -> HttpResponse:
        """One attempt, waiting for a slot where there is none."""
        lease = self.pools.take(NODE, trio.current_time()) or await self.pools.wait(NODE)
        return await self.transport.attempt(lease, request, trio.current_time(), seconds, max_body_bytes)

    def lease(self) -> Connection:
        lease = self.pools.take(NODE, trio.current_time())
        assert lease is not None
        return lease

    def assert_at_rest(self, *, idle: int) -> None:
        """Nothing is leased, nobody waits, and nothing is open but this many idle connections."""
        assert self.pools.statistics() == (idle, 0, 0)
        assert self.pools.used == self.pools.connections_to(NODE) == len(self.open_wires) == idle

    async def _run_peer(self, stream: trio.abc.Stream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._serve(stream)


@asynccontextmanager
async def open_peers(
    serve: Serve,
    make_pair: Callable[[], StreamPair] = trio.testing.memory_stream_pair,
    **bounds: float,
) -> AsyncGenerator[Peers]:
    """Pools whose connections lead to ``serve``; closed, with the peers, at the end of the block."""
    async with trio.open_nursery() as nursery:
        peers = Peers(nursery, serve, make_pair, **bounds)
        nursery.start_soon(peers.alarm.sweep_when_due, peers.pools)
        yield peers
        peers.pools.close()
        nursery.cancel_scope.cancel()

"""Nodes on real sockets behind a counting proxy, and what tests do with a connection through it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable

import trio

from alternator_trio.testing.proxy import CountingProxy

__all__ = [
    "LOCAL",
    "MIB",
    "OTHER",
    "Handler",
    "connect",
    "echo",
    "exchange",
    "heard_until_end",
    "is_reset",
    "node",
    "proxied",
    "quietly",
    "receive",
    "send_forever",
    "silence",
    "stays_silent",
    "two_nodes",
    "until",
]

LOCAL = "127.0.0.1"
OTHER = "127.0.0.2"
MIB = 1024 * 1024

Handler = Callable[[trio.SocketStream], Awaitable[None]]


async def echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


async def silence(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def quietly(handler: Handler, stream: trio.SocketStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            await handler(stream)


@contextlib.asynccontextmanager
async def node(handler: Handler = echo, address: str = LOCAL) -> AsyncIterator[str]:
    """A node that treats every connection with the handler; yields its ``address:port``."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            functools.partial(trio.serve_tcp, functools.partial(quietly, handler), 0, host=address)
        )
        host, port = listeners[0].socket.getsockname()
        yield f"{host}:{port}"
        nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def proxied(handler: Handler = echo, **options: object) -> AsyncIterator[CountingProxy]:
    """A proxy in front of one node."""
    with trio.fail_after(10):
        async with node(handler) as target, CountingProxy([target], **options) as proxy:
            yield proxy


@contextlib.asynccontextmanager
async def two_nodes() -> AsyncIterator[CountingProxy]:
    """A proxy in front of two nodes."""
    with trio.fail_after(10):
        async with node(address=LOCAL) as one, node(address=OTHER) as two, CountingProxy([one, two]) as proxy:
            yield proxy


async def connect(proxy: CountingProxy, address: str = LOCAL) -> trio.SocketStream:
    return await trio.open_tcp_stream(address, proxy.port)


async def exchange(stream: trio.SocketStream, data: bytes = b"ping") -> bytes:
    await stream.send_all(data)
    return await receive(stream, len(data))


async def receive(stream: trio.abc.ReceiveStream, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        chunk = await stream.receive_some()
        if not chunk:
            break
        received += chunk
    return bytes(received)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the kernel and the proxy's tasks bring about; bounded."""
    with trio.fail_after(5):
        while not condition():
            await trio.sleep(0.001)


async def send_forever(stream: trio.SocketStream) -> None:
    while True:
        await stream.send_all(b"more")
        await trio.lowlevel.checkpoint()


async def is_reset(stream: trio.SocketStream) -> bool:
    try:
        await stream.receive_some()
    except trio.BrokenResourceError:
        return True
    return False


async def stays_silent(stream: trio.SocketStream) -> bool:
    with trio.move_on_after(0.03) as patience:
        await stream.receive_some()
    return patience.cancelled_caught


async def heard_until_end(stream: trio.SocketStream, heard: bytearray, ended: trio.Event) -> None:
    try:
        async for data in stream:
            heard.extend(data)
    finally:
        ended.set()

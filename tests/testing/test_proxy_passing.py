"""The counting proxy over real sockets: what it lets through, in which order, and how an end is passed on."""

from __future__ import annotations

import os
import socket
import ssl

import pytest
import trio
import trustme

from alternator_trio.testing import _proxy_pipe
from alternator_trio.testing.proxy import CountingProxy
from tests.testing.proxied_nodes import (
    LOCAL,
    MIB,
    connect,
    echo,
    exchange,
    heard_until_end,
    is_reset,
    node,
    proxied,
    receive,
    send_forever,
    silence,
    until,
)


async def test_bytes_cross_both_ways() -> None:
    """What a client sends reaches the node, and the node's answer the client."""
    async with proxied() as proxy, await connect(proxy) as stream:
        assert await exchange(stream, b"hello") == b"hello"


@pytest.mark.parametrize("latency", [0.0, 0.01])
async def test_large_transfers_arrive_whole(latency: float) -> None:
    """Four MiB each way at once come out as they went in, with queued bytes or without."""
    data = os.urandom(4 * MIB)
    async with proxied() as proxy, await connect(proxy) as stream, trio.open_nursery() as nursery:
        proxy.latency = latency
        nursery.start_soon(stream.send_all, data)
        assert await receive(stream, len(data)) == data


async def test_changing_latency_in_mid_stream_keeps_the_order() -> None:
    """Bytes never overtake those that are still on their way."""
    data = os.urandom(MIB)

    async def send() -> None:
        for index, start in enumerate(range(0, MIB, MIB // 64)):
            proxy.latency = (0.01, 0.0, 0.002)[index % 3]
            await stream.send_all(data[start : start + MIB // 64])

    async with proxied() as proxy, await connect(proxy) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(send)
        assert await receive(stream, MIB) == data


async def test_tls_passes_through() -> None:
    """A TLS handshake and what follows cross undecrypted, verified against the node's own certificate."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(LOCAL).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    async def echo_tls(stream: trio.SocketStream) -> None:
        await echo(trio.SSLStream(stream, server, server_side=True, https_compatible=True))  # type: ignore[arg-type]

    async with proxied(echo_tls, scheme="https") as proxy, await connect(proxy) as raw:
        stream = trio.SSLStream(raw, client, server_hostname=LOCAL, https_compatible=True)
        await stream.send_all(b"secret")
        assert await receive(stream, 6) == b"secret"


@pytest.mark.parametrize("latency", [0.0, 0.02])
async def test_node_that_closes_is_passed_on_behind_its_last_bytes(latency: float) -> None:
    """The client reads the answer whole, then the end, however long both are on their way."""

    async def answer_and_close(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"x" * MIB)

    async with proxied(answer_and_close) as proxy, await connect(proxy) as stream:
        proxy.latency = latency
        await stream.send_all(b"?")
        assert await receive(stream, 2 * MIB) == b"x" * MIB


async def test_early_answer_survives_a_request_that_goes_on() -> None:
    """A node that answers and half-closes before it has read the request is not made to look like a broken one."""

    async def refuse_early(stream: trio.SocketStream) -> None:
        await stream.send_all(b"413")
        await stream.send_eof()
        async for _ in stream:
            pass

    async with proxied(refuse_early) as proxy, await connect(proxy) as stream:
        await until(lambda: proxy.connects)
        await stream.send_all(b"x" * MIB)
        assert await receive(stream, 4) == b"413"


async def test_client_that_sends_to_a_closed_node_is_reset() -> None:
    """After an orderly close by the node, more bytes from the client meet a reset, as they would without the proxy."""

    async def close(stream: trio.SocketStream) -> None:
        pass

    async with proxied(close) as proxy, await connect(proxy) as stream:
        assert await stream.receive_some() == b""
        with pytest.raises(trio.BrokenResourceError):
            await send_forever(stream)


async def test_reset_by_the_node_is_a_reset_for_the_client() -> None:
    """A node's RST is not softened into an orderly end."""

    async def reset(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async with proxied(reset) as proxy, await connect(proxy) as stream:
        await stream.send_all(b"?")
        assert await is_reset(stream)


async def test_node_that_refuses_is_a_reset_for_the_client() -> None:
    """Where nothing listens behind the proxy, a client is reset at once and its connection counted and over."""
    async with node() as target:
        pass
    async with CountingProxy([target]) as proxy, await connect(proxy) as stream:
        assert await is_reset(stream)
        assert (proxy.connects, proxy.disconnects) == (1, 1)


async def test_slow_node_slows_the_client() -> None:
    """What a node does not read is buffered to a bound, and then not taken from the client."""
    sent = 0
    async with proxied(silence) as proxy, await connect(proxy) as stream:
        with trio.move_on_after(1) as patience:
            while sent < 64:
                await stream.send_all(bytes(MIB))
                patience.deadline = trio.current_time() + 0.1
                sent += 1
        assert sent < 64


async def test_sockets_that_take_a_little_at_a_time_get_all() -> None:
    """Where the kernel takes less than it is offered, the pipe goes on where it stopped."""
    data = os.urandom(MIB)
    client, source = socket.socketpair()
    sink, peer = socket.socketpair()
    with client, source, sink, peer, trio.fail_after(10):
        for sock in (source, sink):
            sock.settimeout(0)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        pipe = _proxy_pipe.Pipe(source, sink, _proxy_pipe.Conditions(), on_cut=lambda: None)
        pipe.sink_is_ready()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pipe.carry)
            nursery.start_soon(pipe.deliver)
            nursery.start_soon(trio.SocketStream(trio.socket.from_stdlib_socket(client)).send_all, data)
            assert await receive(trio.SocketStream(trio.socket.from_stdlib_socket(peer)), MIB) == data
            nursery.cancel_scope.cancel()


async def test_node_that_reads_late_receives_all() -> None:
    """What was held back while nobody read arrives whole and in order."""
    data = os.urandom(16 * MIB)
    read = trio.Event()
    heard, ended = bytearray(), trio.Event()

    async def read_late(stream: trio.SocketStream) -> None:
        await read.wait()
        await heard_until_end(stream, heard, ended)

    async def send() -> None:
        async with await connect(proxy) as stream:
            await stream.send_all(data)
            sent.set()
            await ended.wait()

    async with proxied(read_late) as proxy, trio.open_nursery() as nursery:
        sent = trio.Event()
        nursery.start_soon(send)
        with trio.move_on_after(0.1):
            await sent.wait()
        read.set()
        await until(lambda: len(heard) == len(data))
        assert heard == data
        nursery.cancel_scope.cancel()

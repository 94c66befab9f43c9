"""The counting proxy over real sockets: what it counts, and whom it tells."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import resource
import socket

import pytest
import trio

from alternator_trio.testing import _proxy_relay
from alternator_trio.testing.proxy import ProxyConnection
from tests.testing.proxied_nodes import (
    LOCAL,
    MIB,
    OTHER,
    connect,
    exchange,
    heard_until_end,
    proxied,
    silence,
    two_nodes,
    until,
)


async def test_connection_is_counted_before_its_first_byte_is_forwarded() -> None:
    """A node that has received a byte finds its connection counted."""
    counted: list[int] = []

    async def look(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        counted.append(proxy.connects)
        await stream.send_all(b"!")

    async with proxied(look) as proxy, await connect(proxy) as stream:
        await stream.send_all(b"?")
        await stream.receive_some()
        assert counted == [1]


async def test_counts_per_address_add_up_to_the_totals() -> None:
    """Two connections to one node and one to another, one of them closed again, are counted where they were."""
    async with two_nodes() as proxy, await connect(proxy, LOCAL), await connect(proxy, OTHER):
        async with await connect(proxy, LOCAL) as stream:
            await exchange(stream)
        await until(lambda: (proxy.connects, proxy.disconnects) == (3, 1))
        counts = {name: (link.connects, link.open_connections) for name, link in proxy.links.items()}
        assert counts == {LOCAL: (2, 1), OTHER: (1, 1)}


async def test_thousand_short_connections_are_counted_exactly() -> None:
    """Every connect and every disconnect of many concurrent clients is counted, none twice."""

    async def visit() -> None:
        for _ in range(20):
            async with await connect(proxy) as stream:
                await exchange(stream)

    async with proxied() as proxy:
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(visit)
        await until(lambda: not proxy.open_connections)
        assert (proxy.connects, proxy.disconnects) == (1000, 1000)


async def test_process_without_descriptors_accepts_later(caplog: pytest.LogCaptureFixture) -> None:
    """A connection that cannot be accepted for want of descriptors is logged, and taken when there are some again."""
    async with proxied() as proxy, trio.SocketStream(trio.socket.socket()) as stream:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            await stream.socket.connect((LOCAL, proxy.port))
            await until(lambda: "cannot accept" in caplog.text)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert await exchange(stream) == b"ping"
        assert proxy.connects == 1


async def test_repr_has_the_counts() -> None:
    """A proxy and its links show where they are and what they have counted."""
    async with proxied() as proxy, await connect(proxy) as stream:
        await exchange(stream)
        assert repr(proxy) == f"<CountingProxy port {proxy.port}: 1 connects, 0 disconnects>"
        assert repr(proxy.links[LOCAL]) == f"<ProxyLink {LOCAL}: 1 connects, 0 disconnects>"


async def test_hooks_get_the_connection() -> None:
    """Both hooks are told which connection it is: a frozen value with id, address and the client's own address."""
    seen: list[ProxyConnection] = []
    async with proxied(on_client_connect=seen.append, on_client_disconnect=seen.append) as proxy:
        async with await connect(proxy) as stream:
            peer = stream.socket.getsockname()
            await exchange(stream)
        await until(lambda: proxy.disconnects)
    expected = ProxyConnection(id=1, address=LOCAL, client=peer)
    assert seen == [expected, expected]
    assert dataclasses.fields(expected)
    with pytest.raises(dataclasses.FrozenInstanceError):
        expected.id = 2  # type: ignore[misc]


async def test_hook_that_raises_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Traffic goes on through a connection whose hook failed, and the log has the failure."""

    def fail(connection: ProxyConnection) -> None:
        raise LookupError(f"no seat for {connection.id}")

    with caplog.at_level(logging.ERROR):
        async with proxied(on_client_connect=fail) as proxy, await connect(proxy) as stream:
            assert await exchange(stream) == b"ping"
    assert "no seat for 1" in caplog.text


async def test_hook_may_cut_the_connection_it_is_told_of() -> None:
    """A control method called from a hook works on the connection that the hook is about."""
    async with proxied(on_client_connect=lambda _: proxy.cut()) as proxy:
        with socket.create_connection((LOCAL, proxy.port), timeout=5) as client:
            await until(lambda: proxy.connects)
            assert proxy.disconnects == 1
            with pytest.raises(ConnectionResetError):
                client.recv(1)


# A client that leaves


async def test_client_that_leaves_a_silent_node_is_noticed_and_passed_on() -> None:
    """While the node says nothing, the client's end is counted and closes the node's side."""
    heard, ended = bytearray(), trio.Event()
    async with proxied(functools.partial(heard_until_end, heard=heard, ended=ended)) as proxy:
        async with await connect(proxy) as stream:
            await stream.send_all(b"anyone?")
        await ended.wait()
        assert (proxy.disconnects, bytes(heard)) == (1, b"anyone?")


async def test_client_that_leaves_a_black_hole_is_noticed() -> None:
    """A black hole swallows bytes, not the fact that the client has gone."""
    heard, ended = bytearray(), trio.Event()
    async with proxied(functools.partial(heard_until_end, heard=heard, ended=ended)) as proxy:
        proxy.black_hole()
        async with await connect(proxy) as stream:
            await stream.send_all(b"anyone?")
        await until(lambda: proxy.disconnects)
        await ended.wait()
        assert not heard


async def test_client_that_leaves_behind_unread_bytes_is_noticed() -> None:
    """While the proxy holds all that it may hold and reads nothing, the client's end behind more bytes is seen."""
    async with proxied() as proxy:
        proxy.latency = 60.0
        async with await connect(proxy) as stream:
            await stream.send_all(bytes(MIB + MIB // 16))
        await until(lambda: proxy.disconnects)


async def test_half_closing_client_ends_the_connection_behind_its_last_bytes() -> None:
    """A client's EOF is its end: what it sent before is delivered, late as everything, then both sides are closed."""
    heard, ended = bytearray(), trio.Event()
    hear = functools.partial(heard_until_end, heard=heard, ended=ended)
    async with proxied(hear) as proxy, await connect(proxy) as stream:
        proxy.latency = 0.02
        await stream.send_all(b"last words")
        await stream.send_eof()
        assert await stream.receive_some() == b""
        await ended.wait()
        assert (proxy.disconnects, bytes(heard)) == (1, b"last words")


async def test_last_bytes_of_a_client_are_not_delivered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client left behind keeps the node's side open for a bounded time."""
    monkeypatch.setattr(_proxy_relay, "LINGER", 0.02)
    heard, ended = bytearray(), trio.Event()
    async with proxied(functools.partial(heard_until_end, heard=heard, ended=ended)) as proxy:
        proxy.latency = 60.0
        async with await connect(proxy) as stream:
            await stream.send_all(b"late")
            await until(lambda: proxy.connects)
            await trio.sleep(0.01)
            proxy.latency = 0.0
        await ended.wait()
        assert not heard


async def test_client_that_resets_is_counted_once() -> None:
    """A client's RST is a disconnect like any other."""
    async with proxied(silence) as proxy:
        stream = await connect(proxy)
        await stream.send_all(b"?")
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await stream.aclose()
        await until(lambda: proxy.connects and not proxy.open_connections)
        assert proxy.disconnects == 1

"""The counting proxy over real sockets: latency, cuts, refusals and black holes."""

from __future__ import annotations

import functools
import socket

import pytest
import trio

from alternator_trio.testing.proxy import CountingProxy
from tests.testing.proxied_nodes import (
    LOCAL,
    MIB,
    OTHER,
    connect,
    exchange,
    heard_until_end,
    is_reset,
    node,
    proxied,
    receive,
    stays_silent,
    two_nodes,
    until,
)


async def test_latency_is_added_each_way() -> None:
    """A round trip takes twice the latency."""
    async with proxied() as proxy, await connect(proxy) as stream:
        proxy.links[LOCAL].latency = 0.05
        start = trio.current_time()
        await exchange(stream)
        assert trio.current_time() - start >= 0.1


async def test_latency_delays_and_does_not_narrow() -> None:
    """Many chunks are on their way together: they do not each wait for the one before."""
    async with proxied() as proxy, await connect(proxy) as stream, trio.open_nursery() as nursery:
        proxy.latency = 0.1
        start = trio.current_time()
        nursery.start_soon(stream.send_all, bytes(MIB))
        await receive(stream, MIB)
        assert trio.current_time() - start < 1.0  # 16 chunks one after the other: 3.2 s


async def test_latency_of_a_link_is_its_own() -> None:
    """Setting the proxy's latency sets every link's; reading it gives the greatest."""
    async with CountingProxy([f"{LOCAL}:1", f"{OTHER}:1"]) as proxy:
        proxy.latency = 0.01
        proxy.links[OTHER].latency = 0.5
        assert (proxy.links[LOCAL].latency, proxy.latency) == (0.01, 0.5)


async def test_cut_resets_open_connections_at_once() -> None:
    """After `cut` the count is right without waiting, and the client meets a reset."""
    async with proxied() as proxy, await connect(proxy) as stream:
        await exchange(stream)
        proxy.cut()
        assert (proxy.open_connections, proxy.disconnects) == (0, 1)
        assert await is_reset(stream)


async def test_cut_leaves_the_door_open() -> None:
    """A new connection after `cut` works."""
    async with proxied() as proxy:
        proxy.cut()
        async with await connect(proxy) as stream:
            assert await exchange(stream) == b"ping"


async def test_cut_of_one_address_leaves_the_others_alone() -> None:
    """Only the connections to the given address are reset."""
    async with two_nodes() as proxy, await connect(proxy, LOCAL) as stream, await connect(proxy, OTHER) as other:
        await exchange(stream)
        await exchange(other)
        proxy.cut(LOCAL)
        assert await exchange(other) == b"ping"


@pytest.mark.parametrize("latency", [0.0, 0.01])
@pytest.mark.parametrize("reset", [True, False])
async def test_cut_after_some_bytes_lets_no_byte_more_through(reset: bool, latency: float) -> None:
    """Six bytes: the four of a ping, two of its echo, and then the end, a reset or not."""
    async with proxied() as proxy, await connect(proxy) as stream:
        proxy.latency = latency
        proxy.cut_after(6, LOCAL, reset=reset)
        await stream.send_all(b"ping")
        heard = b""
        try:
            while data := await stream.receive_some():
                heard += data
        except trio.BrokenResourceError:
            assert reset
        assert heard in ({b"", b"pi"} if reset else {b"pi"})  # a reset may overtake what it comes behind
        assert proxy.open_connections == 0


async def test_cut_after_some_bytes_is_for_one_connection() -> None:
    """The next connection has no end of that kind."""
    async with proxied() as proxy:
        proxy.cut_after(1)
        async with await connect(proxy) as stream:
            await stream.send_all(b"ping")
            assert await is_reset(stream)
        async with await connect(proxy) as stream:
            assert await exchange(stream) == b"ping"


async def test_cut_after_some_bytes_can_be_forgotten() -> None:
    """With None, all bytes pass again."""
    async with proxied() as proxy, await connect(proxy) as stream:
        proxy.cut_after(2)
        proxy.cut_after(None)
        assert await exchange(stream) == b"ping"


async def test_cut_after_no_byte_is_refused() -> None:
    """Nothing could be cut behind it."""
    async with proxied() as proxy:
        with pytest.raises(ValueError, match="count"):
            proxy.cut_after(0)


async def test_cut_includes_connections_that_were_not_accepted_yet() -> None:
    """A client that is connected, as it sees it, is counted and cut before any of the proxy's tasks has run."""
    async with proxied() as proxy:
        with socket.create_connection((LOCAL, proxy.port), timeout=5) as client:
            proxy.cut()
            assert (proxy.connects, proxy.disconnects) == (1, 1)
            with pytest.raises(ConnectionResetError):
                client.recv(1)


async def test_refused_address_refuses_connections() -> None:
    """While an address refuses, dialling it fails as it does where nothing listens."""
    async with proxied() as proxy:
        proxy.refuse(LOCAL)
        with pytest.raises(OSError, match=LOCAL):
            await connect(proxy)


async def test_refusing_leaves_open_connections_alone() -> None:
    """A connection that was open goes on while new ones are refused."""
    async with proxied() as proxy, await connect(proxy) as stream:
        await exchange(stream)
        proxy.refuse(LOCAL)
        assert await exchange(stream) == b"ping"


async def test_accept_after_refuse_takes_connections_on_the_same_port() -> None:
    """The address serves again where it did before."""
    async with proxied() as proxy:
        port = proxy.port
        proxy.refuse(LOCAL)
        proxy.accept(LOCAL)
        stream = await trio.open_tcp_stream(LOCAL, port)
        async with stream:
            assert await exchange(stream) == b"ping"


async def test_refusing_and_accepting_are_idempotent() -> None:
    """Saying it twice is saying it once, and the link says how it stands."""
    async with proxied() as proxy:
        link = proxy.links[LOCAL]
        proxy.refuse(LOCAL)
        proxy.refuse(LOCAL)
        assert link.is_refusing
        proxy.accept(LOCAL)
        proxy.accept(LOCAL)
        assert not link.is_refusing


async def test_black_hole_swallows_what_the_client_sends() -> None:
    """The node receives nothing, and the connection stays open."""
    heard, ended = bytearray(), trio.Event()
    hear = functools.partial(heard_until_end, heard=heard, ended=ended)
    async with proxied(hear) as proxy, await connect(proxy) as stream:
        await stream.send_all(b"before")
        await until(lambda: heard)
        proxy.black_hole(LOCAL)
        await stream.send_all(b"after")
        assert await stays_silent(stream)
        assert (bytes(heard), proxy.open_connections) == (b"before", 1)


async def test_black_hole_swallows_what_the_node_sends() -> None:
    """An answer that the node has been asked for before does not arrive."""
    ask = trio.Event()

    async def answer_when_told(stream: trio.SocketStream) -> None:
        await ask.wait()
        await stream.send_all(b"!")
        await trio.sleep_forever()

    async with proxied(answer_when_told) as proxy, await connect(proxy) as stream:
        await until(lambda: proxy.connects)
        proxy.black_hole()
        ask.set()
        assert await stays_silent(stream)


async def test_black_hole_swallows_bytes_that_are_on_their_way() -> None:
    """What latency kept back is lost too."""
    heard, ended = bytearray(), trio.Event()
    async with proxied(functools.partial(heard_until_end, heard=heard, ended=ended)) as proxy:
        proxy.latency = 0.02
        async with await connect(proxy) as stream:
            await stream.send_all(b"late")
            await trio.sleep(0.005)
            proxy.black_hole()
            await trio.sleep(0.04)
            assert not heard


async def test_new_connections_into_a_black_hole_are_accepted_and_silent() -> None:
    """Connecting works, and is counted; nothing answers."""
    async with proxied() as proxy:
        proxy.black_hole()
        async with await connect(proxy) as stream:
            await stream.send_all(b"?")
            assert await stays_silent(stream)
            assert proxy.open_connections == 1


async def test_dead_node_behind_a_black_hole_looks_like_any_other() -> None:
    """A refused dial does not shine through the black hole, and is a reset when it ends."""
    async with node() as target:
        pass
    with trio.fail_after(10):
        async with CountingProxy([target]) as proxy:
            proxy.black_hole()
            async with await connect(proxy) as stream:
                assert await stays_silent(stream)
                proxy.restore()
                assert await is_reset(stream)


async def test_node_that_closes_behind_a_black_hole_is_passed_on_afterwards() -> None:
    """The client does not learn that the node has closed before the black hole is over."""
    close = trio.Event()

    async def close_when_told(stream: trio.SocketStream) -> None:
        await close.wait()

    async with proxied(close_when_told) as proxy, await connect(proxy) as stream:
        await until(lambda: proxy.connects)
        proxy.black_hole()
        close.set()
        assert await stays_silent(stream)
        proxy.restore()
        assert await stream.receive_some() == b""


async def test_restore_lets_untouched_connections_go_on() -> None:
    """A connection that sent nothing into the black hole works on."""
    async with proxied() as proxy, await connect(proxy) as stream:
        await exchange(stream)
        proxy.black_hole()
        proxy.restore()
        assert await exchange(stream) == b"ping"


async def test_restore_resets_connections_that_lost_bytes() -> None:
    """No stream goes on behind a hole, where a client could take a later answer for the rest of an earlier one."""
    async with proxied() as proxy, await connect(proxy) as stream:
        await exchange(stream)
        proxy.black_hole()
        await stream.send_all(b"lost")
        assert await stays_silent(stream)
        proxy.restore()
        assert await is_reset(stream)


async def test_a_connection_may_be_cut_in_the_tick_in_which_its_node_accepts() -> None:
    """Whenever the cut comes between the client's connect and the node's accept, the proxy goes on."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as node:
        async with CountingProxy([f"127.0.0.1:{node.getsockname()[1]}"]) as proxy:
            for steps in [*range(6)] * 4:
                with socket.create_connection(("127.0.0.1", proxy.port)):
                    for _ in range(steps):
                        await trio.lowlevel.checkpoint()
                    proxy.cut()
            with trio.fail_after(5):
                while proxy.open_connections:
                    await trio.sleep(0.001)

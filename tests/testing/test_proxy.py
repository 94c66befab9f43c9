"""The counting proxy over real sockets: what it counts, what it lets through, what it breaks, and that it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
import trustme

from alternator_trio.testing import _proxy_pipe, _proxy_relay
from alternator_trio.testing.proxy import CountingProxy, ProxyConnection

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


# What it is


async def test_seeds_are_the_targets_addresses_on_one_port() -> None:
    """Every seed has its target's address and the one port of the proxy."""
    async with node(address=LOCAL) as one, node(address=OTHER) as two, CountingProxy([one, two]) as proxy:
        assert proxy.seeds == (f"http://{LOCAL}:{proxy.port}", f"http://{OTHER}:{proxy.port}")


async def test_seeds_keep_the_scheme_of_targets_given_as_urls() -> None:
    """Targets may be the seeds of a cluster, and the proxy's seeds then have their scheme."""
    async with CountingProxy([f"https://{LOCAL}:1"]) as proxy:
        assert proxy.seeds == (f"https://{LOCAL}:{proxy.port}",)


async def test_scheme_can_be_given() -> None:
    """The scheme argument decides for targets that have none."""
    async with CountingProxy([f"{LOCAL}:1"], scheme="https") as proxy:
        assert proxy.seeds == (f"https://{LOCAL}:{proxy.port}",)


@pytest.mark.parametrize(
    "targets",
    [
        [],
        ["127.0.0.1"],
        ["127.0.0.1:0"],
        ["127.0.0.1:http"],
        ["127.0.0.1:99999"],
        ["localhost:8000"],
        [":8000"],
        [""],
        ["127.0.0.1:8000", "127.0.0.1:8001"],
        ["http://127.0.0.1:8000", "https://127.0.0.2:8000"],
    ],
    ids=repr,
)
def test_unusable_targets_are_refused(targets: list[str]) -> None:
    """What is no address and port, or makes no set of nodes, is a ValueError at construction."""
    with pytest.raises(ValueError, match="target"):
        CountingProxy(targets)


async def test_address_of_another_machine_is_an_error_that_says_what_to_do() -> None:
    """Where 127.0.0.2 does not exist (here: a documentation address), the error has the command that adds it."""
    with pytest.raises(OSError, match=r"sudo ifconfig lo0 alias 192\.0\.2\.1 up"):
        async with CountingProxy([f"{LOCAL}:1", "192.0.2.1:1"]):
            pass


def test_port_is_unknown_before_entering() -> None:
    """Asking a proxy for its port before it listens is an error."""
    with pytest.raises(RuntimeError, match="before it is entered"):
        _ = CountingProxy([f"{LOCAL}:1"]).port


async def test_proxy_is_entered_once() -> None:
    """A second entry of the same proxy is an error."""
    proxy = CountingProxy([f"{LOCAL}:1"])
    async with proxy:
        pass
    with pytest.raises(RuntimeError, match="once"):
        async with proxy:
            pass


async def test_listening_cannot_be_changed_after_the_block() -> None:
    """`accept` on a closed proxy does not open a listener behind its back."""
    async with CountingProxy([f"{LOCAL}:1"]) as proxy:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        proxy.accept()


async def test_unknown_address_is_an_error() -> None:
    """A control method names the addresses that it knows."""
    async with CountingProxy([f"{LOCAL}:1"]) as proxy:
        with pytest.raises(ValueError, match=rf"no link to '{OTHER}', only to {LOCAL}"):
            proxy.cut(OTHER)


@pytest.mark.parametrize("latency", [-0.1, float("inf"), float("nan")])
async def test_impossible_latency_is_an_error(latency: float) -> None:
    """Latency is a finite, non-negative number of seconds."""
    async with CountingProxy([f"{LOCAL}:1"]) as proxy:
        with pytest.raises(ValueError, match="latency"):
            proxy.latency = latency


# What it lets through


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


# What it counts


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


async def heard_until_end(stream: trio.SocketStream, heard: bytearray, ended: trio.Event) -> None:
    try:
        async for data in stream:
            heard.extend(data)
    finally:
        ended.set()


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


# What it breaks


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


# How it ends


async def leave(way: str, outer: trio.CancelScope) -> None:
    if way == "exception":
        raise LookupError("the body's own")
    if way == "cancellation":
        outer.cancel()
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("way", ["return", "exception", "cancellation"])
@pytest.mark.parametrize("trouble", ["none", "latency", "black_hole", "refuse"])
async def test_nothing_outlives_the_block(way: str, trouble: str) -> None:
    """Whatever ends the block, and in whatever trouble, no task is left, every connect has its disconnect, and both
    ends of every connection have learnt of it."""
    ended = trio.Event()
    async with node(functools.partial(heard_until_end, heard=bytearray(), ended=ended)) as target:
        before = trio.lowlevel.current_statistics().tasks_living
        with trio.fail_after(5), trio.CancelScope() as outer, contextlib.suppress(LookupError):
            async with CountingProxy([target]) as proxy:
                stream = await connect(proxy)
                await stream.send_all(b"?")
                await until(lambda: proxy.connects)
                if trouble == "latency":
                    proxy.latency = 60.0
                elif trouble != "none":
                    getattr(proxy, trouble)()
                await stream.send_all(b"?")
                await leave(way, outer)
        assert (proxy.connects, proxy.disconnects) == (1, 1)
        assert await is_reset(stream)
        await ended.wait()
        await until(lambda: trio.lowlevel.current_statistics().tasks_living == before)
        await stream.aclose()


async def test_port_is_free_after_the_block() -> None:
    """The listener is closed with the block."""
    async with proxied() as proxy:
        pass
    with pytest.raises(OSError, match=LOCAL):
        await connect(proxy)


async def test_exception_of_the_body_leaves_bare_from_a_cancelled_scope() -> None:
    """Leaving takes no checkpoint that a cancellation could strike: the body's exception is not replaced by it."""

    async def fail(scope: trio.CancelScope, proxy: CountingProxy) -> None:
        async with proxy:
            streams.append(await connect(proxy))
            await exchange(streams[0])
            scope.cancel()
            raise LookupError("the body's own")

    streams: list[trio.SocketStream] = []
    async with node() as target:
        # The scope inside: it would swallow a Cancelled in the exception's place.
        with pytest.raises(LookupError, match="own"), trio.CancelScope() as scope:
            await fail(scope, CountingProxy([target]))
        await streams[0].aclose()


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

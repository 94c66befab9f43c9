"""TLS over real sockets: who is trusted, what a failure says, and a look at a connection with session tickets."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
import trustme

from alternator_trio._transport.connection import Connection
from alternator_trio._transport.dialing import TcpDialer
from alternator_trio._transport.native import NativeTransport
from alternator_trio._transport.pools import Pools
from alternator_trio._transport.tls_contexts import TlsContexts
from alternator_trio._transport.wires import Peek
from alternator_trio.errors import AttemptTimeoutError, ConnectError, ConnectionLostError, TlsError
from alternator_trio.nodes import Node
from tests.transport.peers import ANSWER, LARGE_REQUEST, REQUEST, answering, read_request

DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)

Handler = Callable[[trio.abc.Stream], Awaitable[None]]


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(ca) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


@asynccontextmanager
async def serving(handler: Handler, certificate: trustme.LeafCert | None) -> AsyncGenerator[Node]:
    """A node that speaks TLS with this certificate, or plain TCP without one."""

    async def handle(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await handler(stream if context is None else trio.SSLStream(stream, context, server_side=True))
        await trio.aclose_forcefully(stream)

    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        yield Node("https", "127.0.0.1", listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


def transport_over(context: ssl.SSLContext) -> NativeTransport:
    pools = Pools(per_node=2, total=2, idle_lifetime=60, max_age=None, acquire_timeout=1, alarm=lambda _: None)
    return NativeTransport(pools, TcpDialer(2.0, TlsContexts(context)))


async def attempt(transport: NativeTransport, node: Node, request: bytes = REQUEST) -> bytes:
    lease = transport.pools.take(node, trio.current_time())
    assert lease is not None
    with trio.fail_after(5):
        return (await transport.attempt(lease, request, trio.current_time(), 12.0, 2**20)).body


@pytest.mark.parametrize("request_bytes", [REQUEST, LARGE_REQUEST], ids=["small", "large"])
async def test_requests_are_answered_over_tls(ca, trusting, request_bytes):
    """A trusted certificate for the address: two exchanges on one connection."""
    transport = transport_over(trusting)
    async with serving(answering(ANSWER), ca.issue_cert("127.0.0.1")) as node:
        for _ in range(2):
            assert await attempt(transport, node, request_bytes) == b"{}"
        assert transport.pools.statistics() == (1, 0, 0)
        transport.pools.close()


@pytest.mark.parametrize(
    ("names", "times", "trusted", "reason"),
    [
        (["other.example"], {}, True, "not valid for '127.0.0.1'"),
        (["127.0.0.2"], {}, True, "not valid for '127.0.0.1'"),
        (["127.0.0.1"], {}, False, "unable to get local issuer certificate"),
        (["127.0.0.1"], {"not_before": NOW - 3 * DAY, "not_after": NOW - DAY}, True, "certificate has expired"),
        (["127.0.0.1"], {"not_before": NOW + DAY, "not_after": NOW + 3 * DAY}, True, "certificate is not yet valid"),
    ],
    ids=["other name", "other address", "unknown CA", "expired", "not yet valid"],
)
async def test_a_certificate_that_does_not_prove_the_node_is_refused(ca, trusting, names, times, trusted, reason):
    """A TLS error, before anything was sent, that names the node and says what is wrong."""
    transport = transport_over(trusting if trusted else ssl.create_default_context())
    async with serving(answering(ANSWER), ca.issue_cert(*names, **times)) as node:
        with pytest.raises(TlsError, match=reason) as caught:
            await attempt(transport, node)
        assert caught.value.node == node.endpoint
        assert not caught.value.may_have_happened
        assert "_ssl.c" not in str(caught.value)
        assert transport.pools.used == 0


class Rooted(trio.abc.HostnameResolver):
    """Knows ``node.example.``, with its dot."""

    async def getaddrinfo(self, host, port, *_, **__):
        await trio.lowlevel.checkpoint()
        assert host in {b"node.example.", "node.example."}
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


async def test_a_rooted_name_is_looked_up_with_its_dot_and_verified_without(ca, trusting):
    """Certificates never have the dot."""
    trio.socket.set_custom_hostname_resolver(Rooted())
    async with serving(answering(ANSWER), ca.issue_cert("node.example")) as node:
        transport = transport_over(trusting)
        assert await attempt(transport, node.at("node.example.")) == b"{}"
        transport.pools.close()


async def speak_plainly(stream: trio.abc.Stream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def test_a_plain_http_port_is_told_from_tls(trusting):
    """An https seed for an http port: the error says so."""
    async with serving(speak_plainly, None) as node:
        with pytest.raises(TlsError, match="does not speak TLS; is it an http port"):
            await attempt(transport_over(trusting), node)


def server_hello_of_tls_1_1() -> bytes:
    """What an old server answers that knows nothing of lists of versions (RFC 4346, section 7.4.1.3)."""
    hello = b"\x03\x02" + bytes(32) + b"\x00" + b"\x00\x2f" + b"\x00"
    message = b"\x02" + len(hello).to_bytes(3, "big") + hello
    return b"\x16\x03\x02" + len(message).to_bytes(2, "big") + message


async def speak_tls_1_1(stream: trio.abc.Stream) -> None:
    await stream.receive_some()
    await stream.send_all(server_hello_of_tls_1_1())
    await stream.receive_some()


async def test_an_old_version_that_is_answered_is_told_from_other_failures(trusting):
    """A server that chooses TLS 1.1 whatever it is offered."""
    async with serving(speak_tls_1_1, None) as node:
        with pytest.raises(
            TlsError, match=r"only protocol versions older than minimum_version \(unsupported protocol\)"
        ):
            await attempt(transport_over(trusting), node)


async def hang_up(stream: trio.abc.Stream) -> None:
    await stream.receive_some()


async def test_a_peer_that_hangs_up_in_the_handshake_is_a_tls_error(trusting):
    """It is reached, but there is no TLS with it."""
    async with serving(hang_up, None) as node:
        with pytest.raises(TlsError, match=r"handshake failed: .*(EOF|reset)"):
            await attempt(transport_over(trusting), node)


async def test_a_stalled_handshake_ends_at_the_connect_timeout(trusting):
    """The timeout is one for all of dialling."""

    async def stall(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    transport = transport_over(trusting)
    transport._dial = TcpDialer(0.1, TlsContexts(trusting))
    async with serving(stall, None) as node:
        with pytest.raises(ConnectError, match=r"within 0\.1 s") as caught:
            await attempt(transport, node)
        assert not isinstance(caught.value, AttemptTimeoutError)


async def test_a_peer_that_ends_without_saying_so_is_a_lost_connection(ca, trusting):
    """TCP's end without TLS's own, before the answer: an error like any other early end."""

    async def cut(stream: trio.abc.Stream) -> None:
        await read_request(stream)
        await stream.send_all(ANSWER[:20])

    async with serving(cut, ca.issue_cert("127.0.0.1")) as node:
        with pytest.raises(ConnectionLostError) as caught:
            await attempt(transport_over(trusting), node)
        assert caught.value.may_have_happened


async def test_an_attempt_over_tls_can_be_closed_from_outside(ca, trusting):
    """Closing the socket below wakes who sends and receives on the stream above, at once."""

    async def ignore(stream: trio.abc.Stream) -> None:
        await stream.do_handshake()
        await trio.sleep_forever()

    for request in (REQUEST, LARGE_REQUEST):
        transport = transport_over(trusting)
        async with serving(ignore, ca.issue_cert("127.0.0.1")) as node, trio.open_nursery() as nursery:

            async def fail(node=node, request=request, transport=transport) -> None:
                with pytest.raises(AttemptTimeoutError) as caught:
                    await attempt(transport, node, request)
                assert caught.value.may_have_happened

            nursery.start_soon(fail)
            while not any(lease.sent for lease in transport.pools._leased):
                await trio.sleep(0.001)
            await trio.testing.wait_all_tasks_blocked(0.01)
            transport.pools.sweep(trio.current_time() + 100)
        assert transport.pools.used == 0


# A look at an idle connection


@asynccontextmanager
async def idle_connection(transport: NativeTransport, node: Node, *, used: bool) -> AsyncGenerator[Connection]:
    """One idle connection, with an exchange behind it or none."""
    lease = transport.pools.take(node, trio.current_time())
    assert lease is not None
    await lease.dial(transport._dial)
    if used:
        await transport.attempt(lease, REQUEST, trio.current_time(), 12.0, 100)
    else:
        transport.pools.give_back(lease, trio.current_time())
    await trio.sleep(0.05)  # for what the peer sends on its own account: tickets are in nobody's hands
    yield lease
    transport.pools.close()


@pytest.mark.parametrize("used", [True, False], ids=["used", "unused"])
async def test_session_tickets_are_no_stray_bytes(ca, trusting, used):
    """TLS 1.3 sends tickets after the handshake: a connection that was never read holds them, and is good."""
    transport = transport_over(trusting)
    async with serving(answering(ANSWER), ca.issue_cert("127.0.0.1")) as node:
        async with idle_connection(transport, node, used=used) as lease:
            assert lease.peek() is Peek.QUIET
            assert transport.pools.take(node, trio.current_time()) is lease
            assert (await transport.attempt(lease, REQUEST, trio.current_time(), 12.0, 100)).body == b"{}"


async def test_stray_bytes_on_a_used_tls_connection_are_seen(ca, trusting):
    """After the first answer everything unasked is stray."""

    async def chatter(stream: trio.abc.Stream) -> None:
        await read_request(stream)
        await stream.send_all(ANSWER)
        await trio.sleep(0.02)
        await stream.send_all(b"x")
        await trio.sleep_forever()

    transport = transport_over(trusting)
    async with serving(chatter, ca.issue_cert("127.0.0.1")) as node:
        async with idle_connection(transport, node, used=True) as lease:
            assert lease.peek() is Peek.STRAY


async def test_an_end_on_a_tls_connection_is_seen(ca, trusting):
    """The peer's process has ended."""
    transport = transport_over(trusting)
    async with serving(answering(ANSWER, then="close"), ca.issue_cert("127.0.0.1")) as node:
        async with idle_connection(transport, node, used=True) as lease:
            assert lease.peek() is not Peek.QUIET

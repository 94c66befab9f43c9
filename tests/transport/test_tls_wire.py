"""TLS wires over real sockets: records and schedule points, what an early end means, and that nothing stays open."""

from __future__ import annotations

import gc
import os
import select
import socket
import ssl
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import trio
import trio.testing
import trustme

from alternator_trio._transport.connection import Connection
from alternator_trio._transport.dialing import TcpDialer
from alternator_trio._transport.native import NativeTransport
from alternator_trio._transport.pools import Pools
from alternator_trio._transport.tls_contexts import TlsContexts
from alternator_trio._transport.tls_wire import TlsWire
from alternator_trio._transport.wires import AlertError, NothingSentError, Peek
from alternator_trio._wire.http_head import Heads
from alternator_trio.errors import ConnectionLostError, TlsError
from alternator_trio.nodes import Node
from alternator_trio.tls import Tls
from tests.certificates import client_context
from tests.transport.peers import ANSWER, LARGE_REQUEST, REQUEST

MEGABYTE = b"a" * 2**20
CA = trustme.CA()
LEAF = CA.issue_cert("127.0.0.1")
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def server_context(version: ssl.TLSVersion = TLS_1_3, *, demands: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    LEAF.configure_cert(context)
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
        CA.configure_trust(context)
    return context


CLIENT = client_context(CA)


@contextmanager
def tcp_pair():
    """A client's socket and a server's, blocking."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with client, server:
        server.settimeout(5)
        yield client, server


@asynccontextmanager
async def connected(context: ssl.SSLContext | None = None) -> AsyncGenerator[tuple[TlsWire, ssl.SSLSocket]]:
    """A wire and its peer, a blocking socket, after the handshake; a peer that refuses it is left without its TLS."""
    context = server_context() if context is None else context
    with tcp_pair() as (client, server):
        wire = TlsWire(client, CLIENT, server_name="127.0.0.1")
        with context.wrap_socket(server, server_side=True, do_handshake_on_connect=False) as peer:

            def shake_hands() -> None:
                with suppress(ssl.SSLError):
                    peer.do_handshake()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, shake_hands)
                await wire.handshake()
            try:
                yield wire, peer
            finally:
                wire.close()


def reset(peer: socket.socket) -> None:
    """End a connection with RST."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    peer.close()


async def has_ended(wire: TlsWire) -> None:
    """Wait until the kernel knows of the end; this takes nothing away."""
    poll = select.poll()
    poll.register(wire._sock, select.POLLRDHUP)
    with trio.fail_after(5):
        while not poll.poll(0):
            await trio.sleep(0.001)


async def receive_all(wire: TlsWire, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = await wire.receive()
        assert part
        data += part
    return bytes(data)


# Bytes and schedule points


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLS 1.2", "TLS 1.3"])
async def test_bytes_come_and_go(version):
    """Both ways, and the end after them is empty."""
    async with connected(server_context(version)) as (wire, peer):
        await wire.send(b"question")
        assert peer.recv(100) == b"question"
        peer.send(b"answer")
        assert await wire.receive() == b"answer"
        peer.close()
        assert await wire.receive() == b""


async def test_an_end_that_is_announced_is_empty():
    """TLS's own close, the connection being open still."""
    async with connected() as (wire, peer):
        peer.send(b"answer")
        assert await wire.receive() == b"answer"
        with pytest.raises(TimeoutError):  # it waits for ours, which never comes
            peer.settimeout(0.01)
            peer.unwrap()
        assert await wire.receive() == b""


async def test_records_that_came_together_are_received_together():
    """Nothing lies in the wire while the socket is waited for."""
    async with connected() as (wire, peer):
        for part in (b"one ", b"two ", b"three"):
            peer.send(part)
        assert await wire.receive() == b"one two three"


@asynccontextmanager
async def recorded(early: bytes = b"") -> AsyncGenerator[tuple[TlsWire, ssl.SSLObject, ssl.MemoryBIO, socket.socket]]:
    """A wire whose peer writes into memory, and sends of that what the test likes; ``early`` with its last flight."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = server_context(TLS_1_2 if early else TLS_1_3).wrap_bio(incoming, outgoing, server_side=True)
    with tcp_pair() as (client, server):

        def shake_hands() -> None:
            while True:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    server.sendall(outgoing.read())
                    incoming.write(server.recv(65536))
                else:
                    break
            if early:
                tls.write(early)
                server.sendall(outgoing.read())

        wire = TlsWire(client, CLIENT, server_name="127.0.0.1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, shake_hands)
            await wire.handshake()
        yield wire, tls, outgoing, server
        wire.close()


@pytest.mark.parametrize("at", [1, 5, 100, -1])
async def test_a_record_in_parts_is_waited_for(at):
    """Session tickets and a part of a record are nothing yet."""
    async with recorded() as (wire, tls, outgoing, server), trio.open_nursery() as nursery:
        server.sendall(outgoing.read())
        tls.write(b"x" * 1000)
        record = outgoing.read()
        received: list[bytes] = []

        async def receive() -> None:
            received.append(await wire.receive())

        nursery.start_soon(receive)
        server.sendall(record[:at])
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not received
        server.sendall(record[at:])
        with trio.fail_after(5):
            while not received:
                await trio.sleep(0.001)
        assert received == [b"x" * 1000]


async def test_what_comes_with_the_end_of_the_handshake_is_seen_and_received():
    """Under TLS 1.2 no ticket comes so late: it is an answer that nobody asked for."""
    async with recorded(b"early") as (wire, *_):
        assert wire.peek() is Peek.STRAY
        with trio.fail_after(5), trio.testing.assert_checkpoints():
            assert await wire.receive() == b"early"


@pytest.mark.parametrize("behind", [b"", b"\x17\x03\x03\x00\x20" + b"a" * 32], ids=["nothing", "something"])
async def test_a_good_bye_that_comes_with_an_answer_ends_the_wire(behind):
    """Whatever lies behind it, which anybody on the way can put there: it is not looked at for ever."""
    async with recorded() as (wire, tls, outgoing, server):
        tls.write(b"answer")
        with suppress(ssl.SSLWantReadError):  # it waits for ours, which never comes
            tls.unwrap()
        server.sendall(outgoing.read() + behind)
        await trio.lowlevel.wait_readable(wire._sock)
        assert await wire.receive() == b"answer"
        assert wire.peek() is Peek.ENDED


async def test_what_is_wrong_behind_an_answer_is_the_next_word_about_it():
    """A record that nobody encrypted, in the same packet: nothing more need come for it to be told."""
    async with recorded() as (wire, tls, outgoing, server):
        tls.write(b"answer")
        server.sendall(outgoing.read() + b"\x17\x03\x03\x00\x40" + b"\xff" * 64)
        await trio.lowlevel.wait_readable(wire._sock)
        assert await wire.receive() == b"answer"
        with trio.fail_after(5), trio.testing.assert_checkpoints(), pytest.raises(ssl.SSLError, match=r"(?i)mac"):
            await wire.receive()


async def test_a_good_bye_that_comes_with_an_answer_is_the_next_word_about_it():
    """TCP's own end, which may never come, is not waited for."""
    async with recorded() as (wire, tls, outgoing, server):
        tls.write(b"answer")
        with suppress(ssl.SSLWantReadError):
            tls.unwrap()
        server.sendall(outgoing.read())
        await trio.lowlevel.wait_readable(wire._sock)
        assert await wire.receive() == b"answer"
        with trio.fail_after(5), trio.testing.assert_checkpoints():
            assert await wire.receive() == b""


async def test_much_is_sent_as_the_peer_reads():
    """Sixteen megabytes arrive whole."""
    async with connected() as (wire, peer):
        received = bytearray()

        def read() -> None:
            while len(received) < 16 * len(MEGABYTE):
                received.extend(peer.recv(2**18))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, read)
            await wire.send(16 * MEGABYTE)
        assert received == 16 * MEGABYTE


async def test_much_is_received_while_much_is_sent():
    """Two tasks on one wire, one for each direction."""
    async with connected() as (wire, peer):
        received = bytearray()

        def read_and_write() -> None:
            while len(received) < 4 * len(MEGABYTE):
                part = peer.recv(2**16)
                received.extend(part)
                peer.sendall(part)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, read_and_write)
            nursery.start_soon(wire.send, 4 * MEGABYTE)
            assert await receive_all(wire, 4 * len(MEGABYTE)) == 4 * MEGABYTE
        assert received == 4 * MEGABYTE


async def test_what_fits_is_sent_without_a_checkpoint():
    """As on a plain socket."""
    async with connected() as (wire, peer):
        with trio.testing.assert_no_checkpoints():
            await wire.send(b"{}")
        assert peer.recv(10) == b"{}"


async def test_receiving_is_always_a_checkpoint():
    """A flood of answers does not starve other tasks."""
    async with connected() as (wire, peer):
        peer.send(b"{}")
        with trio.testing.assert_checkpoints():
            await wire.receive()


@pytest.mark.parametrize("what", ["receive", "send"])
async def test_closing_wakes_whoever_waits(what):
    """With `ClosedResourceError`, at once; closing again is harmless."""
    async with connected() as (wire, _), trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await (wire.receive() if what == "receive" else wire.send(64 * MEGABYTE))

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.01)
        wire.close()
        wire.close()


async def test_a_look_at_a_closed_wire_shows_its_end():
    """And is no error."""
    async with connected() as (wire, _):
        wire.close()
        assert wire.peek() is Peek.ENDED


async def test_a_send_after_a_reset_says_that_nothing_was_sent():
    """The kernel refuses it whole: a write on a connection that a restarted node has ended may be repeated."""
    async with connected() as (wire, peer):
        peer.send(b"answer")
        assert await wire.receive() == b"answer"
        reset(peer)
        await has_ended(wire)
        with pytest.raises(NothingSentError):
            await wire.send(b"{}")


async def test_a_send_that_breaks_in_its_middle_does_not_say_so():
    """Some of it may have been read."""
    async with connected() as (wire, peer):

        async def break_off() -> None:
            await trio.testing.wait_all_tasks_blocked(0.01)
            reset(peer)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_off)
            with pytest.raises(OSError, match=r"reset|[Bb]roken"):
                await wire.send(64 * MEGABYTE)


async def test_a_peer_that_speaks_no_sense_is_an_error():
    """What cannot be decrypted is not taken for an alert."""
    async with connected() as (wire, peer):
        sock = socket.socket(fileno=peer.detach())
        with sock:
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with pytest.raises(ssl.SSLError):
                await wire.receive()


async def test_a_peer_is_told_why_its_certificate_is_refused():
    """By our alert: its log then says so as well."""
    said: list[str] = []
    with tcp_pair() as (client, server):
        wire = TlsWire(client, CLIENT, server_name="127.0.0.9")
        with server_context().wrap_socket(server, server_side=True, do_handshake_on_connect=False) as peer:

            def shake_hands() -> None:
                try:
                    peer.do_handshake()
                except ssl.SSLError as error:
                    said.append(error.reason)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, shake_hands)
                with pytest.raises(ssl.SSLCertVerificationError):
                    await wire.handshake()
            wire.close()
    assert said == ["SSLV3_ALERT_BAD_CERTIFICATE"]


# A client certificate that is refused: under TLS 1.3 after our handshake


async def test_an_alert_instead_of_an_answer_is_raised():
    """The peer's handshake fails after ours has succeeded."""
    async with connected(server_context(demands=True)) as (wire, _):
        await wire.send(REQUEST)
        with pytest.raises(AlertError) as caught:
            await wire.receive()
        assert "certificate required" in str(caught.value.__cause__)


async def test_an_alert_is_found_when_the_send_fails():
    """The connection was reset before we began to send: the alert came before."""
    async with connected(server_context(demands=True)) as (wire, peer):
        reset(peer)
        await has_ended(wire)
        with pytest.raises(AlertError) as caught:
            await wire.send(REQUEST)
        assert "certificate required" in str(caught.value.__cause__)


class Refusing:
    """A node on a real socket that refuses each handshake in its own way, after the client believes it done."""

    def __init__(self, how: str) -> None:
        self.context = server_context(demands=how == "alert")
        self.how = how

    async def serve(self, stream: trio.SocketStream) -> None:
        sock = socket.socket(fileno=stream.socket.detach())
        sock.settimeout(5)

        def refuse() -> None:
            with self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as peer:
                with suppress(OSError):
                    peer.do_handshake()
                if self.how == "reset":
                    peer.recv(1)
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                elif self.how == "end":
                    peer.shutdown(socket.SHUT_WR)
                    with suppress(OSError):
                        while peer.recv(65536):
                            pass

        with sock:  # should the thread not even begin
            await trio.to_thread.run_sync(refuse, abandon_on_cancel=False)


@asynccontextmanager
async def refusing(how: str) -> AsyncGenerator[tuple[NativeTransport, Node]]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    pools = Pools(per_node=2, total=2, idle_lifetime=60, max_age=None, acquire_timeout=1, alarm=lambda _: None)
    contexts = TlsContexts(Tls(ca_data=CA.cert_pem.bytes()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, Refusing(how).serve, [listener])
        node = Node("https", "127.0.0.1", listener.socket.getsockname()[1])
        yield NativeTransport(pools, TcpDialer(2.0, contexts)), node
        pools.close()
        nursery.cancel_scope.cancel()


async def attempt(transport: NativeTransport, node: Node, request: bytes) -> None:
    lease = transport.pools.take(node, trio.current_time())
    assert lease is not None
    with trio.fail_after(5):
        await transport.attempt(lease, request, trio.current_time(), 12.0, 2**20)


@pytest.mark.parametrize("request_bytes", [REQUEST, LARGE_REQUEST], ids=["small", "large"])
async def test_an_attempt_that_meets_an_alert_has_not_happened(request_bytes):
    """A TLS error: any write may be repeated, however much of it was sent."""
    async with refusing("alert") as (transport, node):
        with pytest.raises(TlsError, match=r"demands a client certificate: .*\(.*certificate required\)") as caught:
            await attempt(transport, node, request_bytes)
        assert caught.value.node == node.endpoint
        assert not caught.value.may_have_happened
        assert transport.pools.used == 0


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_an_early_end_without_an_alert_is_of_unknown_outcome(how):
    """A node that died while it worked ends no differently; the error names the other possibility."""
    async with refusing(how) as (transport, node):
        with pytest.raises(ConnectionLostError, match=r"before any answer.*refuses, or misses, a client certificate"):
            await attempt(transport, node, REQUEST)
        assert transport.pools.used == 0


def open_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts descriptors in /proc")
async def test_an_attempt_cancelled_at_any_time_leaves_nothing():
    """In the handshake, while sending, and before the alert has come."""
    async with refusing("alert") as (transport, node):
        with suppress(TlsError):
            await attempt(transport, node, REQUEST)  # threads keep descriptors of their own
        await trio.sleep(0.01)
        before = open_descriptors()
        for ticks in range(12):
            async with trio.open_nursery() as nursery:

                async def try_once() -> None:
                    with suppress(TlsError):
                        await attempt(transport, node, REQUEST)

                nursery.start_soon(try_once)
                for _ in range(ticks):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            assert transport.pools.statistics().leased == 0
        transport.pools.close()  # where the cancellation came between handshake and request, the connection is kept
        with trio.move_on_after(2):
            while open_descriptors() > before:
                await trio.sleep(0.01)
        assert open_descriptors() <= before


# When an alert says that nothing has happened


class Alerting:
    """A wire that takes a request and gives an alert, perhaps after a part of an answer."""

    def __init__(self, reason: str, *before: bytes) -> None:
        self._parts = list(before)
        self._reason = reason

    async def send(self, data: bytes) -> None:
        pass

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self._parts:
            return self._parts.pop(0)
        cause = ssl.SSLError(1, f"[SSL: {self._reason}] words (_ssl.c:1)")
        cause.reason = self._reason
        raise AlertError from cause

    def peek(self) -> Peek:
        return Peek.QUIET

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("wire", "kind", "sent"),
    [
        (Alerting("TLSV13_ALERT_CERTIFICATE_REQUIRED"), TlsError, False),
        (Alerting("SSLV3_ALERT_BAD_CERTIFICATE"), TlsError, False),
        (Alerting("TLSV1_ALERT_INTERNAL_ERROR"), ConnectionLostError, True),
        (Alerting("TLSV13_ALERT_CERTIFICATE_REQUIRED", ANSWER[:10]), ConnectionLostError, True),
        (Alerting("TLSV13_ALERT_CERTIFICATE_REQUIRED", ANSWER), ConnectionLostError, True),
    ],
    ids=["certificate required", "bad certificate", "internal error", "after a part of an answer", "after an answer"],
)
async def test_only_an_alert_about_the_handshake_says_that_nothing_was_done(wire, kind, sent):
    """On a fresh connection, before any answer; an internal error may come of the request itself."""

    async def dial(_: Node) -> Alerting:
        return wire

    connection = Connection(Node("https", "10.0.0.1", 8000), float("inf"))
    await connection.dial(dial)
    with pytest.raises(kind) as caught:
        for _ in range(2):
            await connection.exchange(REQUEST, 100, Heads())
    assert type(caught.value) is kind
    assert connection.sent is sent

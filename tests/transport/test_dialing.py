"""Dialling real sockets: addresses of a name, what a failure says, and that nothing stays open."""

from __future__ import annotations

import gc
import os
import socket
import ssl

import pytest
import trio
import trio.testing

from alternator_trio._transport.connection import Connection, Ending
from alternator_trio._transport.dialing import TcpDialer
from alternator_trio._transport.tls_contexts import TlsContexts
from alternator_trio._transport.wires import SocketWire
from alternator_trio.errors import ConnectError, TlsError
from alternator_trio.nodes import Node


def open_descriptors() -> int:
    """How many file descriptors this process has open, once what is garbage is gone."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def _no_descriptor_is_left():
    """A test leaves as many descriptors open as it found."""
    before = open_descriptors()
    yield
    assert open_descriptors() == before


pytestmark = [
    pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts descriptors in /proc"),
    pytest.mark.usefixtures("_no_descriptor_is_left"),
]


TLS = TlsContexts(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


class Names(trio.abc.HostnameResolver):
    """Knows one name, with an address of each family."""

    async def getaddrinfo(self, host, port, *_, **__):
        await trio.lowlevel.checkpoint()
        name = host.decode() if isinstance(host, bytes) else host
        if name != "both.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


def listening(host: str = "127.0.0.1", port: int = 0, backlog: int = 8) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=backlog)


def node_of(listener: socket.socket, host: str | None = None, scheme: str = "http") -> Node:
    address = listener.getsockname()
    return Node(scheme, host or address[0], address[1])  # type: ignore[arg-type]


def free_port() -> int:
    with listening() as listener:
        return listener.getsockname()[1]


needs_ipv6 = pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")


async def test_a_wire_is_a_socket_without_nagle():
    """TCP_NODELAY: a request is never held back for the last one's acknowledgement."""
    with listening() as listener:
        wire = await TcpDialer(2.0)(node_of(listener))
        assert isinstance(wire, SocketWire)
        assert wire._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        wire.close()


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_a_name_with_two_addresses_works_when_one_of_them_does(host):
    """Happy eyeballs: only IPv6 listens, or only IPv4."""
    trio.socket.set_custom_hostname_resolver(Names())
    with listening(host) as listener:
        wire = await TcpDialer(2.0)(node_of(listener, "both.example"))
        assert wire._sock.getpeername()[0] == host
        wire.close()


@needs_ipv6
async def test_a_refusal_says_why_for_each_address():
    """Every address that was tried, with its reason, and the node; nothing of Python's wrapping."""
    trio.socket.set_custom_hostname_resolver(Names())
    port = free_port()
    with pytest.raises(ConnectError) as caught:
        await TcpDialer(2.0)(Node("http", "both.example", port))
    reasons = caught.value.message.removeprefix("cannot connect: ").split("; ")
    assert sorted(reasons) == ["127.0.0.1: Connection refused", "::1: Connection refused"]
    assert caught.value.node == f"http://both.example:{port}"


async def test_a_refusal_of_an_address_says_why():
    """One address, one reason."""
    port = free_port()
    with pytest.raises(ConnectError) as caught:
        await TcpDialer(2.0)(Node("http", "127.0.0.1", port))
    assert str(caught.value) == f"cannot connect: 127.0.0.1: Connection refused (node http://127.0.0.1:{port})"
    assert isinstance(caught.value.__cause__, OSError)


async def test_an_unknown_name_says_so():
    """The resolver's own words."""
    trio.socket.set_custom_hostname_resolver(Names())
    with pytest.raises(ConnectError, match="Name or service not known"):
        await TcpDialer(2.0)(Node("http", "nobody.example", 8000))


async def test_a_peer_that_does_not_finish_the_handshake_is_given_up_in_time():
    """Accepted by the kernel, and then nothing: the timeout counts for TLS too."""
    with listening() as listener:
        begun = trio.current_time()
        with pytest.raises(ConnectError, match=r"no connection within 0\.1 s") as caught:
            await TcpDialer(0.1, TLS)(node_of(listener, scheme="https"))
        assert trio.current_time() - begun < 1
        assert not isinstance(caught.value, TlsError)


async def _stalled(node: Node) -> None:
    await TcpDialer(60.0, TLS)(node)


@pytest.mark.parametrize("ticks", range(8))
async def test_a_dial_cancelled_at_any_time_leaves_no_socket(ticks):
    """After each number of ticks, the last of them in the TLS handshake."""
    with listening() as listener:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stalled, node_of(listener, scheme="https"))
            for _ in range(ticks):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()


async def test_a_dial_cancelled_while_it_looks_up_a_name_leaves_no_socket():
    """The lookup is abandoned."""

    class Never(Names):
        async def getaddrinfo(self, *args, **options):
            await trio.sleep_forever()

    trio.socket.set_custom_hostname_resolver(Never())
    with trio.move_on_after(0.01) as scope:
        await TcpDialer(60.0)(Node("http", "slow.example", 8000))
    assert scope.cancelled_caught


async def test_closing_a_connection_ends_its_dial():
    """From another task, at once; nothing is left of it."""
    with listening() as listener:
        connection = Connection(node_of(listener, scheme="https"), float("inf"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.dial, TcpDialer(60.0, TLS))
            await trio.testing.wait_all_tasks_blocked(0.02)
            connection.close(Ending.CLIENT_CLOSED)
        assert not connection.is_reusable

"""The network below httpcore: the sockets of one node's pool, all of which can be closed at once.

Rules: closing is synchronous and waits for nobody (httpcore's own streams say good-bye under a shield, which a node
that does not read can make last for ever); a stream on which a send was broken off is closed, because what followed
would be misread; once a dial has failed, those that stand in line for it in httpcore fail with it, and not one after
another.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeAlias, TypeVar, cast

import httpcore
import trio

from alternator_trio._transport.dialing import reason
from alternator_trio.errors import ConnectError, TlsError
from alternator_trio.nodes import Node

__all__ = ["NodeNetwork", "TlsChoice"]

_BROKEN: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
_HTTP_1: Final = ["http/1.1"]

TlsChoice: TypeAlias = Callable[[str, bool], tuple[ssl.SSLContext, str]]
"""From a host, and whether it is a proxy's, to the context of the handshake and the name that it must prove."""

T = TypeVar("T")


class NodeNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections for the pool of one node.

    Args:
        node: The node, which errors name.
        connect_timeout: Seconds for name lookup, TCP and TLS of one connection together.
        tls: The contexts and names of handshakes.
        http2: Whether HTTP/2 is offered.
        proxy: The proxy that connections go through, as it may be shown; None: they go to the node.

    Attributes:
        has_failed: Whether a connection could not be made.
    """

    def __init__(self, node: Node, *, connect_timeout: float, tls: TlsChoice, http2: bool, proxy: str | None) -> None:
        self.has_failed = False
        self._node = node
        self._timeout = connect_timeout
        self._tls = tls
        self._protocols = ["h2", "http/1.1"] if http2 else _HTTP_1
        self._proxy = proxy
        self._has_secure_proxy = proxy is not None and proxy.startswith("https:")
        self._open: dict[trio.socket.SocketType, None] = {}
        self._failure = ""
        self._is_closed = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the node, or to the proxy in its place."""
        del timeout, local_address, socket_options
        if self.has_failed or self._is_closed:
            await trio.lowlevel.checkpoint()
            raise ConnectError(self._failure or "the connection is not made any more", node=self._node.endpoint)
        by = trio.current_time() + self._timeout
        try:
            stream = await self.within(by, functools.partial(trio.open_tcp_stream, host, port))
        except OSError as error:
            raise self.failure(f"cannot connect{self._to()}: {reason(error)}") from error
        return self._adopted(stream, by)

    def secured(self, stream: trio.abc.Stream, host: str) -> trio.SSLStream[trio.abc.Stream]:
        """TLS over a stream, before its handshake."""
        # With an https:// proxy the first layer is the proxy's, the one within it the node's.
        is_proxy = self._has_secure_proxy and isinstance(stream, trio.SocketStream)
        context, name = self._tls(host, is_proxy)
        # A context cannot be copied, and this one may be the user's own, with HTTP/1.1 spoken over it elsewhere: what
        # is offered is taken from it now, and put back before anybody else can look.
        context.set_alpn_protocols(_HTTP_1 if is_proxy else self._protocols)
        try:
            return trio.SSLStream(_HeardOut(stream), context, server_hostname=name, https_compatible=True)
        finally:
            context.set_alpn_protocols(_HTTP_1)

    async def within(self, by: float, make: Callable[[], Awaitable[T]]) -> T:
        """A part of making a connection.

        Raises:
            ConnectError: It took too long.
        """
        with trio.CancelScope(deadline=by):
            return await make()
        raise self.failure(f"no connection{self._to()} within {self._timeout:g} s")

    def failure(self, message: str, kind: type[ConnectError] = ConnectError) -> ConnectError:
        """Note that a connection could not be made."""
        self.has_failed = True
        self._failure = message
        return kind(message, node=self._node.endpoint)

    def closed(self, sock: trio.socket.SocketType) -> None:
        """Close a connection, waking whoever waits on it; closing twice is harmless."""
        if sock in self._open:
            del self._open[sock]
            sock.close()

    def close(self) -> None:
        """Close every connection, and make no other."""
        self._is_closed = True
        for sock in list(self._open):
            self.closed(sock)

    def _adopted(self, stream: trio.SocketStream, by: float) -> _Stream:
        if self._is_closed:  # in the very tick in which it was made
            stream.socket.close()
            raise ConnectError("the connection was closed while it was being made", node=self._node.endpoint)
        self._open[stream.socket] = None
        return _Stream(self, stream, stream.socket, by)

    def _to(self) -> str:
        return "" if self._proxy is None else f" to the proxy {self._proxy}"


class _Stream(httpcore.AsyncNetworkStream):
    """One connection, plain or with TLS above.

    Args:
        network: Whom it belongs to.
        stream: What to read and write.
        sock: The socket at the bottom.
        by: When it must have been made.
    """

    def __init__(self, network: NodeNetwork, stream: trio.abc.Stream, sock: trio.socket.SocketType, by: float) -> None:
        self._network = network
        self._stream = stream
        self._secured = cast("object", stream) if isinstance(stream, trio.SSLStream) else None
        self._sock = sock
        self._by = by

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # httpcore's
        del timeout  # the pools keep the deadlines
        try:
            return bytes(await self._stream.receive_some(max_bytes))
        except _BROKEN as error:
            raise httpcore.ReadError(reason(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # httpcore's
        del timeout
        if not buffer:
            return
        is_sent = False
        try:
            await self._stream.send_all(buffer)
            is_sent = True
        except _BROKEN as error:
            raise httpcore.WriteError(reason(error)) from error
        finally:
            if not is_sent:
                self._network.closed(self._sock)

    async def aclose(self) -> None:
        self._network.closed(self._sock)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        del ssl_context, timeout  # see NodeNetwork.secured; httpcore is given an empty one
        is_ready = False
        try:
            secured = self._network.secured(self._stream, server_hostname or "")
            await self._network.within(self._by, secured.do_handshake)
            is_ready = True
        except (*_BROKEN, ssl.CertificateError) as error:
            raise self._network.failure(f"the TLS handshake failed: {reason(error)}", TlsError) from error
        finally:
            if not is_ready:
                self._network.closed(self._sock)
        return _Stream(self._network, secured, self._sock, self._by)

    def get_extra_info(self, info: str) -> object:
        if info == "ssl_object":
            return self._secured
        if info == "is_readable":
            return self._sock.is_readable() if self._sock.fileno() >= 0 else True
        return None


class _HeardOut(trio.abc.Stream):
    """A stream whose sends do not fail: the receive that follows finds the end, and before it what the peer said last.

    After a failed send Trio's TLS reads nothing more, also not the alert that says why the connection was ended.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()

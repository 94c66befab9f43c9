"""Making a connection: name lookup, happy eyeballs, TCP_NODELAY, and TLS where the scheme asks for it.

Rules: everything together ends within ``connect_timeout``; whatever fails is a `ConnectError` or `TlsError` that names
the node, and nothing of it is left open. One TLS policy serves discovery and data alike.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, cast

import trio

from alternator_trio._transport.wires import SocketWire, StreamWire, Wire
from alternator_trio.errors import ConnectError, TlsError
from alternator_trio.nodes import Node

__all__ = ["Dial", "TcpDialer"]

_NO_TLS: Final = "what answers there does not speak TLS; is it an http port?"
_SSL_DECORATION: Final = re.compile(r"^\[SSL: \w+\] | ?\(_ssl\.c:\d+\)$")
_TRIO_CONNECTING: Final = re.compile(r"^Error connecting to \('([^']+)'.*?\): ")

Dial: TypeAlias = Callable[[Node], Awaitable[Wire]]
"""Makes a wire to a node, or raises `ConnectError`."""


class TcpDialer:
    """Dials over TCP, with TLS for ``https`` nodes.

    Args:
        connect_timeout: Seconds for everything together.
        tls: The context for ``https`` nodes; None: the system's trust and TLS 1.2 or newer.
    """

    def __init__(self, connect_timeout: float, tls: ssl.SSLContext | None) -> None:
        self._timeout = connect_timeout
        self._tls = tls

    async def __call__(self, node: Node) -> Wire:
        """Connect to ``node``.

        Raises:
            ConnectError: It cannot be reached in time.
            TlsError: It is reached, but the handshake failed.
        """
        with trio.CancelScope(deadline=trio.current_time() + self._timeout) as scope:
            return await self._connect(node)
        assert scope.cancelled_caught  # noqa: S101  # the only way to come here
        raise ConnectError(f"no connection within {self._timeout:g} s", node=node.endpoint)

    async def _connect(self, node: Node) -> Wire:
        try:
            stream = await trio.open_tcp_stream(node.host, node.port)
        except OSError as error:
            raise ConnectError(f"cannot connect: {reason(error)}", node=node.endpoint) from error
        if node.scheme == "http":
            # Trio's socket adds a schedule point to every send; its file descriptor does as well without it.
            return SocketWire(socket.socket(fileno=stream.socket.detach()))
        return await self._handshake(node, stream)

    async def _handshake(self, node: Node, stream: trio.SocketStream) -> Wire:
        secured = trio.SSLStream(
            stream, self._context(), server_hostname=node.host.removesuffix("."), https_compatible=True
        )
        ready = False
        try:
            await secured.do_handshake()
            ready = True
        except (trio.BrokenResourceError, ssl.SSLError, ssl.CertificateError, OSError) as error:
            raise TlsError(f"the TLS handshake failed: {reason(error)}", node=node.endpoint) from error
        finally:
            if not ready:
                stream.socket.close()
        # One segment may carry the records of two answers, of which the socket then knows no more: only Trio's buffer.
        unread = secured._incoming  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # trio has no public way
        return StreamWire(secured, stream.socket.close, stream.socket, lambda: unread.pending)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()  # loads the system's trust: once, and only when it is needed
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._tls


def reason(error: BaseException) -> str:
    """What lies at the bottom: of Trio's wrapper the cause, of happy eyeballs' group each failure."""
    if isinstance(error, trio.BrokenResourceError) and error.__cause__ is not None:
        return reason(error.__cause__)
    cause: object = error.__cause__
    if isinstance(error, OSError) and isinstance(cause, BaseExceptionGroup):
        attempts = cast("BaseExceptionGroup[BaseException]", cause).exceptions
        return "; ".join(dict.fromkeys(map(reason, attempts)))
    if isinstance(error, ssl.SSLError):
        return _NO_TLS if error.reason == "WRONG_VERSION_NUMBER" else _SSL_DECORATION.sub("", str(error))
    if isinstance(error, OSError) and error.strerror:
        return _TRIO_CONNECTING.sub(r"\1: ", error.strerror)
    return str(error) or type(error).__name__

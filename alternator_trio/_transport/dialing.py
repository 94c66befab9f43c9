"""Making a connection: name lookup, happy eyeballs, TCP_NODELAY, and TLS where the scheme asks for it.

Rules: everything together ends within ``connect_timeout``; whatever fails is a `ConnectError` or `TlsError` that names
the node, and nothing of it is left open. One TLS policy serves discovery and data alike.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, cast

import trio

from alternator_trio._transport.tls_contexts import TlsContexts
from alternator_trio._transport.tls_errors import describe
from alternator_trio._transport.wires import SocketWire, Wire
from alternator_trio.errors import ConnectError, TlsError
from alternator_trio.nodes import Node

__all__ = ["NO_NETWORK", "Dial", "TcpDialer"]

_TRIO_CONNECTING: Final = re.compile(r"^Error connecting to \('([^']+)'.*?\): ")

NO_NETWORK: Final[trio.lowlevel.RunVar[str]] = trio.lowlevel.RunVar("alternator_trio: why there is no network", "")
"""Why this Trio run has no network, and what to use in its place; empty in every run but simulated ones."""

Dial: TypeAlias = Callable[[Node], Awaitable[Wire]]
"""Makes a wire to a node, or raises `ConnectError`."""


class TcpDialer:
    """Dials over TCP, with TLS for ``https`` nodes.

    Args:
        connect_timeout: Seconds for everything together.
        tls: What ``https`` nodes are secured with; None where there are none.
    """

    def __init__(self, connect_timeout: float, tls: TlsContexts | None = None) -> None:
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
        # Trio's socket adds a schedule point to every send; its file descriptor does as well without it.
        sock = socket.socket(fileno=stream.socket.detach())
        return SocketWire(sock) if node.scheme == "http" else await self._secured(node, sock)

    async def _secured(self, node: Node, sock: socket.socket) -> Wire:
        tls, ready = self._tls, False
        assert tls is not None  # noqa: S101  # an https node stems from an https seed
        try:
            wire = tls.secure(node, sock)
            await wire.handshake()
            ready = True
        except OSError as error:
            tls.forget_session(node)
            raise TlsError(f"the TLS handshake failed: {describe(error)}", node=node.endpoint) from error
        finally:
            if not ready:
                sock.close()
        return wire


def reason(error: BaseException) -> str:
    """What lies at the bottom: of Trio's wrapper the cause, of happy eyeballs' group each failure."""
    cause: object = error.__cause__
    if isinstance(error, trio.BrokenResourceError) and error.__cause__ is not None:
        return reason(error.__cause__)
    if not isinstance(error, OSError):
        return str(error) or type(error).__name__
    if isinstance(cause, BaseExceptionGroup):
        attempts = cast("BaseExceptionGroup[BaseException]", cause).exceptions
        return "; ".join(dict.fromkeys(map(reason, attempts)))
    return _TRIO_CONNECTING.sub(r"\1: ", describe(error))

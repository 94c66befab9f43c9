"""One client's connection through the proxy, and the connection to the node behind it.

The client's end decides: when it closes, the connection is over and counted so at once; what it had sent is still
delivered for ``LINGER`` seconds, then the node's side is closed. A node that closes is passed on as it did it: an
orderly end as an orderly end (the client may go on sending, as it may to a real one), a reset or a refused dial as a
reset. A black hole hides the node's end from the client until it is over.
``end`` is synchronous and final: both sockets are closed when it returns. Every way out leads through it.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from alternator_trio.testing._proxy_pipe import Pipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from alternator_trio.testing._proxy_pipe import Conditions

LINGER: Final = 1.0
"""Seconds, on top of the latency, for delivering what a client sent before it left."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConnection:
    """One client's connection, as the proxy's hooks see it."""

    id: int
    """Counted from 1 over the whole proxy, in the order of arrival."""
    address: str
    """The node's address, without the port."""
    client: tuple[str, int]
    """The client's own address and port."""


class Relay:
    """Joins a client to its node until one of them, or the proxy, has had enough."""

    __slots__ = ("_client", "_conditions", "_ended", "_left", "_on_disconnect", "_scope", "_target", "_to_client",
                 "_to_node", "_upstream", "connection")  # fmt: skip

    def __init__(
        self,
        connection: ProxyConnection,
        client: socket.socket,
        target: tuple[str, int],
        conditions: Conditions,
        on_disconnect: Callable[[ProxyConnection], None],
    ) -> None:
        self.connection = connection
        self._client = client
        self._upstream = _open_beside(client)
        self._target = target
        self._conditions = conditions
        self._on_disconnect = on_disconnect
        self._scope = trio.CancelScope()
        self._left = False
        self._ended = False
        for sock in (self._client, self._upstream):
            sock.settimeout(0)
            with contextlib.suppress(OSError):  # a client that is gone already, on macOS
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._to_node = Pipe(self._client, self._upstream, conditions, on_cut=self._cut, on_departure=self._client_left)
        self._to_client = Pipe(self._upstream, self._client, conditions, on_cut=self._cut)
        self._to_client.sink_is_ready()

    @property
    def has_lost_bytes(self) -> bool:
        """Whether a black hole made a hole in one of the two streams."""
        return self._to_node.lost or self._to_client.lost

    def swallow(self) -> None:
        """Lose the bytes that are on their way, in both directions."""
        self._to_node.swallow()
        self._to_client.swallow()

    async def run(self) -> None:
        """Carry bytes both ways until the connection is over."""
        if self._ended:
            return
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._to_node.deliver)
                    nursery.start_soon(self._to_client.deliver)
                    nursery.start_soon(self._node_side)
                    await self._client_side()
        finally:
            self.end(reset=True)

    def end(self, *, reset: bool) -> None:
        """Close both sockets now, with RSTs or in order; count the disconnect if it was not yet."""
        if self._ended:
            return
        self._ended = True
        # First the scope: its tasks let go of the sockets at once, so that closing them surprises nobody.
        self._scope.cancel()
        try:
            self._client_left()
        finally:
            for sock in (self._client, self._upstream):
                if reset:
                    with contextlib.suppress(OSError):
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                trio.lowlevel.notify_closing(sock)
                sock.close()

    def _cut(self) -> None:
        self.end(reset=self._conditions.cut_by_reset)

    async def _client_side(self) -> None:
        orderly = await self._to_node.carry()
        self._client_left()
        await self._to_node.drained()
        self.end(reset=not orderly)

    def _client_left(self) -> None:
        if self._left:
            return
        self._left = True
        self._scope.deadline = trio.current_time() + self._conditions.latency + LINGER
        self._on_disconnect(self.connection)

    async def _node_side(self) -> None:
        orderly = await self._dial() and await self._to_client.carry()
        await self._conditions.wait_restored()
        await self._to_client.drained()
        if orderly:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_WR)
            await self._to_node.broken.wait()
        self.end(reset=True)

    async def _dial(self) -> bool:
        error = self._upstream.connect_ex(self._target)
        if error == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(self._upstream)
            if self._ended:  # in the very tick in which the node accepted
                return False
            error = self._upstream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            return False
        self._to_node.sink_is_ready()
        return True


def _open_beside(client: socket.socket) -> socket.socket:
    """Return a new socket of the client's kind; when the process may have no more, the client is closed too."""
    try:
        return socket.socket(client.family, socket.SOCK_STREAM)
    except OSError:
        client.close()
        raise

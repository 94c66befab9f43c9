"""The proxy's way to one node: a listener on the node's address, and the connections that came through it.

A link counts exactly: a connection is counted before a byte of it is forwarded, and what ends connections or stops the
listening first takes in those that the kernel has accepted meanwhile.
A link that refuses has no listener; its port is the proxy's by being below the ephemeral ones, where nobody wanders.
Every method is synchronous and in force when it returns; the accepting itself runs in the proxy's nursery.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from alternator_trio.testing._addresses import listen
from alternator_trio.testing._checks import check_count
from alternator_trio.testing._proxy_pipe import Conditions
from alternator_trio.testing._proxy_relay import ProxyConnection, Relay

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

ConnectionHook: TypeAlias = Callable[[ProxyConnection], object]
"""What a hook is: a plain function of the connection; what it returns is not looked at."""

PAUSE_AFTER_ERROR: Final = 0.1
"""Seconds before accepting again when the process is out of descriptors or memory."""

_log = logging.getLogger(__name__)


class ProxyLink:
    """What the proxy knows about one node's address, and can do to the traffic with it.

    Its counters and switches are those of `CountingProxy`, for this address alone.
    """

    def __init__(
        self,
        target: tuple[str, int],
        ids: Iterator[int],
        on_client_connect: ConnectionHook | None,
        on_client_disconnect: ConnectionHook | None,
    ) -> None:
        self._listener: socket.socket | None = None
        self._port = 0
        self._target = target
        self._ids = ids
        self._on_client_connect = on_client_connect
        self._on_client_disconnect = on_client_disconnect
        self._conditions = Conditions()
        self._nursery: trio.Nursery | None = None
        # Relays by connection id: a dict keeps the order of arrival.
        self._relays: dict[int, Relay] = {}
        self._connects = 0
        self._disconnects = 0

    def __repr__(self) -> str:
        return f"<ProxyLink {self.address}: {self.connects} connects, {self.disconnects} disconnects>"

    @property
    def address(self) -> str:
        """The node's address, which is also the listener's."""
        return self._target[0]

    @property
    def connects(self) -> int:
        """Connections that clients have opened."""
        return self._connects

    @property
    def disconnects(self) -> int:
        """Connections that are over: the client left, or the connection was reset."""
        return self._disconnects

    @property
    def open_connections(self) -> int:
        """Connections that clients have open now."""
        return self._connects - self._disconnects

    @property
    def latency(self) -> float:
        """Seconds that every byte is on its way, each way; assigning holds for the bytes that come from then on."""
        return self._conditions.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"latency must be a finite number of seconds, at least 0, not {seconds!r}")
        self._conditions.latency = seconds

    @property
    def is_refusing(self) -> bool:
        """Whether new connections are refused."""
        return self._nursery is not None and self._listener is None

    @property
    def is_black_holed(self) -> bool:
        """Whether bytes vanish."""
        return self._conditions.black_holed

    def open(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        """Accept what comes to the listener, which is the link's from now on, in the nursery."""
        self._nursery = nursery
        self._port = listener.getsockname()[1]
        self._start_accepting(listener, nursery)

    def close(self) -> None:
        """Stop listening for good and reset every connection."""
        self.cut()
        self._stop_accepting()
        self._nursery = None

    def cut(self) -> None:
        """Reset every open connection, now; new ones are accepted."""
        self._accept_waiting()
        for relay in list(self._relays.values()):
            relay.end(reset=True)

    def cut_after(self, count: int | None, *, reset: bool = True) -> None:
        """Pass on so many bytes more, and end the connection right behind the last of them; None forgets it."""
        if count is not None:
            check_count("count", count, 1)
        self._conditions.bytes_left = count
        self._conditions.cut_by_reset = reset

    def refuse(self) -> None:
        """Stop listening: new connections are refused, open ones go on."""
        self._require_open()
        self._accept_waiting()
        self._stop_accepting()

    def accept(self) -> None:
        """Listen again after `refuse`."""
        nursery = self._require_open()
        if self._listener is None:
            self._start_accepting(listen(self.address, self._port), nursery)

    def black_hole(self) -> None:
        """Swallow every byte, in both directions, those on their way included; connections stay open."""
        self._accept_waiting()
        self._conditions.black_holed = True
        for relay in list(self._relays.values()):
            relay.swallow()

    def restore(self) -> None:
        """End the black hole; connections that lost bytes are reset, for nothing could close the hole in them."""
        if not self._conditions.black_holed:
            return
        self._conditions.restore()
        for relay in list(self._relays.values()):
            if relay.has_lost_bytes:
                relay.end(reset=True)

    def _require_open(self) -> trio.Nursery:
        if self._nursery is None:
            raise RuntimeError("the CountingProxy is not open")
        return self._nursery

    def _start_accepting(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        self._listener = listener
        nursery.start_soon(self._accept_forever, listener, name=f"accepting for {self.address}")

    def _stop_accepting(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            trio.lowlevel.notify_closing(listener)
            listener.close()

    async def _accept_forever(self, listener: socket.socket) -> None:
        with contextlib.suppress(trio.ClosedResourceError):
            while listener is self._listener:
                await trio.lowlevel.wait_readable(listener)
                if not self._accept_waiting():
                    await trio.sleep(PAUSE_AFTER_ERROR)

    def _accept_waiting(self) -> bool:
        """Take in every connection that the kernel has accepted; False when it has more than the process can take."""
        while self._listener is not None and self._nursery is not None:  # a hook may have refused meanwhile
            try:
                self._admit(*self._listener.accept(), self._nursery)
            except (BlockingIOError, ConnectionAbortedError):
                return True
            except OSError:
                _log.exception("cannot accept a connection for %s", self.address)
                return False
        return True

    def _admit(self, client: socket.socket, peer: tuple[str, int], nursery: trio.Nursery) -> None:
        connection = ProxyConnection(id=next(self._ids), address=self.address, client=peer[:2])
        relay = Relay(connection, client, self._target, self._conditions, self._count_disconnect)
        self._relays[connection.id] = relay
        self._connects += 1
        self._call(self._on_client_connect, connection)
        nursery.start_soon(self._run, relay, name=f"connection {connection.id} to {self.address}")

    async def _run(self, relay: Relay) -> None:
        try:
            await relay.run()
        finally:
            del self._relays[relay.connection.id]

    def _count_disconnect(self, connection: ProxyConnection) -> None:
        self._disconnects += 1
        self._call(self._on_client_disconnect, connection)

    def _call(self, hook: ConnectionHook | None, connection: ProxyConnection) -> None:
        if hook is None:
            return
        try:
            hook(connection)
        except Exception:  # noqa: BLE001 - a stranger's code must not end the proxy
            _log.exception("a hook raised for %r", connection)

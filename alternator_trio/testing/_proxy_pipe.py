"""One direction of a proxied connection: bytes read from one socket, delivered to another.

Order and content never change: what arrives is a prefix of what was sent, or nothing more arrives at all.
Memory is bounded: reading stops while ``BUFFER`` bytes wait to be delivered, so a slow reader slows its writer.
While nothing is queued and no latency is asked for, a chunk is sent in the step that read it: one task switch per hop.
A departure is seen even behind bytes that wait to be read, as far as TCP shows it: a peer whose own send buffer is
still full when it leaves cannot announce its end before that has drained.
The sockets belong to the relay: a pipe never closes them.
"""

from __future__ import annotations

import select
from collections import deque
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

CHUNK: Final = 64 * 1024
"""Bytes read at once."""

BUFFER: Final = 1024 * 1024
"""Bytes that one direction holds before it stops reading."""

PATIENCE: Final = 0.05
"""Seconds between two looks for a departure while reading has stopped (nobody reads, so nothing else would tell)."""

_DEPARTED: Final = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class Conditions:
    """What the link between the client and one node is like at the moment."""

    __slots__ = ("_restored", "black_holed", "bytes_left", "cut_by_reset", "latency")

    def __init__(self) -> None:
        self.latency = 0.0
        """Seconds that every byte is on its way, each way."""
        self.black_holed = False
        """Whether bytes vanish."""
        self.bytes_left: int | None = None
        """How many more are passed on, both ways and all connections together, before one is cut; None: no end."""
        self.cut_by_reset = True
        """Whether that cut is a reset, and not an orderly end."""
        self._restored = trio.lowlevel.ParkingLot()

    def restore(self) -> None:
        """End the black hole and wake whoever waited for its end."""
        self.black_holed = False
        self._restored.unpark_all()

    def spend(self, count: int) -> bool:
        """Note bytes that were passed on; True when the connection that they were passed on is now to be cut."""
        if self.bytes_left is None:
            return False
        self.bytes_left -= count
        if self.bytes_left:
            return False
        self.bytes_left = None
        return True

    async def wait_restored(self) -> None:
        """Return when there is no black hole."""
        while self.black_holed:
            await self._restored.park()


class Pipe:
    """Carries bytes one way, late or into nothing as the conditions of its link have it."""

    __slots__ = ("_conditions", "_held", "_on_cut", "_on_departure", "_progress", "_queue", "_sink", "_sink_ready",
                 "_source", "_work", "broken", "lost")  # fmt: skip

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        conditions: Conditions,
        *,
        on_cut: Callable[[], None],
        on_departure: Callable[[], None] | None = None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._conditions = conditions
        self._on_cut = on_cut
        self._on_departure = on_departure
        self._sink_ready = False
        self._queue: deque[tuple[float, memoryview]] = deque()
        self._held = 0
        self._work = trio.lowlevel.ParkingLot()
        self._progress = trio.lowlevel.ParkingLot()
        self.broken = trio.Event()
        """Set when the sink takes no more: what is read from then on is thrown away."""
        self.lost = False
        """Whether a black hole swallowed bytes: the stream then has a hole that must not be written past."""

    def sink_is_ready(self) -> None:
        """The sink is connected: deliver what waits."""
        self._sink_ready = True
        self._work.unpark_all()

    def swallow(self) -> None:
        """Lose the bytes that are on their way."""
        self.lost = self.lost or bool(self._queue)
        self._forget()

    async def carry(self) -> bool:
        """Read until the source ends; return True for an orderly end, False for a reset."""
        try:
            while True:
                await self._wait_for_room()
                await trio.lowlevel.wait_readable(self._source)
                try:
                    data = self._source.recv(CHUNK)
                except BlockingIOError:
                    continue
                if not data:
                    return True
                self._take(data)
                if self._source.fileno() < 0:  # cut behind these bytes
                    return False
        except (OSError, trio.ClosedResourceError):
            return False

    async def deliver(self) -> None:
        """Send what is queued, each chunk when it is due, until the sink takes no more."""
        try:
            while True:
                while not (self._queue and self._sink_ready):
                    await self._work.park()
                await self._deliver_first()
        except (OSError, trio.ClosedResourceError):
            self._break()

    async def drained(self) -> None:
        """Return when nothing waits to be delivered any more."""
        while self._queue:
            await self._progress.park()

    def _take(self, data: bytes) -> None:
        if self.broken.is_set():
            return
        if self._conditions.black_holed:
            self.lost = True
            return
        latency = self._conditions.latency
        sent = 0 if latency or self._queue or not self._sink_ready else self._send(data)
        if sent < len(data):
            self._queue.append((trio.current_time() + latency, memoryview(data)[sent:]))
            self._held += len(data) - sent
            self._work.unpark_all()

    def _send(self, data: bytes) -> int:
        """Send at once what fits; a sink that is gone takes everything, into nothing."""
        try:
            return self._send_some(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._break()
            return len(data)

    def _send_some(self, data: bytes | memoryview) -> int:
        """Send what fits, and no byte beyond the one behind which the connection is to be cut."""
        sent = self._sink.send(data[: self._conditions.bytes_left])
        if self._conditions.spend(sent):
            self._on_cut()
        return sent

    async def _deliver_first(self) -> None:
        due, data = self._queue[0]
        await trio.sleep_until(due)
        await trio.lowlevel.wait_writable(self._sink)
        if not self._queue:
            return  # a black hole came over it meanwhile, and nothing follows in a pipe that has lost bytes
        try:
            sent = self._send_some(data)
        except BlockingIOError:
            return
        if sent < len(data):
            self._queue[0] = (due, data[sent:])
        else:
            self._queue.popleft()
        self._held -= sent
        self._progress.unpark_all()

    async def _wait_for_room(self) -> None:
        while self._held >= BUFFER:
            with trio.move_on_after(PATIENCE):
                await self._progress.park()
            if self._on_departure is not None and _has_departed(self._source):
                self._on_departure()

    def _break(self) -> None:
        self.broken.set()
        self._forget()

    def _forget(self) -> None:
        self._queue.clear()
        self._held = 0
        self._progress.unpark_all()


def _has_departed(sock: socket.socket) -> bool:
    """Whether the peer has closed its side, even behind bytes that nobody has read yet."""
    poller = select.poll()
    poller.register(sock, _DEPARTED)
    return bool(poller.poll(0))

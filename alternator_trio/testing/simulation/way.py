"""One direction of a simulated connection: what is on its way, and when it arrives.

Rules: pieces arrive in order, each by itself; an end or a reset comes behind the pieces before it; while a link is cut
nothing arrives, and nothing is lost.
"""

from __future__ import annotations

import collections
import math
from typing import Literal, TypeAlias

import trio

from alternator_trio.testing.simulation.link import Link

__all__ = ["Mark", "Way"]

Mark: TypeAlias = Literal["end", "reset"]


class Way:
    """One direction.

    Args:
        link: What it goes over.
        window: The bytes that may be on it before a sender waits.

    Attributes:
        link: What it goes over.
        is_silent: Whether nothing more arrives, without a word.
        reader_is_gone: Whether nobody reads any more.
        has_ended: Whether an end or a reset has arrived.
        was_reset: Whether it was a reset.
    """

    def __init__(self, link: Link, window: int) -> None:
        self.link = link
        self.is_silent = False
        self.reader_is_gone = False
        self.has_ended = False
        self.was_reset = False
        self._window = window
        self._unread = 0
        self._coming: collections.deque[tuple[float, bytes | Mark]] = collections.deque()
        self._last_arrival = 0.0
        self._news = trio.Event()

    @property
    def room(self) -> int:
        """How many bytes may be sent now."""
        return self._window - self._unread

    @property
    def arrives(self) -> float:
        """When the next thing arrives, or has arrived (Trio's clock)."""
        return self._coming[0][0] if self._coming and not self.link.is_cut else math.inf

    @property
    def is_empty(self) -> bool:
        """Whether no more pieces are on their way, though perhaps an end."""
        return not self._coming or not isinstance(self._coming[0][1], bytes)

    def put(self, what: bytes | Mark) -> None:
        """Send something; of what is silent, or has no reader, nothing arrives."""
        if isinstance(what, bytes):
            self._unread += len(what)
        if self.is_silent or self.reader_is_gone:
            return
        self._last_arrival = max(self._last_arrival, trio.current_time() + self.link.latency())
        self._coming.append((self._last_arrival, what))
        if len(self._coming) == 1:
            self.tell()

    def take(self) -> bytes | None:
        """The next piece that has arrived; None when there is none, perhaps because of an end."""
        while self.arrives <= trio.current_time():
            what = self._coming[0][1]
            if isinstance(what, bytes):
                self._coming.popleft()
                self._unread -= len(what)
                self.tell()
                return what
            self._end(what)
        return None

    def look(self) -> bool:
        """Take in an end that has arrived; whether there is a piece to take."""
        while self.arrives <= trio.current_time():
            what = self._coming[0][1]
            if isinstance(what, bytes):
                return True
            self._end(what)
        return False

    def look_for_reset(self) -> bool:
        """Whether a reset has arrived, also behind pieces that nobody has read."""
        now = trio.current_time()
        if not self.link.is_cut and any(what == "reset" and at <= now for at, what in self._coming):
            self.was_reset = self.has_ended = True
        return self.was_reset

    def tell(self) -> None:
        """Wake who waits: something has changed."""
        self._news.set()
        self._news = trio.Event()

    async def wait(self, until: float = math.inf) -> None:
        """Wait until something changes, or until a time."""
        with trio.CancelScope(deadline=until):
            await self._news.wait()

    def _end(self, mark: Mark) -> None:
        self._coming.popleft()
        self.has_ended = True
        self.was_reset = self.was_reset or mark == "reset"

"""Callers that leave: single ones at random moments, and many in the same tick.

Rules: a scope is registered for exactly as long as its operation runs; the moments are drawn from the run's seed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator


class Guillotine:
    """Cancels operations in flight, a part of them or all, in one tick.

    Attributes:
        strokes: How often it fell on anybody.
        most: The most that it cancelled in one tick.
    """

    def __init__(self, rng: random.Random, interval: float) -> None:
        self._rng = rng
        self._interval = interval
        self._scopes: dict[trio.CancelScope, None] = {}  # a dict: a set has an order of its own in each process
        self.strokes = 0
        self.most = 0

    @contextmanager
    def over(self, scope: trio.CancelScope) -> Iterator[None]:
        """Let an operation be among those that it may fall on."""
        self._scopes[scope] = None
        try:
            yield
        finally:
            del self._scopes[scope]

    async def run(self) -> None:
        """Fall again and again."""
        while True:
            await trio.sleep(self._rng.expovariate(1 / self._interval))
            for _ in range(self._rng.randrange(4)):
                await trio.lowlevel.checkpoint()
            self.fall(self._rng.choice((0.1, 0.3, 1.0)))

    def fall(self, share: float) -> None:
        """Cancel so many of those in flight, now."""
        chosen = [scope for scope in self._scopes if self._rng.random() < share]
        for scope in chosen:
            scope.cancel()
        self.strokes += bool(chosen)
        self.most = max(self.most, len(chosen))

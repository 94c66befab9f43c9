"""A gate before the load: callers pass it one by one, and it is known when none of them is inside."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Iterator


class Gate:
    """Lets callers begin operations, or holds them back."""

    def __init__(self) -> None:
        self._open = trio.Event()
        self._empty = trio.Event()
        self._inside = 0

    def open(self) -> None:
        """Let them begin."""
        self._open.set()

    def shut(self) -> None:
        """Hold them back from their next operation on."""
        self._open = trio.Event()

    async def passed(self) -> None:
        """Return when it is open."""
        await self._open.wait()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Count an operation, with all that belongs to it, as under way."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._empty.set()

    async def empty(self) -> None:
        """Return when nothing is under way."""
        while self._inside:
            self._empty = trio.Event()
            await self._empty.wait()

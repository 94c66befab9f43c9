"""A value that one actor replaces and everybody reads.

Rules: readers take `value` without waiting and keep what they took: values are immutable snapshots. Only the owner
calls `publish`.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

__all__ = ["Published"]

T = TypeVar("T")


class Published(Generic[T]):
    """The current snapshot of something that an actor owns.

    Attributes:
        value: The latest snapshot.

    Example:
        >>> ring = Published(("a",))
        >>> ring.publish(("a", "b"))
        >>> ring.value
        ('a', 'b')
    """

    __slots__ = ("_changed", "value")

    def __init__(self, value: T) -> None:
        self.value = value
        self._changed: trio.Event | None = None

    def publish(self, value: T) -> None:
        """Replace the snapshot and wake those who wait for a change."""
        self.value = value
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def wait_change(self, seen: T) -> T:
        """Wait until the snapshot is another than ``seen`` (by identity) and return it."""
        await trio.lowlevel.checkpoint()  # a reader in a loop must not starve the other tasks
        while self.value is seen:
            if self._changed is None:
                self._changed = trio.Event()
            await self._changed.wait()
        return self.value

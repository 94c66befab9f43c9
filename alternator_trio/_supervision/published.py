"""A value that one actor replaces and everybody reads.

Rules: readers take `value` without waiting and keep what they took: values are immutable snapshots. Only the owner
calls `publish`.
"""

from __future__ import annotations

from typing import Generic, TypeVar

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

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def publish(self, value: T) -> None:
        """Replace the snapshot."""
        self.value = value

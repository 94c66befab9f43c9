"""What happened in a simulation, in order: a digest by which two runs can be compared, and a trace for whoever reads.

Rules: an event is a time, a kind and facts that print the same in every process; the digest covers every event since
the beginning, so that two runs with one digest did the same at the same times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, NamedTuple

import trio

__all__ = ["Event", "History"]

_DIGEST_DIGITS: Final = 16


class Event(NamedTuple):
    """One thing that happened.

    Attributes:
        at: When (Trio's clock).
        kind: What, in a word or two.
        facts: To whom, and how: text and numbers.
    """

    at: float
    kind: str
    facts: tuple[str | int | float | None, ...]

    def __str__(self) -> str:
        return " ".join([f"{self.at:12.6f}", self.kind, *map(str, self.facts)])


class History:
    """The events of a simulation.

    Attributes:
        listeners: Called with each event as it happens; they must not raise.
        count: Events so far.

    Example:
        >>> History().digest
        'e3b0c44298fc1c14'
    """

    def __init__(self) -> None:
        self.listeners: list[Callable[[Event], object]] = []
        self.count = 0
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """All events so far as sixteen hexadecimal digits."""
        return self._hash.hexdigest()[:_DIGEST_DIGITS]

    def record(self, kind: str, *facts: str | float | None) -> None:
        """Add an event that happens now."""
        event = Event(trio.current_time(), kind, facts)
        self.count += 1
        self._hash.update(repr(event).encode())
        for listener in self.listeners:
            listener(event)

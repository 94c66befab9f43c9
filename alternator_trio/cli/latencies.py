"""How long operations took: counts per duration, from which percentiles and a histogram are read.

Rules: durations are rounded down to three significant digits of microseconds, so that any number of them fits in a few
thousand counts and a percentile is right within one per cent; the maximum is kept exactly; no clock.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Final, Self

__all__ = ["Bar", "Latencies", "LatencySummary"]

_MICROSECONDS: Final = 1_000_000  # in a second
_EXACT_BELOW: Final = 1_000
# First digits of a row's lower bound, finest first; all of them are representable in a rounded duration.
_SCALES: Final[tuple[tuple[int, ...], ...]] = ((10, 15, 20, 30, 50, 70), (10, 20, 50), (10,))
_PER_CENT: Final = 100
_PARTS: Final = 1_000  # a percentile is taken at a thousandth of a per cent: 99.9 is no binary fraction


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a histogram.

    Attributes:
        from_seconds: The shortest duration in it.
        to_seconds: The shortest duration that is no longer in it.
        count: How many durations are in it.
    """

    from_seconds: float
    to_seconds: float
    count: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """The percentiles that a report shows, in seconds."""

    p50: float
    p90: float
    p99: float
    p999: float
    maximum: float


class Latencies:
    """A record of durations.

    Example:
        >>> latencies = Latencies()
        >>> for milliseconds in range(1, 101):
        ...     latencies.record(milliseconds / 1000)
        >>> latencies.percentile(50)
        0.05
    """

    __slots__ = ("_counts", "_maximum", "count")

    def __init__(self) -> None:
        self._counts: collections.Counter[int] = collections.Counter()
        self._maximum = 0.0
        self.count = 0

    @classmethod
    def merged(cls, parts: Sequence[Latencies]) -> Self:
        """All durations of several records."""
        whole = cls()
        for part in parts:
            whole.add(part)
        return whole

    def add(self, other: Latencies) -> None:
        """Add all durations of another record."""
        self._counts.update(other._counts)
        self._maximum = max(self._maximum, other._maximum)
        self.count += other.count

    def record(self, seconds: float) -> None:
        """Add a duration."""
        self._counts[_rounded(round(seconds * _MICROSECONDS))] += 1
        self._maximum = max(self._maximum, seconds)
        self.count += 1

    def percentile(self, percent: float) -> float:
        """The duration, in seconds, that at least ``percent`` of all durations do not exceed (the nearest rank).

        Raises:
            ValueError: Nothing is recorded.
        """
        if not self.count:
            raise ValueError("no duration is recorded")
        rank = -(-self.count * round(percent * _PARTS) // (_PER_CENT * _PARTS))
        if rank >= self.count:
            return self._maximum
        seen = 0
        for micros in sorted(self._counts):
            seen += self._counts[micros]
            if seen >= rank:
                return micros / _MICROSECONDS
        return self._maximum

    def summary(self) -> LatencySummary | None:
        """The usual percentiles; None when nothing is recorded."""
        if not self.count:
            return None
        return LatencySummary(
            p50=self.percentile(50),
            p90=self.percentile(90),
            p99=self.percentile(99),
            p999=self.percentile(99.9),
            maximum=self._maximum,
        )

    def bars(self, most: int = 16) -> tuple[Bar, ...]:
        """A histogram of round steps, from the shortest to the longest duration, empty steps between them included.

        Args:
            most: The number of rows beyond which steps grow coarser.
        """
        if not self.count:
            return ()
        low, high = min(self._counts), max(self._counts)
        edges = _edges(low, high, _SCALES[0])
        for scale in _SCALES[1:]:
            if len(edges) > most + 1:
                edges = _edges(low, high, scale)
        counts = [0] * (len(edges) - 1)
        row = 0
        for micros in sorted(self._counts):
            while micros >= edges[row + 1]:
                row += 1
            counts[row] += self._counts[micros]
        return tuple(
            Bar(from_seconds=start / _MICROSECONDS, to_seconds=end / _MICROSECONDS, count=count)
            for start, end, count in zip(edges, edges[1:], counts, strict=False)
        )


def _rounded(micros: int) -> int:
    """Three significant digits, rounded down."""
    if micros < _EXACT_BELOW:
        return micros
    unit = 1
    while micros >= _EXACT_BELOW * unit:
        unit *= 10
    return micros - micros % unit


def _edges(low: int, high: int, scale: tuple[int, ...]) -> list[int]:
    """Round bounds of rows that hold everything from ``low`` to ``high``: the first one at most ``low``."""
    edges = [0]
    unit = 1
    while True:
        for first in scale:
            edge = first * unit
            if edge <= low:
                edges = [edge]
            else:
                edges.append(edge)
            if edge > high:
                return edges
        unit *= 10

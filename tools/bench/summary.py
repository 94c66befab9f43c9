"""From samples to rows: medians over the rounds, and ratios between neighbours of one round.

Pure arithmetic. A ratio is taken within each round and the median of those ratios is quoted with its extremes: a ratio
of two medians would compare moments in which the machine was not the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rounds import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A median and its extremes."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Self | None:
        """Summarise the values that are there; ``None`` when there are none."""
        known = [value for value in values if value is not None]
        return cls(median=median(known), lowest=min(known), highest=max(known)) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One subject doing one operation, so many in flight, over all rounds."""

    operation: str
    in_flight: int
    subject: str
    per_second: Spread
    cpu_us: Spread
    system_us: Spread
    p50_us: Spread
    p99_us: Spread
    server_us: Spread | None
    server_busy: Spread | None
    cpu_ratio: Spread | None
    """This subject's CPU per operation over the baseline's."""
    throughput_ratio: Spread | None
    """This subject's operations per second over the baseline's."""


def rows_of(samples: Sequence[Sample], *, baseline: str | None) -> list[Row]:
    """Summarise every cell, in the order in which cells first appear."""
    cells: dict[tuple[str, int, str], list[Sample]] = {}
    for sample in samples:
        cells.setdefault((sample.operation, sample.in_flight, sample.subject), []).append(sample)
    ordered = sorted(cells, key=lambda cell: _order(cell, list(cells)))
    return [
        _row(cells[operation, in_flight, subject], cells.get((operation, in_flight, baseline or "")))
        for operation, in_flight, subject in ordered
    ]


def added_cpu_us(samples: Sequence[Sample], row: Row, other: str) -> list[float]:
    """What an operation of a row costs more than the same of another subject, per round."""
    cell = [sample for sample in samples if (sample.operation, sample.in_flight) == (row.operation, row.in_flight)]
    ours = [sample for sample in cell if sample.subject == row.subject]
    theirs = [sample for sample in cell if sample.subject == other]
    return [mine.cpu_us - its.cpu_us for mine, its in _pairs(ours, theirs)]


def _order(cell: tuple[str, int, str], cells: list[tuple[str, int, str]]) -> tuple[int, int, int]:
    """Group by operation, then by load, whatever order the rounds took."""
    operations, loads, subjects = ([*dict.fromkeys(column)] for column in zip(*cells, strict=True))
    return operations.index(cell[0]), loads.index(cell[1]), subjects.index(cell[2])


def _row(samples: Sequence[Sample], baseline: Sequence[Sample] | None) -> Row:
    first = samples[0]
    return Row(
        operation=first.operation,
        in_flight=first.in_flight,
        subject=first.subject,
        per_second=_known(Spread.of(sample.per_second for sample in samples)),
        cpu_us=_known(Spread.of(sample.cpu_us for sample in samples)),
        system_us=_known(Spread.of(sample.system_us for sample in samples)),
        p50_us=_known(Spread.of(sample.p50_us for sample in samples)),
        p99_us=_known(Spread.of(sample.p99_us for sample in samples)),
        server_us=Spread.of(sample.server_us for sample in samples),
        server_busy=Spread.of(sample.server_busy for sample in samples),
        cpu_ratio=Spread.of(ours.cpu_us / theirs.cpu_us for ours, theirs in _pairs(samples, baseline)),
        throughput_ratio=Spread.of(ours.per_second / theirs.per_second for ours, theirs in _pairs(samples, baseline)),
    )


def _pairs(samples: Sequence[Sample], baseline: Sequence[Sample] | None) -> list[tuple[Sample, Sample]]:
    of_round = {sample.round: sample for sample in baseline or ()}
    return [(sample, of_round[sample.round]) for sample in samples if sample.round in of_round]


def _known(spread: Spread | None) -> Spread:
    if spread is None:
        raise ValueError("a row is made of one sample or more")
    return spread

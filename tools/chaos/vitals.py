"""Descriptors, tasks, threads and memory of this process, once a second, and the rules by which they are called flat.

Rules:

* At rest (nothing in flight, every fault over) descriptors less connections, tasks and threads are the same each time.
* The median memory of the last third of the samples is at most `GROWTH` above that of the middle third; the first third
  is warm-up. Runs under `JUDGED_FROM` seconds are too short for that.

The figures are Linux's: ``/proc/self``.
"""

from __future__ import annotations

import os
import statistics
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Sequence

GROWTH = 0.03
JUDGED_FROM = 120.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One second: when it ended, what was held then, and what had happened until then."""

    at: float
    descriptors: int
    connections: int
    tasks: int
    threads: int
    rss: int
    operations: int
    errors: int
    cancelled: int
    faults: int
    open_faults: int
    calm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the process holds."""

    descriptors: int
    tasks: int
    threads: int

    @classmethod
    def now(cls, connections: int = 0) -> Held:
        """At this moment, without so many connections."""
        return cls(
            descriptors=descriptors() - connections,
            tasks=trio.lowlevel.current_statistics().tasks_living,
            threads=threading.active_count(),
        )


def descriptors() -> int:
    """Open descriptors, the one that counts them not included."""
    return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - only their number


def rss() -> int:
    """Resident memory in bytes."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - read each second
        return int(statm.read().split()[1]) * _PAGE


def more(before: Held, after: Held) -> str | None:
    """What there is more of; None when there is not."""
    names = ("descriptors", "tasks", "threads")
    grown = {name: getattr(after, name) - getattr(before, name) for name in names}
    return ", ".join(f"{count} more {name}" for name, count in grown.items() if count > 0) or None


def least(moments: Sequence[Held]) -> Held:
    """The least of each."""
    return Held(
        descriptors=min(held.descriptors for held in moments),
        tasks=min(held.tasks for held in moments),
        threads=min(held.threads for held in moments),
    )


def growth(samples: Sequence[Sample]) -> float:
    """The median memory of the last third of a run over that of the middle third, less one."""
    third = len(samples) // 3
    middle = statistics.median(sample.rss for sample in samples[third : 2 * third])
    last = statistics.median(sample.rss for sample in samples[2 * third :])
    return last / middle - 1


def complaint(samples: Sequence[Sample], seconds: float) -> str | None:
    """What is wrong with the memory; None when nothing is, or the run was too short to say."""
    if seconds < JUDGED_FROM or growth(samples) <= GROWTH:
        return None
    return f"memory grew by {growth(samples):.1%} from the middle third of the run to the last"

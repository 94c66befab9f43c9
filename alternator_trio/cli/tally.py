"""What the application saw while the load ran: counts, by phase of the outage.

Rules: an operation belongs to the outage when it began and ended in it, and else to before or after, so that what is
counted for a dead node is what it did while it was dead; memory does not grow with the number of operations; times are
arguments.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
from typing import TYPE_CHECKING, Final

from alternator_trio.cli.latencies import Latencies
from alternator_trio.cli.ledger import Mismatch

if TYPE_CHECKING:
    from alternator_trio import types

__all__ = ["Event", "Phase", "PhaseTally", "Tally"]

TIMELINE_SLICES: Final = 60
_KEPT: Final = 20  # examples of what went wrong; all are counted


class Phase(enum.Enum):
    """Where a run stands with its outage. Without an outage all of it is BEFORE."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the cluster.

    Attributes:
        at: Seconds from the load's start.
        kind: ``"killed"``, ``"started"`` or ``"failed"`` (it could not be started again); ``"left alone"`` or ``"used
            again"`` by the client.
        node: The node's endpoint.
        text: A sentence on it.
    """

    at: float
    kind: str
    node: str
    text: str


class PhaseTally:
    """Counts of one phase.

    Attributes:
        nodes: Answers by the node that gave them.
        latencies: How long each operation took, all its attempts included.
        retries: Attempts beyond the first of operations that succeeded.
        began: Seconds from the load's start.
        ended: The same.
    """

    __slots__ = ("began", "ended", "latencies", "nodes", "retries")

    def __init__(self) -> None:
        self.nodes: collections.Counter[str] = collections.Counter()
        self.latencies = Latencies()
        self.retries = 0
        self.began = 0.0
        self.ended = 0.0


class Tally:
    """Counts of one run.

    Args:
        seconds: How long the load is to run.

    Attributes:
        phase: The phase now.
        phases: Counts of the phases reached so far.
        operations: Answers by kind of operation.
        errors: Errors that reached the application, by what they are.
        examples: A message for some of them.
        timeline: Answers in each of as many equal parts of the run.
        events: What happened to the cluster.
        wrong_reads: Reads that found something else than was acknowledged.
        overtaken_reads: Reads that found an earlier write, of which an attempt had been given up.
        mismatches: Some of both.
        happened: Indeterminate writes that a read found done.
        not_happened: Indeterminate writes that a read found not done.
        indeterminate: Indeterminate writes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: float | None = None
        self._is_over = False
        self.phase = Phase.BEFORE
        self.phases: dict[Phase, PhaseTally] = {Phase.BEFORE: PhaseTally()}
        self.operations: collections.Counter[str] = collections.Counter()
        self.errors: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, str] = {}
        self.timeline = [0] * TIMELINE_SLICES
        self.events: list[Event] = []
        self.wrong_reads = 0
        self.overtaken_reads = 0
        self.mismatches: list[Mismatch] = []
        self.indeterminate = 0
        self.happened = 0
        self.not_happened = 0

    @property
    def total(self) -> int:
        """Answers so far."""
        return sum(phase.latencies.count for phase in self.phases.values())

    @property
    def retries(self) -> int:
        """Attempts beyond the first of what was answered so far."""
        return sum(phase.retries for phase in self.phases.values())

    def by_node(self) -> collections.Counter[str]:
        """Answers so far, by the node that gave them."""
        counts: collections.Counter[str] = collections.Counter()
        for phase in self.phases.values():
            counts.update(phase.nodes)
        return counts

    @property
    def is_running(self) -> bool:
        """Whether the load has begun and not ended."""
        return self._began is not None and not self._is_over

    def elapsed(self, now: float) -> float:
        """Seconds since the load began; 0 before."""
        return 0.0 if self._began is None else now - self._began

    def begin(self, now: float) -> None:
        """The load begins."""
        self._began = now

    def enter(self, phase: Phase, now: float) -> None:
        """The next phase begins."""
        self.phases[self.phase].ended = self.elapsed(now)
        self.phase = phase
        entered = self.phases.setdefault(phase, PhaseTally())
        entered.began = entered.ended = self.elapsed(now)

    def end(self, now: float) -> None:
        """The load ends."""
        self.phases[self.phase].ended = self.elapsed(now)
        self._is_over = True

    def note(self, kind: str, node: str, text: str, now: float) -> Event:
        """Something happened to the cluster."""
        event = Event(at=self.elapsed(now), kind=kind, node=node, text=text)
        self.events.append(event)
        return event

    def succeeded(
        self, operation: str, began_in: Phase, metadata: types.ResponseMetadata, *, seconds: float, now: float
    ) -> None:
        """An operation was answered now; ``began_in`` is the phase that it began in."""
        self.operations[operation] += 1
        counts = self.phases[Phase.BEFORE if began_in is Phase.BEFORE else self.phase]
        counts.nodes[metadata["Node"]] += 1
        counts.retries += metadata["RetryAttempts"]
        counts.latencies.record(seconds)
        part = int(self.elapsed(now) / self._seconds * TIMELINE_SLICES)
        self.timeline[min(part, TIMELINE_SLICES - 1)] += 1

    def failed(self, operation: str, error: Exception) -> None:
        """An error reached the application."""
        what = f"{operation}: {type(error).__name__}"
        self.errors[what] += 1
        if len(self.examples) < _KEPT:
            self.examples.setdefault(what, str(error))

    def resolved(self, *, happened: bool) -> None:
        """A read told what became of an indeterminate write."""
        if happened:
            self.happened += 1
        else:
            self.not_happened += 1

    def misread(self, mismatches: list[Mismatch]) -> None:
        """Reads found something else than was acknowledged; an empty list is fine."""
        for mismatch in mismatches:
            if mismatch.kind == "overtaken":
                self.overtaken_reads += 1
            else:
                self.wrong_reads += 1
            if len(self.mismatches) < _KEPT and mismatch not in self.mismatches:
                self.mismatches.append(mismatch)

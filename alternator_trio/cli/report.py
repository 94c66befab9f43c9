"""The report of a demo, as values.

Rules: made from a tally and a verification, by arithmetic alone; the verdict is here, and so is the exit status that
follows from it; times are seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from alternator_trio.cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from alternator_trio.cli.latencies import Bar, Latencies, LatencySummary
from alternator_trio.cli.ledger import Mismatch
from alternator_trio.cli.read_back import Verification
from alternator_trio.cli.settings import Settings
from alternator_trio.cli.tally import Event, Phase, Tally

__all__ = ["IndeterminateWrites", "PhaseReport", "Report", "make_report"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReport:
    """One phase of the run: before the kill, while the node was down, after its return.

    Attributes:
        seconds: How long it lasted.
        operations: Answers to operations of this phase: those of the outage began and ended in it.
        operations_per_second: The same per second.
        retries: Attempts beyond the first of these operations.
        shares: Each node's part of the answers, 0 to 1, by endpoint.
        latency: Percentiles; None without an answer.
    """

    seconds: float
    operations: int
    operations_per_second: float
    retries: int
    shares: Mapping[str, float]
    latency: LatencySummary | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IndeterminateWrites:
    """Writes whose outcome the client could not tell, and what reads then told.

    Attributes:
        total: All of them.
        found_done: Those that had taken effect.
        found_not_done: Those that had not.
    """

    total: int
    found_done: int
    found_not_done: int

    @property
    def unresolved(self) -> int:
        """Those that no read has settled."""
        return self.total - self.found_done - self.found_not_done


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a demo has to say.

    Attributes:
        version: The version of this package.
        embedded: Whether the cluster was the demo's own.
        nodes: The cluster's endpoints.
        table: The table's name.
        concurrency: Operations in flight.
        seconds: How long the load ran.
        interrupted: Whether the run was broken off.
        operations: Answers by kind of operation, most frequent first.
        operations_per_second: All answers per second.
        errors: Errors that the application saw, by what they are.
        error_examples: A message for some of them.
        retries: Attempts beyond the first, of all operations of the client.
        indeterminate_writes: Writes whose outcome the client could not tell.
        wrong_reads: Reads during the load that found something else than was acknowledged.
        overtaken_reads: Reads that found an earlier write, of which an attempt had been given up. That is no failure:
            what a repeated write wrote may come back, until it is written again.
        misread_examples: Some of both.
        phases: By name, in order.
        latency: Percentiles over the whole run; None without an answer.
        histogram: The same latencies, counted.
        timeline: Answers in each of as many equal parts of the load's planned time.
        slice_seconds: How long such a part is.
        events: What happened to the cluster.
        verification: What reading everything back has shown; None when it was not done.
        remarks: What else there is to say.
    """

    version: str
    embedded: bool
    nodes: tuple[str, ...]
    table: str
    concurrency: int
    seconds: float
    interrupted: bool
    operations: Mapping[str, int]
    operations_per_second: float
    errors: Mapping[str, int]
    error_examples: Mapping[str, str]
    retries: int
    indeterminate_writes: IndeterminateWrites
    wrong_reads: int
    overtaken_reads: int
    misread_examples: tuple[Mismatch, ...]
    phases: Mapping[str, PhaseReport]
    latency: LatencySummary | None
    histogram: tuple[Bar, ...]
    timeline: tuple[int, ...]
    slice_seconds: float
    events: tuple[Event, ...]
    verification: Verification | None
    remarks: tuple[str, ...]

    @property
    def total_operations(self) -> int:
        """All answers."""
        return sum(self.operations.values())

    @property
    def total_errors(self) -> int:
        """All errors that the application saw."""
        return sum(self.errors.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """Why this is no success; empty when it is one."""
        found: list[str] = []
        if self.total_errors:
            found.append(f"the application saw {_count(self.total_errors, 'error')}")
        if self.wrong_reads:
            found.append(f"{_count(self.wrong_reads, 'read')} did not find what was acknowledged")
        if self.indeterminate_writes.unresolved:
            found.append(f"{_count(self.indeterminate_writes.unresolved, 'indeterminate write')} could not be resolved")
        return (*found, *_problems_of(self.verification))

    @property
    def exit_status(self) -> int:
        """0: every acknowledged write was read back and the application saw no error; 130: interrupted; else 1."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        return EXIT_FAILED if self.problems else EXIT_OK

    def as_json(self) -> dict[str, object]:
        """The report as JSON's types; what it concludes comes first."""
        return {
            "exit_status": self.exit_status,
            "problems": list(self.problems),
            "total_operations": self.total_operations,
            "total_errors": self.total_errors,
            **dataclasses.asdict(self),
        }


def make_report(
    settings: Settings,
    tally: Tally,
    verification: Verification | None,
    *,
    version: str,
    nodes: tuple[str, ...],
    table: str,
    retries: int,
    interrupted: bool,
    remarks: tuple[str, ...],
) -> Report:
    """Make the report of a run, complete or not."""
    phases = {phase.value: _phase_report(tally, phase, nodes) for phase in Phase if phase in tally.phases}
    seconds = sum(phase.seconds for phase in phases.values())
    latencies = Latencies.merged([phase.latencies for phase in tally.phases.values()])
    return Report(
        version=version,
        embedded=settings.is_embedded,
        nodes=nodes,
        table=table,
        concurrency=settings.concurrency,
        seconds=seconds,
        interrupted=interrupted,
        operations=dict(tally.operations.most_common()),
        operations_per_second=_rate(tally.total, seconds),
        errors=dict(tally.errors.most_common()),
        error_examples=dict(tally.examples),
        retries=retries,
        indeterminate_writes=IndeterminateWrites(
            total=tally.indeterminate, found_done=tally.happened, found_not_done=tally.not_happened
        ),
        wrong_reads=tally.wrong_reads,
        overtaken_reads=tally.overtaken_reads,
        misread_examples=tuple(tally.mismatches),
        phases=phases,
        latency=latencies.summary(),
        histogram=latencies.bars(),
        timeline=tuple(tally.timeline),
        slice_seconds=settings.seconds / len(tally.timeline),
        events=tuple(tally.events),
        verification=verification,
        remarks=remarks,
    )


def _problems_of(verification: Verification | None) -> list[str]:
    if verification is None:
        return ["nothing was read back"]
    found: list[str] = []
    if verification.lost:
        found.append(f"{_count(verification.lost, 'key')} did not hold what was acknowledged")
    if verification.overtaken:
        found.append(f"{_count(verification.overtaken, 'key')} held what a repeated write had written earlier")
    if verification.unread:
        found.append(f"{_count(verification.unread, 'key')} could not be read back")
    if not verification.acknowledged_writes:
        found.append("no write was acknowledged")
    return found


def _phase_report(tally: Tally, phase: Phase, nodes: tuple[str, ...]) -> PhaseReport:
    counts = tally.phases[phase]
    total = counts.latencies.count
    seen = dict.fromkeys([*nodes, *sorted(counts.nodes)])
    seconds = counts.ended - counts.began
    return PhaseReport(
        seconds=seconds,
        operations=total,
        operations_per_second=_rate(total, seconds),
        retries=counts.retries,
        shares={node: counts.nodes[node] / total if total else 0.0 for node in seen},
        latency=counts.latencies.summary(),
    )


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

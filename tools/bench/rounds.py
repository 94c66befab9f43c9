"""The schedule of a run, and the samples that it gives.

A round measures every cell once. Within a cell the subjects follow one another directly, in turning order, because the
machine drifts: two figures are compared only when they were taken side by side. Many short windows tell more than a few
long ones: on a busy machine the bare exchange against itself came within 5 % in 20 rounds of 0.2 s, 11 % in 9 of 0.5 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from payloads import Operation
    from servers import Server
    from workers import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure, and for how long."""

    operations: Sequence[Operation]
    in_flight: Sequence[int]
    rounds: int
    seconds: float
    warm_up_seconds: float

    def expected_seconds(self, subjects: int) -> float:
        """Estimate the length of the run; opening clients comes on top."""
        cells = len(self.operations) * len(self.in_flight) * subjects
        return self.rounds * cells * (self.seconds + self.warm_up_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One window of one subject."""

    round: int
    subject: str
    operation: str
    in_flight: int
    operations: int
    wall_seconds: float
    cpu_seconds: float
    system_seconds: float
    preemptions: int
    server_cpu_seconds: float | None
    p50_us: float
    p99_us: float
    max_us: float

    @classmethod
    def of(cls, answer: Mapping[str, object], *, round: int, subject: str, operation: str, in_flight: int) -> Self:  # noqa: A002 - the field's name
        """Name what a worker has measured."""
        measured = {name: value for name, value in answer.items() if name != "profile"}
        return cls(round=round, subject=subject, operation=operation, in_flight=in_flight, **measured)  # type: ignore[arg-type] # a Measurement's fields

    @property
    def per_second(self) -> float:
        """Operations per second of wall time."""
        return self.operations / self.wall_seconds

    @property
    def cpu_us(self) -> float:
        """The subject's CPU per operation, user and system."""
        return self.cpu_seconds / self.operations * 1e6

    @property
    def system_us(self) -> float:
        """The kernel's part of it."""
        return self.system_seconds / self.operations * 1e6

    @property
    def server_us(self) -> float | None:
        """The server's CPU per operation."""
        return None if self.server_cpu_seconds is None else self.server_cpu_seconds / self.operations * 1e6

    @property
    def server_busy(self) -> float | None:
        """The share of its core that the server used, 0 to 1."""
        return None if self.server_cpu_seconds is None else self.server_cpu_seconds / self.wall_seconds


def run_rounds(
    plan: Plan, workers: Sequence[Worker], server: Server, *, before_cell: Callable[[str], None] = lambda _: None
) -> Iterator[Sample]:
    """Measure every cell ``plan.rounds`` times, the subjects of a cell side by side."""
    for number in range(plan.rounds):
        for operation in plan.operations:
            for in_flight in plan.in_flight:
                for worker in _turned(workers, number):
                    name = worker.subject.label
                    before_cell(f"{name}, {operation.name}, {in_flight} in flight")
                    answer = worker.measure(
                        cell(plan, operation, in_flight, server),
                        expected_seconds=plan.seconds + plan.warm_up_seconds,
                    )
                    yield Sample.of(answer, round=number, subject=name, operation=operation.name, in_flight=in_flight)


def cell(plan: Plan, operation: Operation, in_flight: int, server: Server) -> dict[str, object]:
    """Write the command that a worker understands."""
    return {
        "url": server.url,
        "operation": operation.name,
        "request": operation.request,
        "answer": operation.answer,
        "in_flight": in_flight,
        "seconds": plan.seconds,
        "warm_up_seconds": plan.warm_up_seconds,
        "server_pid": server.pid,
    }


def _turned(items: Sequence[Worker], by: int) -> list[Worker]:
    middle = by % len(items)
    return [*items[middle:], *items[:middle]]

"""What a run says in the end: a table and sentences for people, the same and every sample as JSON for programs."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from payloads import CHECKPOINTS_PER_CALL
from rich.table import Table
from servers import INSTALL_NGINX
from summary import Spread, added_cpu_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console
    from rounds import Plan, Sample
    from servers import Server
    from summary import Row

BASELINE = "bare"
NEARLY_BUSY = 0.85
"""From this share of its core on, a server may be what is being measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many bare exchanges an operation of a subject may cost in CPU."""

    subject: str
    kind: str
    operation: str
    in_flight: int
    must: float
    towards: float


CLIENT = "alternator_trio_client"
SIGNED = "alternator_trio_signed"
BUDGETS = (
    Budget(subject=CLIENT, kind="unsigned", operation="GetItem", in_flight=32, must=1.9, towards=1.6),
    Budget(subject=SIGNED, kind="signed", operation="GetItem", in_flight=32, must=2.7, towards=2.2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a run has found."""

    plan: Plan
    server: Server
    client_core: int | None
    subjects: Mapping[str, Mapping[str, str]]
    rows: Sequence[Row]
    units: Sequence[Row]
    samples: Sequence[Sample]

    def show(self, console: Console) -> None:
        """Draw the table and say the rest in sentences."""
        console.print(self._table())
        for sentence in self._sentences():
            console.print(sentence, highlight=False, soft_wrap=True)

    def as_json(self) -> dict[str, object]:
        """Give the whole as plain values; medians and extremes in ``rows``, every window in ``samples``."""
        return {
            "format": 1,
            "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": {"processor": processor(), "cores": os.cpu_count(), "system": platform.platform()},
            "client_core": self.client_core,
            "server": dataclasses.asdict(self.server) | {"limit_per_second": self._server_limit()},
            "subjects": self.subjects,
            "plan": {
                "rounds": self.plan.rounds,
                "seconds": self.plan.seconds,
                "warm_up_seconds": self.plan.warm_up_seconds,
                "in_flight": list(self.plan.in_flight),
                "operations": [dataclasses.asdict(operation) for operation in self.plan.operations],
            },
            "checkpoint_us": {row.in_flight: _checkpoint_us(row) for row in self.units},
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "samples": [dataclasses.asdict(sample) for sample in self.samples],
        }

    def _table(self) -> Table:
        table = Table(title=f"Medians of {self.plan.rounds} rounds of {self.plan.seconds:g} s, one core per side")
        table.add_column("operation")
        table.add_column("in flight", justify="right")
        table.add_column("subject", no_wrap=True)
        for heading in ("ops/s", "CPU µs/op", "kernel µs", "p50 µs", "p99 µs", "CPU / bare", "ops/s / bare"):
            table.add_column(heading, justify="right")
        table.add_column("server", justify="right")
        previous = None
        for row in self.rows:
            if previous not in {None, (row.operation, row.in_flight)}:
                table.add_section()
            previous = (row.operation, row.in_flight)
            table.add_row(*_columns(row))
        return table

    def _sentences(self) -> Iterator[str]:
        yield self._about_server()
        yield self._about_clients()
        if self.units:
            costs = ", ".join(f"{_checkpoint_us(row):.2f} µs with {row.in_flight}" for row in self.units)
            yield f"One trio.lowlevel.checkpoint() per task at a time, by tasks in flight: {costs}."
        yield from self._about_signing()
        for budget in BUDGETS:
            yield from self._about_budget(budget)

    def _about_server(self) -> str:
        server = self.server
        where = "not pinned" if server.core is None else f"core {server.core}"
        text = f"Server: {server.kind} {server.version}, one process, {where}, {len(server.addresses)} node(s)."
        if server.kind == "builtin":
            text += f" [bold]nginx was not used[/bold]: for a faster server, {INSTALL_NGINX}."
        if (limit := self._server_limit()) is None:
            return text + " This system does not tell what it cost."
        busiest = max(row.server_busy.median for row in self.rows if row.server_busy)
        text += f" Its own limit is about {limit:,.0f} requests/s; it was at most {busiest:.0%} busy."
        if busiest > NEARLY_BUSY:
            text += " [bold]That is too near its limit[/bold]: ops/s and latencies are partly the server's."
        return text

    def _server_limit(self) -> float | None:
        """Tell what one core of the server could answer, from its CPU per request in the fullest cell."""
        told = [(row.per_second.median, 1e6 / row.server_us.median) for row in self.rows if row.server_us]
        return max(told)[1] if told else None

    def _about_clients(self) -> str:
        where = "not pinned" if self.client_core is None else f"core {self.client_core}"
        subjects = "; ".join(
            f"{name} ({', '.join(f'{what} {version}' for what, version in versions.items())})"
            for name, versions in self.subjects.items()
        )
        return f"Subjects, {where}: {subjects}. {processor()}, {os.cpu_count()} cores."

    def _about_signing(self) -> Iterator[str]:
        """What a signature costs in the middle of everything else: the difference of two neighbours in one round."""
        for row in self.rows:
            added = Spread.of(added_cpu_us(self.samples, row, CLIENT)) if row.subject == SIGNED else None
            if added is not None:
                yield (
                    f"Signing a {row.operation}, {row.in_flight} in flight, adds {added.median:.1f} µs of CPU "
                    f"({added.lowest:.1f} to {added.highest:.1f})."
                )

    def _about_budget(self, budget: Budget) -> Iterator[str]:
        for row in self.rows:
            of_this = (row.operation, row.in_flight) == (budget.operation, budget.in_flight)
            if of_this and row.subject == budget.subject and row.cpu_ratio:
                ratio = row.cpu_ratio.median
                verdict = "within" if ratio <= budget.must else "[bold]over[/bold]"
                yield (
                    f"Budget, {budget.kind} {budget.operation}, {budget.in_flight} in flight: {ratio:.2f} bare "
                    f"exchanges of CPU, {verdict} the {budget.must} it must keep; the aim is {budget.towards}."
                )


def processor() -> str:
    """Name the processor as the system does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _columns(row: Row) -> list[str]:
    return [
        row.operation,
        str(row.in_flight),
        row.subject,
        f"{row.per_second.median:,.0f}",
        f"{row.cpu_us.median:.1f}",
        f"{row.system_us.median:.1f}",
        f"{row.p50_us.median:,.0f}",
        f"{row.p99_us.median:,.0f}",
        _ratio(row, row.cpu_ratio, with_extremes=True),
        _ratio(row, row.throughput_ratio),
        "" if row.server_busy is None else f"{row.server_busy.median:.0%}",
    ]


def _ratio(row: Row, ratio: Spread | None, *, with_extremes: bool = False) -> str:
    if ratio is None or row.subject == BASELINE:
        return ""
    extremes = f" ({ratio.lowest:.2f} to {ratio.highest:.2f})" if with_extremes else ""
    return f"{ratio.median:.2f}{extremes}"


def _checkpoint_us(row: Row) -> float:
    return row.cpu_us.median / CHECKPOINTS_PER_CALL

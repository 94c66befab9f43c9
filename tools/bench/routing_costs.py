"""What routing costs, in checkpoints: runs the subject that measures it, and says what it has found.

The figures come in slices, each divided by bare checkpoints right before and after it; a row quotes their median.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Self

from rich.table import Table
from workers import measure_alone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

SUBJECT = "routing"
SIZES = (1, 10, 100, 1000)
EXPECTED_SECONDS = 120.0
GROWTH = ("GetItem", "PutItem with affinity")
BUDGETS = {
    "write with affinity: key hashed, plan, first pick": 2.0,
    "seeded plan alone, first pick": 2.0,
    "round robin: plan, first pick": 1.0,
    "settling a success": 1.0,
    "settling a success of a node in doubt": 1.0,
    "settling a failure": 1.0,
    "settling a failure, the registry asleep": 1.0,
}
"""In checkpoints."""
TOGETHER = 3.0
ADDED = {
    "health, GetItem": ("GetItem, default", "GetItem, no health"),
    "health, PutItem": ("PutItem, default", "PutItem, no health"),
    "affinity, PutItem": ("PutItem, affinity", "PutItem, default"),
    "affinity and health, PutItem": ("PutItem, affinity", "PutItem, no health"),
    "affinity, health and an operation timeout": ("PutItem, affinity and an operation timeout", "PutItem, no health"),
}
"""What is measured as a difference: with it, and without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One thing in a ring of one length: a figure per slice, in microseconds and in checkpoints of their moment."""

    name: str
    nodes: int
    us: Sequence[float]
    checkpoints: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingCosts:
    """Everything that the subject has measured."""

    shared_us: float
    """One checkpoint of 32 tasks: the unit."""
    alone_us: float
    """One checkpoint of a task that has each pass of the run loop to itself."""
    steps: Sequence[Cost]
    by_ring: Sequence[Cost]
    by_option: Sequence[Cost]
    refreshes: Sequence[Cost]
    starts: Sequence[Cost]
    raw: Mapping[str, object]

    @classmethod
    def measured(cls, *, slices: int, core: int | None) -> Self:
        """Have it measured; takes about half a minute."""
        request: dict[str, object] = {"nodes": SIZES, "slices": slices}
        raw = measure_alone(SUBJECT, request, in_flight=32, core=core, expected_seconds=EXPECTED_SECONDS)
        units = raw["units"]
        assert isinstance(units, dict)  # noqa: S101 - what the subject sends
        parts = {part: _costs(raw[part]) for part in ("steps", "by_ring", "by_option", "refreshes", "starts")}
        return cls(shared_us=median(units["shared"]), alone_us=median(units["alone"]), raw=raw, **parts)

    def show(self, console: Console) -> None:
        """Draw the tables and say what the budgets have become."""
        console.print(self._steps_table())
        console.print(self._operations_table())
        for sentence in self._sentences():
            console.print(sentence, highlight=False, soft_wrap=True)

    def _steps_table(self) -> Table:
        table = _table("What routing adds to a request, in checkpoints, by nodes in the ring", "step", "budget")
        for name, costs in _by_name(self.steps).items():
            budget = BUDGETS.get(name)
            cells = (_checkpoints(cost) for cost in costs)
            table.add_row(name, *cells, "" if budget is None else f"{budget:g}")
        return table

    def _operations_table(self) -> Table:
        table = _table("Whole operations without a network, 32 in flight, in checkpoints, by nodes", "operation")
        for name, costs in _by_name(self.by_ring).items():
            table.add_row(name, *(_checkpoints(cost) for cost in costs))
        table.add_section()
        for name, costs in _by_name([*self.refreshes, *self.starts]).items():
            table.add_row(f"{name}, ms", *(f"{median(cost.us) / 1e3:.1f}" for cost in costs))
        return table

    def _sentences(self) -> Iterator[str]:
        alone = self.alone_us / self.shared_us
        yield (
            f"One checkpoint: {self.shared_us:.2f} µs with 32 tasks, which is the unit; {self.alone_us:.2f} µs with "
            f"one, {alone:.2f} units."
        )
        for name, costs in _by_name(self.steps).items():
            if name in BUDGETS:
                most = max(median(cost.checkpoints) for cost in costs)
                yield f"Budget, {name}: {_verdict(most, BUDGETS[name], alone)}"
        by_option = {cost.name: cost for cost in self.by_option}
        for name, (with_it, without) in ADDED.items():
            added = _difference(by_option[with_it], by_option[without])
            yield f"Added to an operation, {name}: {_verdict(added, TOGETHER, alone)}"
        for name in GROWTH:
            first, *_, last = _by_name(self.by_ring)[name]
            growth = median(ours / theirs for ours, theirs in zip(last.checkpoints, first.checkpoints, strict=True))
            yield f"{name} with {last.nodes} nodes costs {growth:.2f} of what it costs with {first.nodes}."

    def as_json(self) -> dict[str, object]:
        """Give every slice, as the subject gave it."""
        return {"checkpoint_us": self.shared_us, "checkpoint_alone_us": self.alone_us} | dict(self.raw)


def _costs(found: object) -> list[Cost]:
    assert isinstance(found, list)  # noqa: S101 - what the subject sends
    return [Cost(**each) for each in found]


def _by_name(costs: Sequence[Cost]) -> dict[str, list[Cost]]:
    named: dict[str, list[Cost]] = {}
    for cost in sorted(costs, key=lambda cost: cost.nodes):
        named.setdefault(cost.name, []).append(cost)
    return named


def _table(title: str, what: str, *more: str) -> Table:
    table = Table(title=title)
    table.add_column(what, no_wrap=True)
    for heading in (*(f"{nodes:,}" for nodes in SIZES), *more):
        table.add_column(heading, justify="right")
    return table


def _checkpoints(cost: Cost) -> str:
    return f"{median(cost.checkpoints):.2f}"


def _difference(with_it: Cost, without: Cost) -> float:
    """Turn by turn, because the two stood side by side then."""
    return median(ours - theirs for ours, theirs in zip(with_it.checkpoints, without.checkpoints, strict=True))


def _verdict(cost: float, budget: float, alone: float) -> str:
    by_itself = cost / alone
    return (
        f"{cost:.2f}, {_within(cost, budget)} {budget:g}; "
        f"in checkpoints of a task alone {by_itself:.2f}, {_within(by_itself, budget)}."
    )


def _within(cost: float, budget: float) -> str:
    return "within" if cost <= budget else "[bold]over[/bold]"

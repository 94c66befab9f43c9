"""What signing, compressing and unpacking cost in a loop; both codings beside the standard library's own functions.

Ours and the standard library's are measured slice by slice in turn; a row quotes medians, and the median of the ratios.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Self

from rich.table import Table
from workers import measure_alone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

SUBJECT = "content"
SIZES = (2**10, 64 * 2**10, 400_000)
SLICES = 20
EXPECTED_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One thing done to so many bytes: a figure per slice, in microseconds."""

    name: str
    bytes: int
    us: Sequence[float]
    bare_us: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentCosts:
    """Everything that the subject has measured."""

    costs: Sequence[Cost]
    raw: Mapping[str, object]

    @classmethod
    def measured(cls, *, core: int | None) -> Self:
        """Have it measured; takes about ten seconds."""
        request: dict[str, object] = {"sizes": SIZES, "slices": SLICES}
        raw = measure_alone(SUBJECT, request, in_flight=1, core=core, expected_seconds=EXPECTED_SECONDS)
        found = raw["costs"]
        assert isinstance(found, list)  # noqa: S101 - what the subject sends
        return cls(costs=[Cost(**each) for each in found], raw=raw)

    def show(self, console: Console) -> None:
        """Draw the table."""
        table = Table(title="Signing and content, in a loop, in µs of CPU")
        table.add_column("what", no_wrap=True)
        for heading in ("bytes", "this client", "standard library", "ratio"):
            table.add_column(heading, justify="right")
        for cost in self.costs:
            table.add_row(cost.name, f"{cost.bytes:,}", f"{median(cost.us):,.1f}", *_beside(cost))
        console.print(table)

    def as_json(self) -> dict[str, object]:
        """Give every slice, as the subject gave it."""
        return dict(self.raw)


def _beside(cost: Cost) -> tuple[str, ...]:
    if not cost.bare_us:
        return ()
    ratio = median(ours / bare for ours, bare in zip(cost.us, cost.bare_us, strict=True))
    return f"{median(cost.bare_us):,.1f}", f"{ratio:.2f}"

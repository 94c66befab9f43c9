"""The findings as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from sick import SICKNESSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from findings import Findings
    from sick import Cost, Latencies


def findings_table(runs: Sequence[tuple[str, Findings]]) -> Table:
    """One row per run of a scenario."""
    table = Table(
        title="A rack is lost and comes back; times in seconds after the loss, or after its nodes answer again"
    )
    table.add_column("scenario", no_wrap=True)
    for heading in (
        "operations", "errors", "90 % elsewhere", "first one back", "90 % back", "all nodes back", "share at the end",
        "longest pause", "slowest operation", "retries",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for name, found in runs:
        times = (found.left_after, found.first_back_after, found.most_back_after, found.all_nodes_back_after)
        table.add_row(
            name,
            f"{found.operations:,}",
            str(sum(found.errors.values())),
            *("never" if seconds is None else f"{seconds:.2f}" for seconds in times),
            f"{found.share_at_the_end:.1%}",
            f"{found.longest_pause:.2f}",
            f"{found.slowest:.2f}",
            str(found.retries),
        )
    return table


def cost_table(costs: Sequence[Cost]) -> Table:
    """One row per run of a cell; latencies in milliseconds."""
    table = Table(title="One node of three is sick; latencies of whole operations in milliseconds")
    table.add_column("the node")
    for heading in (
        "health", "p50 at first", "p99", "max", "ops/s", "p50 later", "p99", "max", "ops/s", "its share", "errors",
        "retries", "down after s",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for cost in costs:
        table.add_row(
            SICKNESSES[cost.sickness].in_words,
            "on" if cost.health else "off",
            *_latencies(cost.onset),
            *_latencies(cost.later),
            f"{cost.sick_share:.0%}",
            str(sum(cost.errors.values())),
            str(cost.retries),
            "" if cost.out_after is None else f"{cost.out_after:.2f}",
        )
    return table


def _latencies(latencies: Latencies | None) -> tuple[str, ...]:
    if latencies is None:
        return ("-", "-", "-", "0")
    return (
        f"{latencies.p50:.1f}",
        f"{latencies.p99:.1f}",
        f"{latencies.longest:.0f}",
        f"{latencies.per_second:,.0f}",
    )

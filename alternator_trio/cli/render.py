"""A report drawn in a terminal with rich.

Rules: needs the ``cli`` extra; fits 40 columns and up; colours say nothing that words do not; where the output's
encoding has no block characters, plain ones take their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from alternator_trio.cli.charts import bar, sparkline
from alternator_trio.cli.latencies import LatencySummary
from alternator_trio.cli.ledger import Mismatch
from alternator_trio.cli.report import IndeterminateWrites, PhaseReport, Report
from alternator_trio.cli.ticker import short_name

__all__ = ["render"]

_WIDEST_BAR: Final = 40
_BESIDE_BAR: Final = 22  # columns for a row's bound and its count
_NARROW: Final = 60
_PHASE_TITLES: Final = {"before": "before", "during": "node down", "after": "after"}
_WIDEST: Final = 100
_LISTED: Final = 8  # errors and mismatches; JSON has more
_GOOD_NEWS: Final = frozenset({"started", "used again"})
_MILLISECOND: Final = 0.001


def render(report: Report, console: Console) -> None:
    """Print a report."""
    width = min(console.width, _WIDEST)
    ascii_only = console.options.ascii_only
    parts = [
        _verdict(report),
        _heading("load"),
        _summary(report),
        *_timeline(report, width, ascii_only=ascii_only),
        _heading("nodes"),
        _phases(report, width),
        _heading("latency"),
        _latency(report, width, ascii_only=ascii_only),
        _heading("outcome"),
        _outcome(report),
    ]
    console.print(Group(*parts), width=width)


def _heading(title: str) -> RenderableType:
    return Group(Text(), Rule(Text(title, style="bold cyan"), align="left", style="dim"))


def _verdict(report: Report) -> RenderableType:
    if report.interrupted:
        text, colour = "Interrupted: this report is of what was done until then.", "yellow"
    elif report.problems:
        text, colour = f"Failed: {'; '.join(report.problems)}.", "red"
    else:
        text = "Every acknowledged write was read back, and the application saw no error."
        killed = [short_name(event.node) for event in report.events if event.kind == "killed"]
        if killed:
            text += f" {killed[0]} was killed on the way."
        colour = "green"
    title = Text(f"alternator-trio {report.version} demo", style="bold")
    return Panel(Text(text, style=f"bold {colour}"), title=title, title_align="left", border_style=colour)


def _summary(report: Report) -> RenderableType:
    cluster = f"{len(report.nodes)} nodes of {'the embedded cluster' if report.embedded else 'a cluster'}"
    line = Text.assemble(
        (f"{report.total_operations:,}", "bold"),
        f" operations in {report.seconds:.1f} s, ",
        (f"{report.operations_per_second:,.0f} per second", "bold"),
        f", {report.concurrency} in flight, on {cluster}",
    )
    kinds = [Text.assemble((f"{count:,} ", "cyan"), kind) for kind, count in report.operations.items()]
    return Group(line, Columns(kinds, padding=(0, 3)))


def _timeline(report: Report, width: int, *, ascii_only: bool) -> list[RenderableType]:
    """Operations per second over the run, and beneath it what happened when."""
    columns = min(width, len(report.timeline))
    seconds = report.slice_seconds * len(report.timeline)
    fastest = max(report.timeline) / report.slice_seconds
    drawn = Text(sparkline(report.timeline, columns, ascii_only=ascii_only), style="green", no_wrap=True)
    marks = Text(no_wrap=True)
    notes: list[RenderableType] = []
    for number, event in enumerate(report.events, 1):
        colour = "green" if event.kind in _GOOD_NEWS else "red"
        column = min(int(event.at / seconds * columns), columns - 1)
        drawn.stylize(colour, column)
        marks.append(" " * (column - marks.cell_len))  # a mark on top of another one moves to the right
        marks.append(str(number), f"bold {colour}")
        what = f"  {event.at:.1f} s: {short_name(event.node)} {event.text}"
        notes.append(Text.assemble((str(number), f"bold {colour}"), what))
    legend = f"{seconds:g} s from left to right; the fastest part had {fastest:,.0f} ops/s"
    return [Text(), drawn, marks, Text(legend, style="dim"), *notes]


def _phases(report: Report, width: int) -> RenderableType:
    """Per-node shares and what else changed while a node was away."""
    table = Table(box=None, padding=(0, 1 if width < _NARROW else 3, 0, 0), header_style="bold")
    table.add_column("", overflow="fold")
    outage = len(report.phases) > 1
    for name in report.phases:
        table.add_column(_PHASE_TITLES[name] if outage else "whole run", justify="right")
    phases = list(report.phases.values())
    nodes = dict.fromkeys(node for phase in phases for node in phase.shares)
    for node, name in zip(nodes, _shortest_names([short_name(node) for node in nodes]), strict=True):
        table.add_row(name, *[_share(phase.shares.get(node, 0.0)) for phase in phases])
    for title, cells in _phase_rows(phases):
        table.add_row(Text(title, style="dim"), *cells)
    return table


def _shortest_names(names: Sequence[str]) -> list[str]:
    """Without the port when it tells nothing: nodes of one cluster have the same."""
    parts = [name.rpartition(":") for name in names]
    if len({port for _, _, port in parts}) == 1 and all(host and port.isdecimal() for host, _, port in parts):
        return [host for host, _, _ in parts]
    return list(names)


def _phase_rows(phases: Sequence[PhaseReport]) -> list[tuple[str, list[str]]]:
    latencies = [phase.latency for phase in phases]
    return [
        ("seconds", [f"{phase.seconds:.1f}" for phase in phases]),
        ("operations", [f"{phase.operations:,}" for phase in phases]),
        ("ops/s", [f"{phase.operations_per_second:,.0f}" for phase in phases]),
        ("retries", [f"{phase.retries:,}" for phase in phases]),
        ("p50", ["-" if latency is None else _duration(latency.p50) for latency in latencies]),
        ("p99", ["-" if latency is None else _duration(latency.p99) for latency in latencies]),
        ("max", ["-" if latency is None else _duration(latency.maximum) for latency in latencies]),
    ]


def _share(share: float) -> Text:
    return Text(f"{share:.1%}", style="" if share else "bold red")


def _latency(report: Report, width: int, *, ascii_only: bool) -> RenderableType:
    if report.latency is None:
        return Text("no operation was answered")
    most = max(row.count for row in report.histogram)
    bar_width = max(1, min(_WIDEST_BAR, width - _BESIDE_BAR))
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", style="cyan", no_wrap=True)
    for row in report.histogram:
        drawn = bar(row.count, most, bar_width, ascii_only=ascii_only)
        table.add_row(
            f"from {_duration(row.from_seconds)}", Text(drawn, style="green", overflow="crop"), f"{row.count:,}"
        )
    return Group(_percentiles(report.latency), Text(), table)


def _percentiles(latency: LatencySummary) -> RenderableType:
    named = {
        "p50": latency.p50,
        "p90": latency.p90,
        "p99": latency.p99,
        "p99.9": latency.p999,
        "max": latency.maximum,
    }
    return Columns(
        [Text.assemble((f"{name} ", "dim"), (_duration(s), "bold")) for name, s in named.items()], padding=(0, 3)
    )


def _outcome(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    table.add_row("errors seen by the application", _errors(report))
    table.add_row("retries, unseen by it", f"{report.retries:,}")
    table.add_row("indeterminate writes", _indeterminate(report.indeterminate_writes))
    if report.misread_examples:
        table.add_row("reads of the load", _reads(report))
    table.add_row("read back", _read_back(report))
    for remark in report.remarks:
        table.add_row("remark", remark)
    return table


def _errors(report: Report) -> RenderableType:
    lines = [Text(f"{report.total_errors:,}", style="bold red" if report.total_errors else "bold green")]
    listed = list(report.errors.items())[:_LISTED]
    lines += [Text(f"{count:,} of {what}: {report.error_examples.get(what, '')}") for what, count in listed]
    if len(report.errors) > _LISTED:
        lines.append(Text(f"and {len(report.errors) - _LISTED:,} other kinds of error"))
    return Group(*lines)


def _indeterminate(writes: IndeterminateWrites) -> RenderableType:
    text = f"{writes.total:,}"
    if writes.total:
        text += f"; reads found {writes.found_done:,} done, {writes.found_not_done:,} not done"
    if writes.unresolved:
        text += f", and could not resolve {writes.unresolved:,}"
    return Text(text, style="bold red" if writes.unresolved else "")


def _read_back(report: Report) -> RenderableType:
    lines: list[Text] = []
    checked = report.verification
    if checked is None:
        lines.append(Text("not done", style="bold yellow"))
    else:
        text = (
            f"{checked.acknowledged_writes:,} acknowledged writes left {checked.present:,} items under "
            f"{checked.present + checked.absent:,} keys; {checked.lost:,} lost, {checked.unread:,} unread"
        )
        if checked.overtaken:
            text += f", {checked.overtaken:,} overtaken by an earlier attempt"
        lines.append(Text(text, style="bold green" if checked.is_complete else "bold red"))
        lines += _mismatches(checked.examples)
    return Group(*lines)


def _reads(report: Report) -> RenderableType:
    """What reads during the load found that they should not."""
    lines: list[Text] = []
    if report.wrong_reads:
        lines.append(Text(f"{report.wrong_reads:,} did not find what was acknowledged", style="bold red"))
    if report.overtaken_reads:
        text = f"{report.overtaken_reads:,} found what a repeated write had written earlier: writes are at-least-once"
        lines.append(Text(text, style="yellow"))
    return Group(*lines, *_mismatches(report.misread_examples))


def _mismatches(examples: Sequence[Mismatch]) -> list[Text]:
    return [Text(str(mismatch)) for mismatch in examples[:_LISTED]]


def _duration(seconds: float) -> str:
    """Three significant digits, in a unit that suits."""
    if seconds < _MILLISECOND:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s"

"""The progress of a demo in a terminal, drawn with rich: a bar, the rate, and each node's state.

Rules: needs the ``cli`` extra; drawn only when told to, because a thread of rich's own would draw in the middle of the
load's time slices; gone from the screen when the run is over, notes excepted.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from alternator_trio.cli.progress import NodeState, Snapshot

__all__ = ["LiveProgress"]


class LiveProgress:
    """A progress display that is replaced in place.

    Args:
        console: A terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def note(self, text: str) -> None:
        """A line that stays, above the display."""
        self._console.print(Text(text, style="dim"))

    def show(self, snapshot: Snapshot) -> None:
        """Draw a snapshot in place of the last one."""
        self._live.update(_picture(snapshot, ascii_only=self._console.options.ascii_only), refresh=True)


def _picture(snapshot: Snapshot, *, ascii_only: bool) -> RenderableType:
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(no_wrap=True)
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True, justify="right")
    elapsed = min(snapshot.elapsed, snapshot.seconds)
    bar.add_row(
        Text(snapshot.stage, style="bold"),
        ProgressBar(total=snapshot.seconds, completed=elapsed),
        f"{elapsed:.0f} of {snapshot.seconds:g} s",
    )
    errors = Text(f"{snapshot.errors:,} errors", style="bold red" if snapshot.errors else "green")
    figures = [
        Text(f"{snapshot.operations_per_second:,.0f} ops/s", style="bold"),
        Text(f"{snapshot.operations:,} operations"),
        Text(f"{snapshot.retries:,} retries"),
        errors,
    ]
    nodes = [_node(node, ascii_only=ascii_only) for node in snapshot.nodes]
    return Group(bar, Columns(figures, padding=(0, 3)), Columns(nodes, padding=(0, 3)))


def _node(node: NodeState, *, ascii_only: bool) -> Text:
    up, down = ("+", "x") if ascii_only else ("●", "✗")
    if node.is_up:
        return Text.assemble((up, "green"), f" {node.name} ", (f"{node.operations_per_second:,.0f}/s", "cyan"))
    return Text.assemble((down, "bold red"), f" {node.name} ", ("down", "bold red"))

"""Snapshots of a run, taken a few times a second, with the rates of the last one.

Rules: a snapshot is made from counts and states alone; few enough are taken that drawing them does not slow the load.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping
from typing import Final

import trio

from alternator_trio.cli.progress import NodeState, Progress, Snapshot
from alternator_trio.cli.tally import Tally

__all__ = ["Ticker", "short_name"]

_INTERVAL: Final = 0.25
_WINDOW: Final = 4  # intervals: a rate is that of the last second


class Ticker:
    """Shows how a load comes along.

    Args:
        tally: What is counted.
        seconds: How long the load is to run.
        states: Gives each node's endpoint, and whether it is up.
        progress: Where to show it.

    Attributes:
        stage: What the run is doing.
    """

    def __init__(
        self, tally: Tally, seconds: float, states: Callable[[], Mapping[str, bool]], progress: Progress
    ) -> None:
        self._tally = tally
        self._seconds = seconds
        self._states = states
        self._progress = progress
        self._seen: collections.deque[tuple[float, Mapping[str, int]]] = collections.deque(maxlen=_WINDOW + 1)
        self.stage = "load"

    async def run(self) -> None:
        """Show snapshots for ever."""
        while True:
            self._progress.show(self.snapshot(trio.current_time()))
            await trio.sleep(_INTERVAL)

    def snapshot(self, now: float) -> Snapshot:
        """How it stands."""
        counts = self._tally.by_node()
        self._seen.append((now, counts))
        then, before = self._seen[0]
        seconds = now - then

        def rate(count: int) -> float:
            return count / seconds if seconds > 0 else 0.0

        states = self._states()
        return Snapshot(
            stage=self.stage,
            elapsed=self._tally.elapsed(now),
            seconds=self._seconds,
            operations=self._tally.total,
            operations_per_second=rate(sum(counts.values()) - sum(before.values())),
            retries=self._tally.retries,
            errors=sum(self._tally.errors.values()),
            nodes=tuple(
                NodeState(
                    name=short_name(node),
                    is_up=is_up,
                    operations_per_second=rate(counts.get(node, 0) - before.get(node, 0)),
                )
                for node, is_up in states.items()
            ),
        )


def short_name(endpoint: str) -> str:
    """An endpoint without its scheme.

    Example:
        >>> short_name("http://10.0.0.1:8000")
        '10.0.0.1:8000'
    """
    return endpoint.partition("://")[2]

"""Cancel a scenario in its middle, at many moments: nothing may hang, leak a connection or leave state behind.

Rules:

* A moment is a number of scheduling steps of the whole Trio run, spread evenly over an undisturbed pass: time on a busy
  machine does not move it, and the virtual clock has none.
* A scenario opens its own client, so that the client's whole block is cancelled from outside, and sets up its own
  faults, so that it can run again.
* After each cancellation connections are closed and tasks are gone within `PATIENCE`; after the last the scenario runs
  once more to its end, with a new client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

__all__ = ["cancel_in_the_middle"]

PATIENCE: Final = 3.0  # seconds for what is left to go away; it takes milliseconds
LIMIT: Final = 120.0  # seconds for one pass, virtual where the clock is: beyond it the scenario hangs

Scenario = Callable[[], Awaitable[object]]


class HasConnections(Protocol):
    """A proxy, a node or scripted nodes: what can tell of connections that are still open."""

    @property
    def open_connections(self) -> int: ...


class _Steps(trio.abc.Instrument):
    """Counts scheduling steps, and cancels at one of them."""

    def __init__(self, scope: trio.CancelScope, cancel_at: int | None = None) -> None:
        self.count = 0
        self._scope = scope
        self._cancel_at = cancel_at

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1
        if self.count == self._cancel_at:
            self._scope.cancel()


async def cancel_in_the_middle(scenario: Scenario, *leaks: HasConnections, moments: int = 6) -> None:
    """Run a scenario undisturbed, then cancelled at each of ``moments`` moments, then undisturbed again.

    Args:
        scenario: Opens a client, uses it and closes it.
        leaks: Where connections of the client would be seen.
        moments: How often it is cancelled.
    """
    tasks = _living()
    whole = await _pass(scenario)
    await _all_gone(leaks, tasks)
    caught = 0
    for moment in range(1, moments + 1):
        steps = await _pass(scenario, cancel_at=max(1, whole * moment // (moments + 1)))
        caught += steps is None
        await _all_gone(leaks, tasks)
    # With real sockets a pass may take fewer steps than the first and end before its moment.
    assert caught > moments // 2
    assert await _pass(scenario) is not None
    await _all_gone(leaks, tasks)


async def _pass(scenario: Scenario, cancel_at: int | None = None) -> int | None:
    """The steps that a pass took; None when it was cancelled."""
    with trio.fail_after(LIMIT), trio.CancelScope() as scope:
        steps = _Steps(scope, cancel_at)
        trio.lowlevel.add_instrument(steps)
        try:
            await scenario()
        finally:
            trio.lowlevel.remove_instrument(steps)
    return None if scope.cancelled_caught else steps.count


async def _all_gone(leaks: tuple[HasConnections, ...], tasks: int) -> None:
    with trio.move_on_after(PATIENCE):
        while any(leak.open_connections for leak in leaks) or _living() > tasks:
            await trio.sleep(0.002)
    left = [leak for leak in leaks if leak.open_connections]
    assert not left, f"connections are left: {left}"
    assert _living() <= tasks, f"{_living() - tasks} tasks are left"


def _living() -> int:
    return trio.lowlevel.current_statistics().tasks_living

"""Costs in checkpoints: a slice of work between two slices of bare checkpoints, again and again.

A machine's speed changes from one moment to the next, so each slice of work is divided by its neighbours. With 32 tasks
a checkpoint costs little more than half of what it costs one task alone, because the tasks share the passes of the run
loop: it is the smaller unit, and the one that is used.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import trio
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Sequence

TASKS = 32
CHECKPOINTS_PER_TASK = 15
ALONE = 200

Work = Callable[[], Awaitable[float]]
"""Does a slice of work and says what one repetition took, in microseconds of CPU."""


@dataclass(slots=True, kw_only=True)
class Cost:
    """What one thing costs: one figure per slice."""

    name: str
    nodes: int
    us: list[float] = field(default_factory=list)
    checkpoints: list[float] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Checkpoints:
    """What a checkpoint costs while everything else is measured, in microseconds: one figure per turn."""

    shared: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)


async def measure(works: Sequence[tuple[Cost, Work]], slices: int, units: Checkpoints) -> None:
    """Take turns, so many times; the first turn warms up and does not count."""
    for turn in range(slices + 1):
        units.alone.append(await checkpoint_alone_us())
        before = await checkpoint_us()
        units.shared.append(before)
        for cost, work in works:
            us = await work()
            after = await checkpoint_us()
            if turn:
                cost.us.append(us)
                cost.checkpoints.append(2 * us / (before + after))
            before = after


async def checkpoint_us() -> float:
    """One checkpoint of 32 tasks that share the passes of the run loop."""
    return await in_tasks(partial(_checkpoints, CHECKPOINTS_PER_TASK), CHECKPOINTS_PER_TASK)


async def checkpoint_alone_us() -> float:
    """One checkpoint of a task that has each pass of the run loop to itself."""
    began = time.process_time_ns()
    await _checkpoints(ALONE)
    return (time.process_time_ns() - began) / 1e3 / ALONE


async def in_tasks(repeat: Callable[[], Awaitable[None]], repetitions: int) -> float:
    """Microseconds of one of the repetitions that each of 32 tasks makes; starting the tasks is not in it."""
    begin = trio.Event()
    times: list[int] = []

    async def run() -> None:
        await begin.wait()
        await repeat()
        times.append(time.process_time_ns())

    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()
        began = time.process_time_ns()
        begin.set()
    return (times[-1] - began) / 1e3 / TASKS / repetitions


async def _checkpoints(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()

"""A thousand tasks that do the same at once."""

from __future__ import annotations

import trio

__all__ = ["TASKS", "all_at_once"]

TASKS = 1000


async def all_at_once(work, count=TASKS):
    """Each task is given its number."""
    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(work, number)

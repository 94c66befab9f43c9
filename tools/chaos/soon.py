"""Waiting for what comes true by itself, within a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SOON = 15.0
"""Seconds; on a machine that is busy with something else everything takes its time."""


async def comes_true(is_so: Callable[[], bool], within: float = SOON) -> bool:
    """Whether it is so in the end."""
    with trio.move_on_after(within):
        while not is_so():  # noqa: ASYNC110 - it is in the clients' snapshots, which nobody waits for
            await trio.sleep(0.01)
    return is_so()


async def answers_yes(is_so: Callable[[], Awaitable[bool]], within: float = SOON) -> bool:
    """Whether the answer is yes in the end; it is asked for again and again."""
    with trio.move_on_after(within):
        while not await is_so():  # noqa: ASYNC110 - it is in another process
            await trio.sleep(0.01)
    return await is_so()

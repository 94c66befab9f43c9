"""The unit of scheduling: bare checkpoints, as many per call as the cell asks for, in as many tasks at once.

With one task, a checkpoint is a whole pass of Trio's run loop; with many, they share the pass.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from _on_trio import main

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from _worker import Call, Cell


@asynccontextmanager
async def open_calls(cell: Cell) -> AsyncIterator[list[Call]]:
    """Need nothing but the run loop."""
    repeat = cell.request["checkpoints"]
    assert isinstance(repeat, int)  # noqa: S101 - the driver sends it

    async def call() -> dict[str, object]:
        await trio.lowlevel.checkpoint()
        for _ in range(repeat - 1):
            await trio.lowlevel.checkpoint()
        return {}

    yield [call] * cell.in_flight


if __name__ == "__main__":
    main(open_calls)

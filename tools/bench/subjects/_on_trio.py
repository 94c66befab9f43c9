"""Runs a subject whose client lives on Trio: every cell is one ``trio.run`` of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from _worker import Cell, Measurement, OpenCalls, measure, serve

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence


def main(open_calls: OpenCalls, *, distributions: Sequence[str] = ()) -> None:
    """Serve cells until stdin ends."""

    def run(cell: Cell) -> Measurement:
        return trio.run(measure, cell, open_calls, _run_together)

    serve(run, distributions=("trio", *distributions))


async def _run_together(coroutines: Iterable[Coroutine[object, object, None]]) -> None:
    async with trio.open_nursery() as nursery:
        for coroutine in coroutines:
            nursery.start_soon(_await, coroutine)


async def _await(coroutine: Coroutine[object, object, None]) -> None:
    await coroutine

"""What routing costs, in checkpoints of the same moment: its steps one by one, and whole operations by ring."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio
from _routing_clients import Clients
from _routing_steps import steps
from _slices import Checkpoints, Cost, measure
from _worker import serve

if TYPE_CHECKING:
    from _worker import Cell

REFRESH_SLICES = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Everything, and the checkpoint meanwhile."""

    units: Checkpoints
    steps: list[Cost]
    by_ring: list[Cost]
    by_option: list[Cost]
    refreshes: list[Cost]
    starts: list[Cost]


async def run(cell: Cell) -> Costs:
    """Measure rings of the sizes ``nodes``, with so many ``slices``."""
    sizes, slices = cell.request["nodes"], cell.request["slices"]
    assert isinstance(sizes, list)  # noqa: S101 - the driver sends it
    assert isinstance(slices, int)  # noqa: S101 - the same
    units = Checkpoints()
    async with trio.open_nursery() as nursery:
        of_steps = [step for nodes in sizes for step in steps(nodes, nursery)]
        gc.collect()
        await measure(of_steps, slices, units)
        nursery.cancel_scope.cancel()
    async with AsyncExitStack() as stack:
        clients = Clients(stack)
        by_ring = await clients.by_ring(sizes)
        gc.collect()
        await measure(by_ring, slices, units)
        await measure(clients.refreshes, REFRESH_SLICES, units)
    async with AsyncExitStack() as stack:
        by_option = await Clients(stack).by_option()
        gc.collect()
        await measure(by_option, slices, units)
    return Costs(
        units=units,
        steps=[cost for cost, _ in of_steps],
        by_ring=[cost for cost, _ in by_ring],
        by_option=[cost for cost, _ in by_option],
        refreshes=[cost for cost, _ in clients.refreshes],
        starts=clients.starts,
    )


if __name__ == "__main__":
    serve(lambda cell: trio.run(run, cell), distributions=("trio", "alternator-trio"))

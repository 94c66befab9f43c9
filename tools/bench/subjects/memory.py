"""The peak of this process's resident memory while so many tasks use one client."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from _client import open_calls
from _worker import serve

if TYPE_CHECKING:
    from _worker import Call, Cell

KIB_PER_MB = 2**10


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """In MB (2**20 bytes)."""

    peak_mb: float


async def run(cell: Cell) -> Peak:
    """Keep all tasks busy for as long as the cell says."""
    async with open_calls(cell) as calls:
        with trio.move_on_after(cell.seconds):
            async with trio.open_nursery() as nursery:
                for call in calls:
                    nursery.start_soon(_repeat, call)
    return Peak(peak_mb=_peak_kib() / KIB_PER_MB)


def _peak_kib() -> int:
    """From Linux' own account, where there is one: what getrusage says may be the parent's, from before exec."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


async def _repeat(call: Call) -> None:
    while True:
        await call()


if __name__ == "__main__":
    serve(lambda cell: trio.run(run, cell), distributions=("trio", "alternator-trio"))

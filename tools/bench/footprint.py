"""What the client takes before it does anything, and while it does a lot: time to import it, and memory.

Each import is a process of its own that has imported Trio already; each memory figure is the peak of a process of its
own with so many tasks in flight.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Self

from payloads import OPERATIONS
from workers import Subject, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from servers import Server

SUBJECT = "memory"
NODES = 16  # of 64 connections each: all tasks are on the wire at once
IN_FLIGHT = (1, 1000)
IMPORTS = 15
MAX_IMPORT_MS = 60.0
MAX_MEMORY_MB = 60.0
SECONDS = 3.0
IMPORT = """
import time, trio
began = time.process_time()
import alternator_trio
print((time.process_time() - began) * 1e3)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """CPU milliseconds per import; peak resident memory in MB (2**20 bytes) by tasks in flight."""

    import_ms: Sequence[float]
    memory_mb: dict[int, float]

    @classmethod
    def measured(cls, server: Server, *, core: int | None) -> Self:
        """Have it measured; takes about fifteen seconds."""
        return cls(
            import_ms=_import_ms(),
            memory_mb={in_flight: _memory_mb(server, in_flight, core) for in_flight in IN_FLIGHT},
        )

    def show(self, console: Console) -> None:
        """Say what the budgets have become."""
        for sentence in self._sentences():
            console.print(sentence, highlight=False, soft_wrap=True)

    def _sentences(self) -> Iterator[str]:
        typical, least = median(self.import_ms), min(self.import_ms)
        yield (
            f"Budget, import alternator_trio after import trio: {typical:.0f} ms of CPU, at the least {least:.0f} ms; "
            f"{_within(typical, MAX_IMPORT_MS)} {MAX_IMPORT_MS:.0f} ms."
        )
        few, many = (self.memory_mb[in_flight] for in_flight in IN_FLIGHT)
        yield (
            f"Budget, memory with {IN_FLIGHT[-1]} GetItems in flight, on as many connections: at the peak "
            f"{many:.0f} MB, {_within(many, MAX_MEMORY_MB)} {MAX_MEMORY_MB:.0f} MB; with {IN_FLIGHT[0]}: {few:.0f} MB."
        )

    def as_json(self) -> dict[str, object]:
        """Give every figure."""
        return {"import_ms": list(self.import_ms), "memory_mb": self.memory_mb}


def _import_ms() -> list[float]:
    """Once for the byte code, which an installed package has, and then for the figures."""
    with tempfile.TemporaryDirectory(prefix="alternator-bench-") as byte_code:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = byte_code
        command = [sys.executable, "-c", IMPORT]
        runs = [
            subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            for _ in range(IMPORTS + 1)
        ]
    return [float(run.stdout) for run in runs[1:]]


def _memory_mb(server: Server, in_flight: int, core: int | None) -> float:
    operation = OPERATIONS["GetItem"]
    cell = {"url": server.url, "operation": operation.name, "request": operation.request, "answer": operation.answer,
            "in_flight": in_flight, "seconds": SECONDS, "warm_up_seconds": 0.0}  # fmt: skip
    with Worker(Subject.parse(SUBJECT), core=core) as worker:
        peak = worker.measure(cell, expected_seconds=SECONDS)["peak_mb"]
    assert isinstance(peak, float)  # noqa: S101 - what the subject sends
    return peak


def _within(figure: float, budget: float) -> str:
    return "within" if figure <= budget else "[bold]over[/bold]"

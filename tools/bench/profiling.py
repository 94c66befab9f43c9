"""Where a subject's time goes: one cell under py-spy where that is installed, else under cProfile.

Each errs in its own way, and neither one's figures belong beside those of a measured round: cProfile charges small
Python functions too much, py-spy system calls (without ``--nonblocking`` it catches a process nearly always in one:
80 % in ``send``, which takes a quarter). What both show is so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rounds import cell
from workers import SubjectError

if TYPE_CHECKING:
    from rounds import Plan
    from servers import Server
    from workers import Worker

Profiler = Literal["auto", "cprofile", "py-spy"]

IN_FLIGHT = 32
TOP = 35
SAMPLES_PER_SECOND = 503
START_SECONDS = 1.0


def profile(worker: Worker, plan: Plan, server: Server, *, profiler: Profiler, seconds: float) -> str:
    """Run the plan's first operation and say which functions took the time."""
    sampler = None if profiler == "cprofile" else _find_py_spy()
    if sampler is None and profiler == "py-spy":
        raise SubjectError("py-spy is neither beside this Python nor on the path")
    command = cell(replace(plan, seconds=seconds), plan.operations[0], IN_FLIGHT, server)
    title = f"{worker.subject.label}, {plan.operations[0].name}, {IN_FLIGHT} in flight, {seconds:g} s"
    if sampler is None:
        answer = worker.measure(command | {"profile": True}, expected_seconds=seconds)
        return f"{title}, under cProfile\n{answer['profile']}"
    return f"{title}, sampled by py-spy\n{_sampled(sampler, worker, command, seconds)}"


def _find_py_spy() -> str | None:
    beside_python = Path(sys.executable).with_name("py-spy")
    return str(beside_python) if beside_python.exists() else shutil.which("py-spy")


def _sampled(sampler: str, worker: Worker, command: dict[str, object], seconds: float) -> str:
    """Let the subject run a little longer than the sampler looks at it."""
    with tempfile.TemporaryDirectory(prefix="alternator-bench-") as directory:
        stacks = Path(directory) / "stacks"
        worker.start(command | {"warm_up_seconds": START_SECONDS, "seconds": seconds + START_SECONDS})
        sampled = subprocess.run(
            [sampler, "record", "--pid", str(worker.pid), "--duration", f"{seconds:.0f}", "--format", "raw",
             "--rate", str(SAMPLES_PER_SECOND), "--nonblocking", "--function", "--output", str(stacks)],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if sampled.returncode:
            raise SubjectError(f"py-spy could not look at {worker.subject.label}: {sampled.stderr.strip()}")
        worker.finish(expected_seconds=seconds)
        return top_of(stacks.read_text(encoding="utf-8"))


def top_of(stacks: str) -> str:
    """Sum collapsed stacks, ``frame;frame;frame count`` per line, by the innermost frame and by every frame."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        whole.update(dict.fromkeys(frames, int(count)))
    total = own.total() or 1
    lines = (f"{count / total:6.1%} {whole[frame] / total:6.1%}  {frame}" for frame, count in own.most_common(TOP))
    return "\n".join(("   own  whole  function", *lines))

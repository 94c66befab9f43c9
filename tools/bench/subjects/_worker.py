"""The measuring half of every subject: cells arrive as JSON lines on stdin, measurements leave as JSON lines on stdout.

A subject is one client in one process, with an environment of its own if it needs one, and lives through all rounds.
The rules that make its figures comparable with another's:

- Only the standard library is imported here: the environment of a subject owes us nothing but Python 3.11.
- Every subject is driven by the same loop, ``_keep_calling``, with one clock reading and one append per operation.
- CPU is this process's user and system time inside the window. Opening the client, warming it up and sorting the
  samples are outside of it.
- The first answer of every cell is compared with the expected one, so that nobody is fast at doing nothing.
- Answers go through a private copy of stdout; whatever a client prints goes to stderr.
"""

from __future__ import annotations

import cProfile
import dataclasses
import gc
import io
import json
import os
import platform
import pstats
import resource
import sys
import time
import traceback
from array import array
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Call = Callable[[], Awaitable[object]]
"""Performs one operation and returns its answer."""

RunTogether = Callable[[Iterable[Coroutine[object, object, None]]], Awaitable[None]]
"""Runs coroutines at the same time and returns when all have ended: a nursery on Trio, a task group on asyncio."""

PROFILE_LINES = 35


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What to measure: ``operation`` with the given request, kept ``in_flight`` times at once for ``seconds``."""

    url: str
    operation: str
    request: dict[str, object]
    answer: dict[str, object]
    in_flight: int
    seconds: float
    warm_up_seconds: float
    server_pid: int | None = None
    profile: bool = False


OpenCalls = Callable[[Cell], AbstractAsyncContextManager[Sequence[Call]]]
"""Opens a client and gives one call per task in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What happened inside the window; latencies in microseconds, everything else in seconds or counts."""

    operations: int
    wall_seconds: float
    cpu_seconds: float
    system_seconds: float
    preemptions: int
    server_cpu_seconds: float | None
    p50_us: float
    p99_us: float
    max_us: float
    profile: str | None = None


def serve(run: Callable[[Cell], DataclassInstance], *, distributions: Sequence[str]) -> None:
    """Introduce the subject, then answer one measurement, or one error, per cell until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    _pin_to_core(sys.argv[1:])
    versions = {"python": platform.python_version()} | {name: _version(name) for name in distributions}
    print(json.dumps({"versions": versions}), file=answers)
    for line in sys.stdin:
        print(json.dumps(_answer(run, json.loads(line))), file=answers)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "from a checkout"


def _pin_to_core(arguments: Sequence[str]) -> None:
    if arguments:
        os.sched_setaffinity(0, {int(arguments[0])})


def _answer(run: Callable[[Cell], DataclassInstance], command: Mapping[str, object]) -> dict[str, object]:
    try:
        return dataclasses.asdict(run(Cell(**command)))  # type: ignore[arg-type] # the driver sends exactly these fields
    except Exception:  # noqa: BLE001 - whatever went wrong inside a client is an answer to report, not an end
        return {"error": traceback.format_exc()}


async def measure(cell: Cell, open_calls: OpenCalls, run_together: RunTogether) -> Measurement:
    """Open the client, check one answer, warm up, and measure one window."""
    async with open_calls(cell) as calls:
        _check(await calls[0](), cell.answer)
        await _load(calls, cell.warm_up_seconds, run_together)
        gc.collect()
        profile = cProfile.Profile() if cell.profile else None
        before = _Reading.take(cell.server_pid)
        with profile or nullcontext():
            samples = await _load(calls, cell.seconds, run_together)
        after = _Reading.take(cell.server_pid)
    return _measurement(before, after, samples, profile)


def _check(answer: object, expected: Mapping[str, object]) -> None:
    """Compare the expected fields only: a client may add its own, such as ResponseMetadata."""
    if not isinstance(answer, dict) or any(answer.get(name) != value for name, value in expected.items()):
        raise RuntimeError(f"expected {expected!r}, got {answer!r}")


async def _load(calls: Sequence[Call], seconds: float, run_together: RunTogether) -> array[int]:
    samples = array("q")
    stop_at = time.perf_counter_ns() + int(seconds * 1e9)
    await run_together(_keep_calling(call, samples, stop_at) for call in calls)
    return samples


async def _keep_calling(call: Call, samples: array[int], stop_at: int) -> None:
    """Call until the window closes, at least once; the last call may end a little after it and counts."""
    clock = time.perf_counter_ns
    record = samples.append
    began = clock()
    while True:
        await call()
        ended = clock()
        record(ended - began)
        if ended >= stop_at:
            return
        began = ended


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    wall: float
    cpu: float
    system: float
    preemptions: int
    server_cpu: float | None

    @classmethod
    def take(cls, server_pid: int | None) -> _Reading:
        server_cpu = _cpu_seconds_of(server_pid)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return cls(
            wall=time.perf_counter(),
            cpu=time.process_time(),
            system=usage.ru_stime,
            preemptions=usage.ru_nivcsw,
            server_cpu=server_cpu,
        )


def _cpu_seconds_of(pid: int | None) -> float | None:
    """Read what a process has spent on a core; Linux counts it in nanoseconds, other systems do not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except OSError:
        return None


def _measurement(
    before: _Reading, after: _Reading, samples: array[int], profile: cProfile.Profile | None
) -> Measurement:
    latencies = sorted(samples)
    server_cpu = None
    if before.server_cpu is not None and after.server_cpu is not None:
        server_cpu = after.server_cpu - before.server_cpu
    return Measurement(
        operations=len(latencies),
        wall_seconds=after.wall - before.wall,
        cpu_seconds=after.cpu - before.cpu,
        system_seconds=after.system - before.system,
        preemptions=after.preemptions - before.preemptions,
        server_cpu_seconds=server_cpu,
        p50_us=_percentile(latencies, 0.50),
        p99_us=_percentile(latencies, 0.99),
        max_us=latencies[-1] / 1e3,
        profile=None if profile is None else _top_functions(profile),
    )


def _percentile(ordered_ns: Sequence[int], fraction: float) -> float:
    return ordered_ns[min(int(len(ordered_ns) * fraction), len(ordered_ns) - 1)] / 1e3


def _top_functions(profile: cProfile.Profile) -> str:
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(PROFILE_LINES)
    return text.getvalue()

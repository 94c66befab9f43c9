"""Many seeds over several processes.

Rules: seeds are handed out in order, and never far ahead; a process in which a seed goes round in circles, letting
nobody else run, prints where it is and dies.
"""

from __future__ import annotations

import concurrent.futures
import faulthandler
import logging
import multiprocessing
import sys
import time
from collections.abc import Iterator

from tests.sim.trial import Trial, run_trial

HANG_SECONDS = 120.0


def trials(first: int, count: int, jobs: int, until: float | None) -> Iterator[Trial]:
    """The trials, in the order in which they end."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context, initializer=quieten) as pool:
        seeds = iter(range(first, first + count) if until is None else range(first, sys.maxsize))
        running: dict[concurrent.futures.Future[Trial], int] = {}
        while True:
            while len(running) < 4 * jobs and (until is None or time.monotonic() < until):
                seed = next(seeds, None)
                if seed is None:
                    break
                running[pool.submit(guarded_trial, seed)] = seed
            if not running:
                return
            ended, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in ended:
                seed = running.pop(future)
                try:
                    trial = future.result()
                except concurrent.futures.process.BrokenProcessPool:
                    print(f"a process has died; one of these seeds hangs: {sorted([seed, *running.values()])}")
                    raise SystemExit(1) from None
                yield trial


def quieten() -> None:
    """In each process."""
    logging.disable(logging.CRITICAL)


def guarded_trial(seed: int) -> Trial:
    """One trial; a process that hangs prints where, and dies."""
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    try:
        return run_trial(seed)
    finally:
        faulthandler.cancel_dump_traceback_later()

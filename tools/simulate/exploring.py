"""Many seeds over several processes.

Rules: seeds are handed out in order, and never far ahead; a process in which a seed goes round in circles, letting
nobody else run, says which seed and where, and dies. Circles are told by processor time: a machine that is busy with
other things may take as long as it likes.
"""

from __future__ import annotations

import concurrent.futures
import faulthandler
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator

from tests.sim.trial import Trial, run_trial

HANG_SECONDS = 120.0  # of processor time


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
                    print(f"a process has died, with one of these seeds: {sorted([seed, *running.values()])}")
                    raise SystemExit(1) from None
                yield trial


def quieten() -> None:
    """In each process."""
    logging.disable(logging.CRITICAL)


def guarded_trial(seed: int) -> Trial:
    """One trial; a process that hangs says where, and dies."""

    def die(*_: object) -> None:
        print(f"seed {seed} hangs:", file=sys.stderr, flush=True)
        faulthandler.dump_traceback()
        os._exit(1)

    signal.signal(signal.SIGPROF, die)
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
    try:
        return run_trial(seed)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)

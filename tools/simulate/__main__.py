"""Run the simulation over many seeds, or one seed again: ``python tools/simulate --seeds 1000 --jobs 2``, ``--seed N``;
``--planted --seeds 130`` plants bugs one at a time, and looks for them with so many seeds each.

Each seed draws a cluster, its faults, a client's options and a load; checkers judge what came of it (see
``docs/simulation.md``). The exit status tells whether anything was against the rules.
"""

from __future__ import annotations

import argparse
import collections
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from exploring import trials
from hunting import hunt

from tests.sim.drawn import Drawn
from tests.sim.trial import Trial, run_trial


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds, for each planted bug too (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--minutes", type=float, help="go on for so long, whatever --seeds says")
    parser.add_argument("--seed", type=int, help="run this one seed only, and show what it is")
    parser.add_argument("--trace", action="store_true", help="with --seed: print every event")
    parser.add_argument("--planted", nargs="*", metavar="NAME", help="plant bugs, these or all, and see who notices")
    options = parser.parse_args(arguments)
    if options.planted is not None:
        return hunt(options.planted, options.seeds, options.jobs)
    logging.disable(logging.CRITICAL)  # that nodes go down is no news here
    if options.seed is not None:
        return replay(options.seed, trace=options.trace)
    return explore(options.first, options.seeds, options.jobs, options.minutes)


def replay(seed: int, *, trace: bool) -> int:
    """Run one seed exactly as it ran before."""
    print(Drawn.draw(seed).shown(), flush=True)
    trial = run_trial(seed, print if trace else None)
    print(f"seed {seed}: {trial.events} events in {trial.seconds:.1f} virtual seconds, {trial.outcomes}")
    print(f"digest {trial.digest}")
    show(trial)
    return bool(trial.violations)


def explore(first: int, count: int, jobs: int, minutes: float | None) -> int:
    """Run many seeds; those that find something are shown as they come."""
    began = time.monotonic()
    outcomes: collections.Counter[str] = collections.Counter()
    found, done, hard, virtual = [], 0, 0, 0.0
    for trial in trials(first, count, jobs, None if minutes is None else began + 60 * minutes):
        done += 1
        hard += len(trial.hard)
        virtual += trial.seconds
        outcomes.update(trial.outcomes)
        if trial.violations:
            found.append(trial.seed)
            show(trial)
    seconds = time.monotonic() - began
    print(f"{done} seeds from {first} in {seconds:.0f} s ({virtual / 3600:.1f} virtual hours) with {jobs} job(s)")
    print(f"operations: {dict(sorted(outcomes.items()))}; registers too hard to judge: {hard}")
    print(f"seeds that found something: {found or 'none'}")
    return bool(found)


def show(trial: Trial) -> None:
    """What was against the rules, and how to see it again."""
    if trial.violations:
        print(f"seed {trial.seed} (again: nox -s simulate -- --seed {trial.seed} --trace):")
    for violation in trial.violations:
        print(f"  {violation}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

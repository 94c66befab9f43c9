"""Look for each planted bug, in a process of its own: with seeds first, else with the nearest ordinary tests.

Rules: a bug is caught when somebody complains; a seed that never ends is a complaint too. What nothing catches is a
missing test, and an error. Seeds are what bounds the search: a busy machine has time for as many as a calm one.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from planted import PLANTED, Bug
from planting import VARIABLE

SECONDS = 200.0
HANG_SECONDS = 60.0
TESTS_SECONDS = 60.0
_HERE = Path(__file__).parent
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_WIDTH = 110


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """What became of a bug.

    Attributes:
        bug: The bug.
        by: Who caught it, in his words; empty when nobody did.
        seeds: How many seeds it took; 0 when none of them found it.
    """

    bug: Bug
    by: str
    seeds: int = 0

    def __str__(self) -> str:
        seeds = str(self.seeds) if self.seeds else "-"
        return f"{self.bug.name:20} {seeds:>5}  {self.by or 'NOT CAUGHT'}"


def hunt(names: Iterable[str], seeds: int, jobs: int) -> int:
    """Look for the named bugs, or for all, and print a table."""
    wanted = set(names)
    bugs = [bug for bug in PLANTED if not wanted or bug.name in wanted]
    if unknown := wanted - {bug.name for bug in bugs}:
        raise SystemExit(
            f"no such bug: {', '.join(sorted(unknown))}; there are {', '.join(bug.name for bug in PLANTED)}"
        )
    print(f"{'planted':20} seeds  caught by")
    missed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for catch in pool.map(lambda bug: caught(bug, seeds), bugs):
            print(catch, flush=True)
            missed += not catch.by
    print(f"{len(bugs)} bugs, {missed} of them not caught")
    return bool(missed)


def caught(bug: Bug, seeds: int) -> Catch:
    """Who catches one bug."""
    return by_seeds(bug, seeds) or by_tests(bug)


def by_seeds(bug: Bug, seeds: int) -> Catch | None:
    """The first seed that finds it."""
    command = [sys.executable, str(_HERE / "planting.py"), bug.name, f"--seeds={seeds}", f"--seconds={SECONDS}"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS + HANG_SECONDS)
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
        seed = json.loads(said.decode().splitlines()[-1])["seed"]
        return Catch(bug=bug, by=f"seed {seed} does not end", seeds=seed + 1)
    if ended.returncode:
        raise RuntimeError(f"{bug.name}: {ended.stderr}")
    last = json.loads(ended.stdout.splitlines()[-1])
    if not last["found"]:
        return None
    return Catch(bug=bug, by=" ".join(last["found"][0].split())[:_WIDTH], seeds=last["seed"] + 1)


def by_tests(bug: Bug) -> Catch:
    """The first of the nearest tests that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "planting", "-p", "no:cacheprovider"]
    path = os.pathsep.join([str(_HERE), str(_HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    try:
        ended = subprocess.run(
            [*command, *bug.tests.split()],
            capture_output=True,
            text=True,
            check=False,
            cwd=_HERE.parents[1],
            env={**os.environ, VARIABLE: bug.name, "PYTHONPATH": path},
            timeout=TESTS_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Catch(bug=bug, by=f"{bug.tests} does not end")
    if ended.returncode not in {0, 1}:
        raise RuntimeError(f"{bug.name}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    failed = _FAILED.search(ended.stdout)
    return Catch(bug=bug, by=failed.group(1) if failed else "")

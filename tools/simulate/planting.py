"""Plant one bug in this process, and look for it with seeds; with ``-p planting`` pytest looks for it instead.

Rules: the package's source is changed as it is imported, so the bug must be planted before the package is; what is
installed on disk stays as it is. A text that is not found exactly once is an error.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

sys.path.insert(0, str(Path(__file__).parents[2]))

from planted import PLANTED, Bug

VARIABLE = "PLANTED_BUG"


def pytest_load_initial_conftests() -> None:
    """Before any conftest imports the package."""
    plant(os.environ[VARIABLE])


def plant(name: str) -> None:
    """From now on the package is imported with the bug."""
    bug = next(bug for bug in PLANTED if bug.name == name)
    if bug.module in sys.modules:
        raise RuntimeError(f"{bug.module} is imported already")
    sys.meta_path.insert(0, _Finder(bug))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run seeds until one finds the bug; prints ``{"seeds": …, "seconds": …, "found": …}``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    plant(options.name)
    from tests.sim.trial import run_trial  # noqa: PLC0415  # only now: it imports the package

    began = time.monotonic()
    for seed in range(options.seeds):
        print(json.dumps({"seed": seed}), flush=True)
        violations = run_trial(seed).violations
        if violations or time.monotonic() > began + options.seconds:
            break
    print(json.dumps({"seed": seed, "found": violations[:1]}), flush=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the module of the bug, and nothing else."""

    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._bug.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"there is no {fullname}")
        spec.loader = _Loader(fullname, spec.origin, self._bug)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the source with the bug; compiled code that is cached is neither read nor written."""

    def __init__(self, fullname: str, path: str, bug: Bug) -> None:
        super().__init__(fullname, path)
        self._bug = bug

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        return compile(changed(Path(self.path).read_text(), self._bug), self.path, "exec", dont_inherit=True)


def changed(source: str, bug: Bug) -> str:
    """The source with the bug in it."""
    if source.count(bug.old) != 1:
        raise RuntimeError(f"{bug.name} does not apply: {bug.module} has its text {source.count(bug.old)} times")
    return source.replace(bug.old, bug.new)


if __name__ == "__main__":
    main()

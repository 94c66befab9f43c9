"""The few places where the simulation reaches into Trio: the order in which tasks run, and the end of a run that hangs.

Rules: nothing else of Trio's that is private is used anywhere; what is changed here is put back when the run is over.
"""

from __future__ import annotations

import contextlib
import importlib
import random
import threading
from collections.abc import Callable, Generator
from typing import Final, NoReturn, cast

import trio

__all__ = ["break_off", "seeded_scheduler"]

_SWITCH: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
_RANDOMNESS: Final = "_r"
_in_use: Final = threading.Lock()
"""Trio's scheduler draws from one generator for all threads of the process: two seeds cannot have it at once."""


@contextlib.contextmanager
def seeded_scheduler(seed: str) -> Generator[None, None, None]:
    """Let Trio draw the order of runnable tasks from a seed.

    Trio shuffles each batch by a generator of its own. It sorts the batch first, so that the seed decides, only where
    Hypothesis has been imported: its plug-in sets the switch that is set here.

    Raises:
        RuntimeError: Another seed has it now, or this version of Trio is made otherwise.
    """
    if not _in_use.acquire(blocking=False):
        raise RuntimeError(
            "another simulation runs in this process, in another thread, and all threads share the randomness of Trio's"
            " scheduler: run one after the other, or in processes of their own"
        )
    try:
        with _seeded(seed):
            yield
    finally:
        _in_use.release()


@contextlib.contextmanager
def _seeded(seed: str) -> Generator[None, None, None]:
    names = vars(importlib.import_module("trio._core._run"))
    switch, randomness = names.get(_SWITCH), names.get(_RANDOMNESS)
    known = isinstance(switch, bool) and isinstance(randomness, random.Random)
    if not known:
        raise RuntimeError("this version of Trio schedules in another way than the simulation knows how to repeat")
    randomness = cast("random.Random", randomness)
    state = randomness.getstate()
    randomness.seed(seed)
    names[_SWITCH] = True
    try:
        yield
    finally:
        names[_SWITCH] = switch
        randomness.setstate(state)


def break_off(main: trio.lowlevel.Task, error: BaseException) -> None:
    """Raise ``error`` in a task and all those below it, wherever they wait, shielded or not, as Ctrl-C is raised."""

    def refuse() -> NoReturn:
        raise error

    tasks = [main]
    for task in tasks:  # grows as it is read
        for nursery in task.child_nurseries:
            tasks += nursery.child_tasks
    for task in tasks:
        if getattr(task, "_abort_func", None) is not None:  # it waits
            cast("Callable[[Callable[[], NoReturn]], None]", getattr(task, "_attempt_abort"))(refuse)  # noqa: B009

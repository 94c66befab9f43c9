"""Whether a history of one register is linearizable: Wing and Gong's search, with a memory of what was tried.

What a register does is a table of functions from a state to the next one; what is of unknown outcome may take effect
once, or never, at any time after it began. A write of several attempts that succeeded took effect once while it ran,
and may have done so again, once for each further attempt, at any time after it began.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import TypeAlias

from tests.sim.record import Done

__all__ = ["TooHardError", "explain", "is_linearizable"]

State: TypeAlias = tuple[str, int] | None
"""Value and counter; None: no item."""

MAX_STEPS = 200_000


class TooHardError(Exception):
    """The search takes too long to be worth it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Something that happens to a register at one moment between two times, or need not happen at all."""

    began: float
    ended: float
    may_be_left_out: bool
    apply: Callable[[State], tuple[bool, State]]
    done: Done


def _write(done: Done, state: State) -> tuple[bool, State]:
    """Whether the write takes effect, and the state afterwards."""
    value = done.value or ""
    match done.kind:
        case "create":
            return (True, (value, 0)) if state is None else (False, state)
        case "replace":
            return (True, (value, 0)) if state is not None and state[0] == done.expected else (False, state)
        case "remove":
            return (True, None) if state is not None and state[0] == done.expected else (False, state)
        case "count":
            return True, (value, (0 if state is None else state[1]) + 1)
        case kind:
            raise AssertionError(kind)


def _applied(done: Done) -> Callable[[State], tuple[bool, State]]:
    return lambda state: _write(done, state)


def _refused(done: Done) -> Callable[[State], tuple[bool, State]]:
    return lambda state: (not _write(done, state)[0], state)


def _seen(done: Done) -> Callable[[State], tuple[bool, State]]:
    return lambda state: (state == done.seen, state)


def effects(history: Iterable[Done]) -> list[Effect]:
    """All that may have happened, in the order of beginning."""
    found: list[Effect] = []
    for done in history:
        if done.is_read:
            if done.outcome == "ok":
                found.append(_effect(done, _seen(done), done.ended))
        elif done.outcome == "refused":
            found.append(_effect(done, _refused(done), done.ended))
        elif done.outcome == "ok":
            found.append(_effect(done, _applied(done), done.ended))
            found += [_effect(done, _applied(done), math.inf, optional=True)] * (done.attempts - 1)
        elif done.outcome == "unknown":
            found += [_effect(done, _applied(done), math.inf, optional=True)] * done.attempts
    return sorted(found, key=lambda effect: effect.began)


def _effect(
    done: Done, apply: Callable[[State], tuple[bool, State]], ended: float, *, optional: bool = False
) -> Effect:
    return Effect(began=done.began, ended=ended, may_be_left_out=optional, apply=apply, done=done)


def is_linearizable(history: Iterable[Done]) -> bool:
    """Whether there is an order that explains what everybody was told.

    Raises:
        TooHardError: That cannot be said within reasonable time.
    """
    found = effects(history)
    needed = [number for number, effect in enumerate(found) if not effect.may_be_left_out]
    tried: set[tuple[int, State]] = set()
    todo: list[tuple[int, State]] = [(0, None)]
    all_needed = sum(1 << number for number in needed)
    while todo:
        taken, state = todo.pop()
        if taken & all_needed == all_needed:
            return True
        if len(tried) > MAX_STEPS:
            raise TooHardError
        # Whatever comes next began before the first end of those that are still to come.
        horizon = min(found[number].ended for number in needed if not taken >> number & 1)
        steps: list[tuple[int, State]] = []
        for number, effect in enumerate(found):
            if effect.began > horizon:
                break
            if taken >> number & 1:
                continue
            happens, after = effect.apply(state)
            if happens and after == state and not effect.may_be_left_out:
                steps = [(taken | 1 << number, after)]  # what changes nothing can only help when it comes first
                break
            if happens:
                steps.append((taken | 1 << number, after))
        todo += [step for step in steps if step not in tried]
        tried.update(steps)
    return False


def explain(history: Iterable[Done]) -> str:
    """A history, one operation a line."""
    return "\n    ".join(str(done) for done in history)

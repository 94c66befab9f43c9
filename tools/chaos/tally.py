"""What the run has seen so far: operations by how they ended, errors with what they are put down to, and complaints.

Rules: memory is bounded however long the run is; whatever must not be is a complaint, and the first of them are kept in
words.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from accounts import LAG, OWN_LIMIT

from alternator_trio import AlternatorError, IndeterminateWriteError

if TYPE_CHECKING:
    from accounts import Windows

KEPT = 40


@dataclass(slots=True)
class Tally:
    """Counts, and what is wrong.

    Attributes:
        windows: What was wrong with the cluster, and when.
        faults: How often each kind of fault began.
        begun: Operations begun.
        done: Those that gave a result, by name.
        errors: Those that raised, by error and by what it is put down to.
        cancelled: Those that their callers cancelled.
        retries: Attempts beyond the first of those that gave a result.
        doubtful: Reads that found a write of unknown outcome done: its caller had left, say.
        longest: The longest operation, in seconds.
        overshoot: The most by which one outlasted its ``operation_timeout``, in seconds.
        calm_since: From when on no error may come: nothing has been wrong since then; None while something is.
        nodes: Which nodes have answered, since it was last cleared.
        wrong: How many complaints there are.
        complaints: The first of them.
    """

    windows: Windows
    faults: collections.Counter[str] = field(default_factory=collections.Counter)
    begun: int = 0
    done: collections.Counter[str] = field(default_factory=collections.Counter)
    errors: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    cancelled: int = 0
    retries: int = 0
    doubtful: int = 0
    longest: float = 0.0
    overshoot: float = 0.0
    calm_since: float | None = None
    nodes: set[str] = field(default_factory=set)
    wrong: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def ended(self) -> int:
        """Operations that have ended, one way or another."""
        return self.done.total() + self.errors.total() + self.cancelled

    @property
    def in_flight(self) -> int:
        """Operations that have begun and not ended."""
        return self.begun - self.ended

    def complain(self, what: str | None) -> None:
        """Note that something is not as it must be; None: all is well."""
        if what is None:
            return
        self.wrong += 1
        if len(self.complaints) < KEPT:
            self.complaints.append(what)
            print(what, flush=True)

    def failed(self, error: AlternatorError, *, began: float, ended: float) -> None:
        """Note an operation that raised, and ask what it is put down to."""
        cause = self.windows.explain(error, began, ended)
        self.errors[label(error), cause or "unaccounted"] += 1
        if cause is None:
            self.complain(f"no fault explains {error!r} after {ended - began:.2f} s")
        elif cause not in {LAG, OWN_LIMIT} and self.calm_since is not None and began > self.calm_since:
            self.complain(f"an error without any fault being on: {error!r} after {ended - began:.2f} s")


def label(error: AlternatorError) -> str:
    """An error's name in the tables; of an indeterminate write its cause as well."""
    name = getattr(error, "code", type(error).__name__)
    if isinstance(error, IndeterminateWriteError) and isinstance(error.__cause__, AlternatorError):
        return f"{name} from {label(error.__cause__)}"
    return str(name)

"""What a workload did and what it was told, one entry per operation: all that checkers know of the client's side."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, TypeAlias

__all__ = ["Done", "Outcome"]

Outcome: TypeAlias = Literal["ok", "refused", "failed", "unknown"]
"""Done; turned away by its condition; failed for certain; nobody knows (errors that say so, and cancellations)."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Done:
    """One operation on one key.

    Attributes:
        number: No two operations of a run share one.
        client: Whose it was.
        kind: What it does to the register: see `tests.sim.registers`.
        table: The table.
        key: The key.
        value: What it writes, unique in the run; None for what writes nothing of its own.
        expected: The value that its condition asks for; None: that there is no item.
        began: When (Trio's clock).
        ended: When; infinity while it has not, and for what may still take effect.
        outcome: What the client said.
        attempts: How many attempts it says it made.
        seen: Of a read that succeeded: the value and the counter; None: no item.
        why: The error.
    """

    number: int
    client: str
    kind: str
    table: str
    key: str
    began: float
    value: str | None = None
    expected: str | None = None
    ended: float = math.inf
    outcome: Outcome = "unknown"
    attempts: int = 0
    seen: tuple[str, int] | None = None
    why: str = ""

    @property
    def is_read(self) -> bool:
        return self.kind in {"read", "query"}

    def __str__(self) -> str:
        what = f"{self.kind} {self.table}/{self.key} value={self.value} expected={self.expected}"
        how = f"{self.outcome} after {self.attempts} attempt(s), seen={self.seen} {self.why}"
        return f"#{self.number} {self.client} [{self.began:.4f}, {self.ended:.4f}] {what}: {how}"

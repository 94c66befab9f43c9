"""What may be read: the ledger of items that one owner writes, and of counters that many count up. Pure.

Rules:

* Every write of an owner has an edition of its own, greater than those before; 0 is an item that is not there.
* An acknowledged write is there until a later one is, or an attempt of unknown outcome comes over it.
* No attempt can be recalled. One that was given up may take effect until the *horizon* is over: for so long, and until
  a write that began after that is acknowledged, its edition may be found. A register gives no other leeway.
* A write that failed for certain is never found.
* A counter is between the additions that were acknowledged when a read began and those that may have been made when it
  ended.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

KEPT = 32


class Register:
    """One item.

    Args:
        name: Its key, as text.
        horizon: Seconds after which an attempt that was given up cannot take effect any more.

    Attributes:
        acknowledged: The edition that was acknowledged last.
    """

    __slots__ = ("_horizon", "_loose", "_refused", "acknowledged", "name")

    def __init__(self, name: str, horizon: float) -> None:
        self.name = name
        self.acknowledged = 0
        self._horizon = horizon
        self._loose: dict[int, float] = {}  # edition to the time until which it may come
        self._refused: deque[int] = deque(maxlen=KEPT)

    @property
    def is_certain(self) -> bool:
        """Whether only what was acknowledged may be found."""
        return not self._loose.keys() - {self.acknowledged}

    def acknowledge(self, edition: int, *, began: float, now: float, repeated: bool) -> None:
        """Note a write that succeeded, after further attempts or not."""
        self._loose = {other: until for other, until in self._loose.items() if until > began}
        self.acknowledged = edition
        if repeated:
            self._loose[edition] = now + self._horizon

    def doubt(self, edition: int, *, now: float) -> None:
        """Note a write of unknown outcome: one that failed, or whose caller left."""
        self._loose[edition] = now + self._horizon

    def refuse(self, edition: int) -> None:
        """Note a write that failed for certain."""
        self._refused.append(edition)

    def judge(self, found: int) -> str | None:
        """What is wrong with the edition that was found; None when nothing is."""
        if found == self.acknowledged or found in self._loose:
            return None
        what = "a write that failed for certain" if found in self._refused else "no write that may be there"
        return f"{self.name}: edition {self.acknowledged} was acknowledged, and {found} was found: {what}"


@dataclass(slots=True)
class Counter:
    """One number that many callers count up.

    Attributes:
        acknowledged: Additions that were acknowledged.
        possible: Additions that may have been made, the acknowledged ones included.
    """

    name: str
    acknowledged: int = 0
    possible: int = 0
    wrong: list[str] = field(default_factory=list)

    def begin(self, most: int) -> None:
        """Note an addition that begins, and how often it may be executed at most."""
        self.possible += most

    def acknowledge(self, most: int, executions: int) -> None:
        """Note that it succeeded, having been executed once at least and so often at most."""
        self.acknowledged += 1
        self.possible -= most - executions

    def refuse(self, most: int) -> None:
        """Note that it failed for certain."""
        self.possible -= most

    def judge(self, found: int, *, at_least: int) -> str | None:
        """What is wrong with a value that was read; ``at_least`` was acknowledged when the read began."""
        if at_least <= found <= self.possible:
            return None
        return f"{self.name}: {found} was found; at least {at_least} and at most {self.possible} is right"

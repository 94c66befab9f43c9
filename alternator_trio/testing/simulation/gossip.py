"""Which nodes each node holds to be alive, and so what its ``/localnodes`` lists.

Rules: a node that comes into sight is listed after a moment; one that goes out of sight stays listed until it is
convicted, about 20 s later; one that leaves in order is off the lists at once. Every node has a view of its own.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final

__all__ = ["CONVICTION_SECONDS", "Gossip"]

CONVICTION_SECONDS: Final = 20.0
_NOTICE_SECONDS: Final = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """One node in another's view: how it was listed before ``until``, and how it is from then on."""

    visible: bool
    before: bool
    until: float

    def is_listed(self, now: float) -> bool:
        return self.before if now < self.until else self.visible


class Gossip:
    """The views of all nodes, which go by name."""

    def __init__(self) -> None:
        self._sights: dict[tuple[str, str], _Sight] = {}

    def is_listed(self, observer: str, subject: str, now: float) -> bool:
        """Whether one node lists another, or itself."""
        sight = self._sights.get((observer, subject))
        return sight is not None and sight.is_listed(now)

    def sees(self, observer: str, subject: str, now: float) -> None:
        """``observer`` hears from ``subject`` from now on."""
        self._change(observer, subject, now, visible=True, after=0.0 if observer == subject else _NOTICE_SECONDS)

    def loses(self, observer: str, subject: str, now: float, *, convicted_after: float = CONVICTION_SECONDS) -> None:
        """``observer`` hears nothing of ``subject`` from now on, and convicts it after so many seconds."""
        self._change(observer, subject, now, visible=False, after=convicted_after)

    def knows(self, observer: str, subject: str) -> None:
        """``observer`` lists ``subject`` from the beginning."""
        self._sights[observer, subject] = _Sight(visible=True, before=True, until=-math.inf)

    def forget(self, subject: str) -> None:
        """Take a node off all lists at once."""
        for observer, seen in list(self._sights):
            if seen == subject:
                del self._sights[observer, seen]

    def _change(self, observer: str, subject: str, now: float, *, visible: bool, after: float) -> None:
        sight = self._sights.get((observer, subject))
        if sight is not None and sight.visible == visible:
            return
        before = sight is not None and sight.is_listed(now)
        self._sights[observer, subject] = _Sight(visible=visible, before=before, until=now + after)

"""A list that one owner appends to, each entry of its own: what was executed twice is there twice. Pure.

Rules: an acknowledged entry is there, one that was refused is not, one of unknown outcome may be; each at most as often
as the client may execute it. A journal that is full is left behind, and another one begun.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FULL = 40


@dataclass(slots=True)
class Journal:
    """What must be in the list, and what may be.

    Attributes:
        name: Its key, as text.
        acknowledged: Entries that must be there.
        most: How often each entry may be there; 0 for those that were refused.
    """

    name: str
    acknowledged: list[int] = field(default_factory=list)
    most: dict[int, int] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Whether the next entry belongs into another one."""
        return len(self.most) >= FULL

    def begin(self, entry: int, executions: int) -> None:
        """Note an entry that is about to be appended, and how often that may be executed."""
        self.most[entry] = executions

    def acknowledge(self, entry: int) -> None:
        """Note that it was appended."""
        self.acknowledged.append(entry)

    def refuse(self, entry: int) -> None:
        """Note that it was not."""
        self.most[entry] = 0

    def judge(self, found: Sequence[int]) -> str | None:
        """What is wrong with the list that was read; None when nothing is."""
        counts = collections.Counter(found)
        missing = [entry for entry in self.acknowledged if not counts[entry]]
        too_often = [entry for entry, count in counts.items() if count > self.most.get(entry, 0)]
        if missing or too_often:
            return f"{self.name}: not there, though acknowledged: {missing}; there too often: {too_often}"
        return None

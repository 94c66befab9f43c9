"""One item as replicas hold it: cells with timestamps, of which the last one wins.

Rules: a put replaces the whole item at its timestamp, a deletion covers what is not newer; among equal timestamps a
deletion wins, then the larger value, so that the order of arrival never matters. Values are JSON text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

__all__ = ["Row"]

Item = dict[str, str]


class Row:
    """One item, perhaps deleted.

    Attributes:
        newest: The newest timestamp that was written.
    """

    def __init__(self) -> None:
        self.newest = -math.inf
        self._deleted_at = -math.inf
        self._marked_at = -math.inf  # the newest put or update: an item may have no attribute but its key
        self._cells: dict[str, tuple[float, str]] = {}
        self._removed: dict[str, float] = {}

    def item(self) -> Item | None:
        """The item's attributes beside its key, as JSON text; None when there is no item."""
        if self._marked_at <= self._deleted_at:
            return None
        return {name: text for name, (stamp, text) in sorted(self._cells.items()) if self._lives(name, stamp)}

    def put(self, item: Mapping[str, str], stamp: float) -> None:
        """Replace the whole item."""
        # The deletion that a put implies is a little older than what it writes, or it would cover it.
        self._deleted_at = max(self._deleted_at, stamp - 0.5)
        self.update(item, (), stamp)

    def update(self, item: Mapping[str, str], removed: Iterable[str], stamp: float) -> None:
        """Write some attributes, and remove others."""
        self.newest = max(self.newest, stamp)
        self._marked_at = max(self._marked_at, stamp)
        for name, text in item.items():
            self._cells[name] = max(self._cells.get(name, (-math.inf, "")), (stamp, text))
        for name in removed:
            self._removed[name] = max(self._removed.get(name, -math.inf), stamp)

    def delete(self, stamp: float) -> None:
        """Delete the item."""
        self.newest = max(self.newest, stamp)
        self._deleted_at = max(self._deleted_at, stamp)

    def _lives(self, name: str, stamp: float) -> bool:
        return stamp > self._deleted_at and stamp > self._removed.get(name, -math.inf)

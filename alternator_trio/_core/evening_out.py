"""Where the bound on all connections is reached: which node gives a slot to another, and when.

Rules: a node gives one to a node that has at least two less: with a lesser difference the want would only be passed on,
each request closing one connection to dial another. For the same reason a node that has none gets a spare one only once
in a while. One at a time is soon enough for a node that came back, and not too much for one that is down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from alternator_trio._core.pool import Capacity, Place
from alternator_trio.nodes import Node

__all__ = ["EVEN_OUT_INTERVAL", "SPARE_AFTER", "EveningOut"]

EVEN_OUT_INTERVAL: Final = 0.02  # seconds from one connection that is closed for another node's sake to the next
SPARE_AFTER: Final = 1.0  # seconds idle until a connection gives its slot to a node that has none; then the next may


class Idle(Protocol):
    """A connection that waits for use."""

    @property
    def idle_since(self) -> float:
        """When its last exchange ended."""
        ...


class EveningOut:
    """Decides who gives.

    Args:
        capacity: The count of connections, and their bounds.
    """

    __slots__ = ("_capacity", "_from", "_spare_from")

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._from = self._spare_from = -math.inf

    def giver(self, node: Node, idle: Mapping[Node, Sequence[Idle]], now: float) -> Node | None:
        """Which node's oldest idle connection gives its slot to ``node``, where only the total bound is in the way.

        A node that has two more; or, for a node that has none, one with a slot that nobody has wanted for a while: the
        one that asked a node outside of the ring for its list, for instance.

        Args:
            node: Who wants a slot.
            idle: Idle connections by node, the oldest first.
            now: Trio's clock.
        """
        capacity = self._capacity
        if not capacity.is_exhausted or not capacity.has_room_at(node):
            return None
        others = [other for other, held in idle.items() if held]
        richest = max(others, key=capacity.used_by, default=None)
        if richest is None or self._may_give(richest, node, now):
            return richest
        if capacity.used_by(node) or now < self._spare_from:
            return None
        spare = min(others, key=lambda other: idle[other][0].idle_since)
        if now < idle[spare][0].idle_since + SPARE_AFTER:
            return None
        self._spare_from = now + SPARE_AFTER
        return spare

    def taker(self, node: Node, place: Place, now: float) -> Node | None:
        """To which node a connection to ``node`` gives its slot as it is handed on to who waits at ``place``.

        Under load nothing is idle, and this is where slots even out.
        """
        capacity = self._capacity
        if place.node is not None or not capacity.is_exhausted:
            return None
        if capacity.used_by(node) * len(place.ring) <= capacity.used:
            return None  # it has its share, or less
        poorest = min((other for other in place.ring if other not in place.refused), key=capacity.used_by)
        return poorest if capacity.has_room_at(poorest) and self._may_give(node, poorest, now) else None

    def _may_give(self, richer: Node, poorer: Node, now: float) -> bool:
        if now < self._from or self._capacity.used_by(richer) < self._capacity.used_by(poorer) + 2:
            return False
        self._from = now + EVEN_OUT_INTERVAL
        return True

"""Who may have a connection: the count against the bounds, and the line of those who wait.

Rules: never more connections than the bounds, dialled and being dialled alike; whoever came first is served first among
those that a freed connection can serve; leaving the line loses nothing.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Final, Generic, TypeVar

from alternator_trio.nodes import Node

__all__ = ["Capacity", "Place", "WaitingLine"]


class Capacity:
    """How many connections there are, per node and in all, against the bounds.

    Example:
        >>> capacity = Capacity(per_node=1, total=8)
        >>> node = Node("http", "10.0.0.1", 8000)
        >>> capacity.take(node); capacity.has_room(node)
        False
    """

    __slots__ = ("_by_node", "_per_node", "_total", "used")

    def __init__(self, *, per_node: int, total: int) -> None:
        self._per_node = per_node
        self._total = total
        self._by_node: collections.Counter[Node] = collections.Counter()
        self.used = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether the bound on all connections is reached."""
        return self.used >= self._total

    def used_by(self, node: Node) -> int:
        """The connections to one node."""
        return self._by_node[node]

    def has_room_at(self, node: Node) -> bool:
        """Whether the node's own bound allows another connection."""
        return self._by_node[node] < self._per_node

    def has_room(self, node: Node) -> bool:
        """Whether both bounds allow another connection to the node."""
        return self.used < self._total and self._by_node[node] < self._per_node

    def take(self, node: Node) -> None:
        """Count a connection."""
        self._by_node[node] += 1
        self.used += 1

    def release(self, node: Node) -> None:
        """Count a connection off."""
        self._by_node[node] -= 1
        self.used -= 1
        if not self._by_node[node]:
            del self._by_node[node]


class Place:
    """A place in the line.

    Attributes:
        node: The only node that will do; None: any of ``ring`` but those in ``refused``.
        ring: The nodes that there are.
        refused: Nodes that will not do, because the request has already been there.
        number: Grows with the time of coming.
        deadline: When whoever waits gives up; in the order of coming, because all are patient for the same time.
        wish: Equal for places that the same nodes can serve.
    """

    __slots__ = ("deadline", "node", "number", "refused", "ring", "wish")

    def __init__(self, node: Node | None, ring: Sequence[Node], refused: Collection[Node]) -> None:
        self.node = node
        self.ring = tuple(ring)
        self.refused = tuple(refused)
        self.number = 0
        self.deadline = math.inf
        self.wish: Final[Hashable] = (self.ring, self.refused) if node is None else node

    def will_do(self, node: Node) -> bool:
        """Whether a connection to ``node`` serves it."""
        if self.node is not None:
            return self.node == node
        return node not in self.refused and node in self.ring

    def choose(self, accepts: Callable[[Node], bool]) -> Node | None:
        """A node that will do and is acceptable; places that come one after another look from different ends."""
        if self.node is not None:
            return self.node if accepts(self.node) else None
        ring = self.ring
        for step in range(self.number, self.number + len(ring)):
            node = ring[step % len(ring)]
            if node not in self.refused and accepts(node):
                return node
        return None


P = TypeVar("P", bound=Place)


class WaitingLine(Generic[P]):
    """Those who wait, in the order of their coming.

    One line per wish, so that its first stands for all behind it: a freed connection is given away in a time that grows
    with the number of different wishes and not with the number of those who wait.
    """

    __slots__ = ("_length", "_lines", "_next_number")

    def __init__(self) -> None:
        self._lines: dict[Hashable, collections.OrderedDict[P, None]] = {}
        self._next_number = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def join(self, place: P) -> bool:
        """Queue up; True when nobody waits whom the same nodes could serve."""
        place.number = self._next_number
        self._next_number += 1
        self._length += 1
        line = self._lines.get(place.wish)
        if line is None:
            line = self._lines[place.wish] = collections.OrderedDict()
        line[place] = None
        return len(line) == 1

    def leave(self, place: P) -> None:
        """Leave, served or not; leaving twice is harmless."""
        line = self._lines.get(place.wish)
        if line is not None and place in line:
            del line[place]
            self._length -= 1
            if not line:
                del self._lines[place.wish]

    def all(self) -> list[P]:
        """Everybody, in no particular order."""
        return [place for line in self._lines.values() for place in line]

    def overdue(self, now: float) -> list[P]:
        """Those whose deadline has passed."""
        found: list[P] = []
        for line in self._lines.values():
            for place in line:
                if place.deadline > now:
                    break  # nor has that of those who came later
                found.append(place)
        return found

    @property
    def next_deadline(self) -> float:
        """When the next one gives up; infinite when nobody waits."""
        return min((next(iter(line)).deadline for line in self._lines.values()), default=math.inf)

    def first_for(self, node: Node) -> P | None:
        """Whom a connection to ``node`` serves."""
        found: P | None = None
        for line in self._lines.values():
            place = next(iter(line))
            if (found is None or place.number < found.number) and place.will_do(node):
                found = place
        return found

    def first_elsewhere(self, has_room_at: Callable[[Node], bool]) -> tuple[P, Node] | None:
        """Whom a slot of the total bound serves, and at which node: one that has room of its own."""
        found: tuple[P, Node] | None = None
        for line in self._lines.values():
            place = next(iter(line))
            if found is None or place.number < found[0].number:
                node = place.choose(has_room_at)
                if node is not None:
                    found = place, node
        return found

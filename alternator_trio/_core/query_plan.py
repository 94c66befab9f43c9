"""Query plans: the order in which one request tries the nodes.

Rules (spec §3): one request owns one plan and keeps it over its attempts; a plan yields each node at most once, then
None; round robin takes its first node from a counter that all requests share and the others in random order, so that
a down node's share is spread instead of given to its neighbour.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from alternator_trio.nodes import Node

__all__ = ["QueryPlan", "RoundRobinPlan"]


class QueryPlan(Protocol):
    """An order of nodes, taken lazily."""

    def next_node(self) -> Node | None:
        """The next node to try; None when the plan is consumed, and from then on."""
        ...


class RoundRobinPlan:
    """One node by turns, then the others in random order.

    Args:
        nodes: The ring; never empty.
        turn: The value of the shared counter for this request.
        rng: Where the order of the others comes from.
        tried_last: A node that comes last, because the request has just failed on it.

    Example:
        >>> ring = [Node("http", host, 8000) for host in ("a", "b", "c")]
        >>> plan = RoundRobinPlan(ring, turn=4, rng=random.Random(7))
        >>> [str(plan.next_node()) for _ in range(4)]
        ['http://b:8000', 'http://c:8000', 'http://a:8000', 'None']
    """

    __slots__ = ("_begun", "_first", "_left", "_nodes", "_rng", "_tried_last")

    def __init__(self, nodes: Sequence[Node], turn: int, rng: random.Random, tried_last: Node | None = None) -> None:
        self._nodes = nodes
        self._first = turn % len(nodes)
        # By value: the node that failed may come from an older snapshot.
        if nodes[self._first] == tried_last:
            self._first = (turn + 1) % len(nodes)
        self._rng = rng
        self._tried_last = tried_last
        self._begun = False
        self._left: list[Node] | None = None  # the next one at the end

    def next_node(self) -> Node | None:
        """The next node to try, or None. Most requests ask once, and pay for one look into a tuple."""
        if not self._begun:
            self._begun = True
            return self._nodes[self._first]
        left = self._others()
        return left.pop() if left else None

    def instead_of(self, node: Node, accepts: Callable[[Node], bool]) -> Node:
        """A node that is acceptable now for the one just taken, which gets its place in the plan; else ``node``."""
        left = self._others()
        for index in range(len(left) - 1, -1, -1):
            if accepts(left[index]):
                chosen, left[index] = left[index], node
                return chosen
        return node

    def _others(self) -> list[Node]:
        if self._left is None:
            first, last = self._nodes[self._first], self._tried_last
            self._left = [node for node in self._nodes if node is not first and node != last]
            self._rng.shuffle(self._left)
            if last is not None and last != first and last in self._nodes:
                self._left.insert(0, last)
        return self._left

"""Query plans: the order in which one request tries the nodes.

Rules (spec §3): one request owns one plan and keeps it over its attempts; a plan yields each node at most once, then
None. Whatever a plan's order is, health filters it at the last moment: each call hands out the first node of those left
that is active now, else the first that is quarantined now, and never one that is down. The order itself does not depend
on health.

Round robin takes its first node from a counter that all requests share and the others in random order, so that a down
node's share is spread instead of given to its neighbour. The seeded order is Go's `math/rand`, the last node moving
into the place of the one drawn: all Alternator clients walk a ring alike for one seed. It is not consistent hashing: a
node that joins moves most first picks.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeAlias, TypeVar

from alternator_trio._core.go_rand import GoRand, first_intn
from alternator_trio._core.health import NodeState
from alternator_trio._core.randomness import Randomness
from alternator_trio.nodes import Node

__all__ = ["FirmPlan", "QueryPlan", "RoundRobinPlan", "StateOf", "preferred_plan", "seeded_order", "seeded_plan"]

T = TypeVar("T")

_ACTIVE: Final = NodeState.ACTIVE
_QUARANTINED: Final = NodeState.QUARANTINED
_DOWN: Final = NodeState.DOWN

StateOf: TypeAlias = Callable[[Node], NodeState]
"""How a node stands now; asked each time that one is handed out."""


class QueryPlan(Protocol):
    """An order of nodes, taken lazily."""

    def next_node(self) -> Node | None:
        """The next node to try; None when the plan is consumed, and from then on."""
        ...

    def instead_of(self, node: Node, accepts: Callable[[Node], bool]) -> Node:
        """A node that is acceptable now for the one just taken, which gets its place in the plan; else ``node``."""
        ...


class _Walk:
    """An order of nodes, filtered by health as they are handed out.

    Args:
        order: Each node once, drawn lazily.
        ring: All nodes; looked through when the first one drawn is not active, for whether another one is.
        state_of: How a node stands now.
        last: One that is not in the order, and comes when nothing else is left.

    Attributes:
        passed: Those drawn that were not active then, in their order.
        last: As given, until it is handed out.
    """

    __slots__ = ("_order", "_ring", "_state_of", "last", "passed")

    def __init__(
        self, order: Iterator[Node], ring: Sequence[Node], state_of: StateOf, last: Node | None = None
    ) -> None:
        self._order = order
        self._ring = ring
        self._state_of = state_of
        self.last = last
        self.passed: list[Node] = []

    def next_node(self) -> Node | None:
        """The next node to try; None when the plan is consumed, and from then on."""
        if not self.passed:
            node = next(self._order, None)
            if node is not None:
                if self._state_of(node) is _ACTIVE:
                    return node
                self.passed.append(node)
        # Without this look at the ring, a ring of quarantined nodes would be drawn to its end for the first of them.
        if _any_active(self._ring, self._state_of):
            node = self._first_in(_ACTIVE)
            if node is not None:
                return node
        return self._first_in(_QUARANTINED) or self._end()

    def _first_in(self, state: NodeState) -> Node | None:
        state_of = self._state_of
        for index, node in enumerate(self.passed):
            if state_of(node) is state:
                return self.passed.pop(index)
        for node in self._order:
            if state_of(node) is state:
                return node
            self.passed.append(node)
        return None

    def _end(self) -> Node | None:
        self.passed.clear()  # they are down, and stay out of this plan
        last, self.last = self.last, None
        return None if last is None or self._state_of(last) is _DOWN else last


class RoundRobinPlan:
    """One node by turns, then the others in random order.

    Args:
        eligible: The nodes that take turns: the active ones of the ring, or when there are none the quarantined ones.
            When it is empty, only what has become eligible meanwhile is handed out.
        ring: All nodes.
        turn: The value of the shared counter for this request.
        rng: Where the order of the others comes from.
        state_of: How a node stands now.
        tried_last: A node that comes last of all, because the request has just failed on it.

    Example:
        >>> import random
        >>> ring = [Node("http", host, 8000) for host in ("a", "b", "c")]
        >>> plan = RoundRobinPlan(ring, ring, turn=4, rng=random.Random(7), state_of=lambda node: NodeState.ACTIVE)
        >>> [str(plan.next_node()) for _ in range(4)]
        ['http://b:8000', 'http://a:8000', 'http://c:8000', 'None']
    """

    __slots__ = ("_begun", "_eligible", "_first", "_others", "_ring", "_rng", "_state_of", "_tried_last", "_turn")

    def __init__(
        self,
        eligible: Sequence[Node],
        ring: Sequence[Node],
        turn: int,
        rng: Randomness,
        state_of: StateOf,
        tried_last: Node | None = None,
    ) -> None:
        self._eligible = eligible
        self._ring = ring
        self._turn = turn
        self._rng = rng
        self._state_of = state_of
        self._tried_last = tried_last
        self._begun = False
        self._first: Node | None = None  # what was handed out by its turn
        self._others: tuple[list[Node], _Walk] | None = None  # those not drawn yet, in no order, and who draws them

    def next_node(self) -> Node | None:
        """The next node to try, or None. Most requests ask once, and pay for one look into a tuple."""
        if not self._begun:
            self._begun = True
            self._first = first = self._by_turn()
            if first is not None:
                return first
        _, walk = self._begin_others()
        return walk.next_node()

    def instead_of(self, node: Node, accepts: Callable[[Node], bool]) -> Node:
        """A node that is acceptable now for the one just taken, which gets its place in the plan; else ``node``.

        An active node is only given up for an active one: to wait for it is better than to load one in quarantine.
        """
        states = (_ACTIVE,) if self._state_of(node) is _ACTIVE else (_ACTIVE, _QUARANTINED)
        return self._trade(node, lambda other: accepts(other) and self._state_of(other) in states)

    def taken_instead(self, node: Node, chosen: Node) -> None:
        """Note that ``chosen`` is tried in place of the node just taken, however it stands by now."""
        self._trade(node, lambda other: other == chosen)

    def _trade(self, node: Node, is_wanted: Callable[[Node], bool]) -> Node:
        """A wanted node of those to come, which gives its place to ``node``; without one ``node`` itself."""
        left, walk = self._begin_others()
        start = int(self._rng.random() * len(left))
        for nodes, offset in ((left, start), (walk.passed, 0)):
            for step in range(len(nodes)):
                place = (step + offset) % len(nodes)
                chosen = nodes[place]
                if is_wanted(chosen):
                    nodes[place] = node
                    return chosen
        last = walk.last
        if last is not None and is_wanted(last):
            walk.last = node
            return last
        return node

    def _by_turn(self) -> Node | None:
        eligible = self._eligible
        if not eligible:
            return None
        first = eligible[self._turn % len(eligible)]
        if self._tried_last is not None and first == self._tried_last:
            first = eligible[(self._turn + 1) % len(eligible)]
            if first == self._tried_last:
                return None
        state = self._state_of(first)
        if state is _ACTIVE or (state is _QUARANTINED and not _any_active(self._ring, self._state_of)):
            return first
        return None

    def _begin_others(self) -> tuple[list[Node], _Walk]:
        if self._others is None:
            left = list(self._ring)
            _remove(self._first, left)
            last = self._tried_last if _remove(self._tried_last, left) else None
            self._others = left, _Walk(_at_random(left, self._rng), self._ring, self._state_of, last)
        return self._others


class FirmPlan(_Walk):
    """An order that is kept to: no node is passed over because it is busy."""

    __slots__ = ()

    def instead_of(self, node: Node, accepts: Callable[[Node], bool]) -> Node:
        """The node itself: affinity waits for it."""
        del accepts
        return node


def seeded_plan(ring: Sequence[Node], seed: int, state_of: StateOf) -> FirmPlan:
    """The order in which all Alternator clients try the nodes for one seed.

    Args:
        ring: All nodes, sorted.
        seed: A signed 64-bit number: the hash of a partition key.
        state_of: How a node stands now.

    Example:
        >>> ring = [Node("http", host, 8000) for host in ("a", "b", "c")]
        >>> plan = seeded_plan(ring, seed=42, state_of=lambda node: NodeState.ACTIVE)
        >>> [str(plan.next_node()) for _ in range(4)]
        ['http://c:8000', 'http://b:8000', 'http://a:8000', 'None']
    """
    return FirmPlan(seeded_order(ring, seed), ring, state_of)


def preferred_plan(preferred: Sequence[Node], ring: Sequence[Node], state_of: StateOf) -> FirmPlan:
    """Given nodes first, then the rest in the order of the ring.

    Args:
        preferred: The given nodes in their order; who is not in the ring, or was named before, is passed over.
        ring: All nodes, sorted.
        state_of: How a node stands now.

    Example:
        >>> ring = [Node("http", host, 8000) for host in ("a", "b", "c")]
        >>> plan = preferred_plan(ring[1:2], ring, state_of=lambda node: NodeState.ACTIVE)
        >>> [str(plan.next_node()) for _ in range(4)]
        ['http://b:8000', 'http://a:8000', 'http://c:8000', 'None']
    """
    return FirmPlan(_preferred_order(preferred, ring), ring, state_of)


def seeded_order(ring: Sequence[T], seed: int) -> Iterator[T]:
    """A ring in the order of a seed.

    Each place is drawn from those that remain; the last one of them then moves into its slot. Only the slots that
    were moved are held, so that the first place costs the same in any ring.

    Example:
        >>> list(seeded_order("abcdef", 42))
        ['f', 'c', 'a', 'd', 'b', 'e']
    """
    length = len(ring)
    if not length:
        return
    yield ring[first_intn(seed, length)]  # most requests ask for no more
    intn = GoRand(seed).intn
    slot = intn(length)
    moved = {slot: length - 1}
    for last in range(length - 2, -1, -1):
        slot = intn(last + 1)
        yield ring[moved.get(slot, slot)]
        moved[slot] = moved.pop(last, last)


def _preferred_order(preferred: Sequence[Node], ring: Sequence[Node]) -> Iterator[Node]:
    given: dict[Node, None] = {}
    for node in preferred:
        place = bisect.bisect_left(ring, node)
        if place < len(ring) and ring[place] == node and node not in given:
            given[node] = None
            yield node
    for node in ring:
        if node not in given:
            yield node


def _at_random(left: list[Node], rng: Randomness) -> Iterator[Node]:
    while left:
        place = int(rng.random() * len(left))
        left[place], left[-1] = left[-1], left[place]
        yield left.pop()


def _any_active(ring: Sequence[Node], state_of: StateOf) -> bool:
    for node in ring:  # noqa: SIM110  # a generator for any() costs more than what it saves
        if state_of(node) is _ACTIVE:
            return True
    return False


def _remove(node: Node | None, nodes: list[Node]) -> bool:
    if node is None:
        return False
    try:
        nodes.remove(node)
    except ValueError:
        return False
    return True

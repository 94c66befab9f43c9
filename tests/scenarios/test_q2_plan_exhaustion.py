"""Q2: a round-robin plan yields each node at most once, then None for ever."""

from __future__ import annotations

import collections
import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.health import NodeState
from alternator_trio._core.query_plan import RoundRobinPlan
from alternator_trio.nodes import Node


def ring_of(size):
    return tuple(sorted(Node("http", f"10.0.0.{number}", 8000) for number in range(1, size + 1)))


sizes = st.integers(1, 12)
turns = st.integers(0, 2**33)
seeds = st.integers(0, 2**32)


def plan_of(ring, turn, rng, tried_last=None):
    return RoundRobinPlan(ring, ring, turn, rng, lambda _: NodeState.ACTIVE, tried_last)


def consumed(plan):
    return list(iter(plan.next_node, None))


@given(sizes, turns, seeds)
def test_q2_each_node_once_then_none_for_ever(size, turn, seed):
    """Whatever the turn and the randomness: every node of the list exactly once, then nothing any more."""
    plan = plan_of(ring_of(size), turn, random.Random(seed))
    assert sorted(consumed(plan)) == list(ring_of(size))
    assert [plan.next_node() for _ in range(3)] == [None] * 3


@given(sizes, turns, seeds)
def test_q2_the_first_node_goes_by_turns(size, turn, seed):
    """As many plans as there are nodes, one turn after the other, begin at each node once, in the ring's order."""
    ring, rng = ring_of(size), random.Random(seed)
    firsts = [plan_of(ring, turn + number, rng).next_node() for number in range(size)]
    offset = turn % size
    assert firsts == list(ring[offset:] + ring[:offset])


def test_q2_the_rest_comes_in_every_order():
    """A thousand plans with one first node show all six orders of the three others, none of them rarely."""
    ring, rng = ring_of(4), random.Random(1)
    orders = collections.Counter(tuple(consumed(plan_of(ring, 0, rng))[1:]) for _ in range(1200))
    assert orders.keys() == set(itertools.permutations(ring[1:]))
    assert min(orders.values()) > 120


@given(sizes, turns, seeds, st.data())
def test_q2_the_node_tried_last_comes_last(size, turn, seed, data):
    """A cycle after a failure ends with the node that failed, unless it is the only one; a stranger changes nothing."""
    ring = ring_of(size)
    tried = data.draw(st.sampled_from((*ring, Node("http", "10.0.1.1", 8000))))
    order = consumed(plan_of(ring, turn, random.Random(seed), tried_last=tried))
    assert sorted(order) == list(ring)
    assert tried not in order[:-1] or size == 1


@given(sizes, turns, seeds)
def test_q2_an_equal_node_from_an_older_list_is_the_same_node(size, turn, seed):
    """The node tried last comes from an older snapshot: it is known by its address, not by being the same object."""
    ring = ring_of(size)
    again = Node("http", "10.0.0.1", 8000)
    order = consumed(plan_of(ring, turn, random.Random(seed), tried_last=again))
    assert sorted(order) == list(ring)
    assert order[-1] == again


@given(sizes, turns, seeds, st.data())
def test_q2_an_exchange_keeps_the_set(size, turn, seed, data):
    """`instead_of` swaps a node for one still to come: nothing is yielded twice, and nothing is lost."""
    ring = ring_of(size)
    acceptable = data.draw(st.sets(st.sampled_from(ring)))
    plan = plan_of(ring, turn, random.Random(seed))
    used = []
    while (node := plan.next_node()) is not None:
        chosen = plan.instead_of(node, acceptable.__contains__) if data.draw(st.booleans()) else node
        assert chosen == node or chosen in acceptable
        used.append(chosen)
    assert sorted(used) == list(ring)


@given(sizes, turns, seeds)
def test_q2_an_exchange_for_nothing_gives_the_node_back(size, turn, seed):
    """Where no node is acceptable, the one just taken is the one to use."""
    plan = plan_of(ring_of(size), turn, random.Random(seed))
    node = plan.next_node()
    assert plan.instead_of(node, lambda _: False) == node

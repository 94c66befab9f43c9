"""Counts against bounds, and who is served next: against a plain list that is searched from the front."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.pool import Capacity, Place, WaitingLine
from alternator_trio.nodes import Node

A, B, C = RING = tuple(Node("http", host, 8000) for host in "abc")
OTHER = Node("http", "z", 8000)


def test_room_ends_at_the_nodes_own_bound():
    """A node that has its share has no more room, whatever the total allows."""
    capacity = Capacity(per_node=2, total=9)
    capacity.take(A)
    assert capacity.has_room(A)
    capacity.take(A)
    assert not capacity.has_room(A)
    assert not capacity.has_room_at(A)
    assert capacity.has_room(B)


def test_room_ends_at_the_total_bound():
    """When the total is reached there is no room anywhere, though nodes have room of their own."""
    capacity = Capacity(per_node=2, total=2)
    capacity.take(A)
    assert not capacity.is_exhausted
    capacity.take(B)
    assert capacity.is_exhausted
    assert not capacity.has_room(C)
    assert capacity.has_room_at(C)


def test_released_room_is_room_again():
    """Taking and releasing leave the counts where they were."""
    capacity = Capacity(per_node=1, total=1)
    for node in (A, B, A):
        capacity.take(node)
        assert (capacity.used, capacity.used_by(node)) == (1, 1)
        capacity.release(node)
        assert (capacity.used, capacity.used_by(node)) == (0, 0)


def test_a_released_connection_leaves_the_others_counted():
    """One of two is released: the other is still there."""
    capacity = Capacity(per_node=2, total=9)
    capacity.take(A)
    capacity.take(A)
    capacity.release(A)
    assert capacity.used_by(A) == 1


@pytest.mark.parametrize(
    ("place", "served"),
    [
        (Place(A, (), ()), {A}),
        (Place(OTHER, RING, ()), {OTHER}),
        (Place(None, RING, ()), {A, B, C}),
        (Place(None, RING, [A, C]), {B}),
        (Place(None, RING, RING), set()),
    ],
    ids=["a node", "a node that left", "any", "any but two", "none"],
)
def test_a_place_says_which_nodes_will_do(place, served):
    """`will_do` and `choose` agree; a node that is not in the ring serves nobody who did not name it."""
    assert {node for node in (*RING, OTHER) if place.will_do(node)} == served
    assert {node for node in (*RING, OTHER) if place.choose(lambda other, node=node: other == node)} == served


def test_leaving_twice_is_harmless():
    """The second time nothing changes, for whoever else waits either."""
    line: WaitingLine[Place] = WaitingLine()
    one, other = Place(A, RING, ()), Place(A, RING, ())
    line.join(one)
    line.join(other)
    line.leave(one)
    line.leave(one)
    assert len(line) == 1
    assert line.first_for(A) is other


def test_who_joins_hears_whether_somebody_with_the_same_wish_waits():
    """Behind such a one there is nothing to be had at once; one that waits for something else is not in the way."""
    line: WaitingLine[Place] = WaitingLine()
    assert [line.join(Place(node, RING, ())) for node in (A, B, A)] == [True, True, False]


def waiting(*deadlines: tuple[Node | None, float]) -> WaitingLine[Place]:
    """A line of those who wait for a node, each until its deadline."""
    line: WaitingLine[Place] = WaitingLine()
    for node, deadline in deadlines:
        place = Place(node, RING, ())
        place.deadline = deadline
        line.join(place)
    return line


def test_whose_deadline_has_come_is_overdue():
    """At the deadline itself, too; whoever is behind with more time left is not, whatever the wish."""
    line = waiting((A, 1.0), (B, 2.0), (A, 2.0), (A, 3.0), (None, 3.0))
    assert sorted(place.deadline for place in line.overdue(2.0)) == [1.0, 2.0, 2.0]


def test_the_next_deadline_is_the_earliest_of_all_wishes():
    """Whose wish came first does not matter; nobody's is never."""
    assert waiting((A, 2.0), (B, 1.0), (None, 3.0)).next_deadline == 1.0
    assert waiting().next_deadline == math.inf


NODES = st.sampled_from(RING)
PLACES = st.builds(
    Place,
    st.none() | NODES,
    st.sampled_from([RING, (A, B), (C,), (A, B, C)]),
    st.lists(NODES, max_size=2, unique=True),
)


@given(places=st.lists(PLACES, max_size=12), leaving=st.sets(st.integers(0, 11)), accepted=st.sets(NODES))
def test_whoever_came_first_among_those_who_can_be_served_is_next(places, leaving, accepted):
    """Whoever has left in between: the line names the one that a search from the front would find."""
    line: WaitingLine[Place] = WaitingLine()
    for place in places:
        line.join(place)
    for index in leaving:
        if index < len(places):
            line.leave(places[index])
    left = [place for index, place in enumerate(places) if index not in leaving]
    assert len(line) == len(left)
    assert sorted(map(id, line.all())) == sorted(map(id, left))
    for node in (*RING, OTHER):
        assert line.first_for(node) is next((place for place in left if place.will_do(node)), None)
    expected = next((place for place in left if place.choose(accepted.__contains__)), None)
    found = line.first_elsewhere(accepted.__contains__)
    assert found == (None if expected is None else (expected, expected.choose(accepted.__contains__)))


def test_whom_nothing_can_serve_costs_the_others_nothing():
    """Ten thousand who wait in vain are passed over in one step, not in ten thousand."""
    line: WaitingLine[Place] = WaitingLine()
    for _ in range(10_000):
        line.join(Place(None, [*RING], (A,)))
    asked: list[Node] = []
    assert line.first_elsewhere(lambda node: bool(asked.append(node))) is None
    assert asked == [B, C]

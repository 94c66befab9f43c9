"""The snapshot that requests are routed by: its order, who is eligible, and how nodes stand in it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.discovery import ScopeAnswer
from alternator_trio._core.health import NodeState, Standing
from alternator_trio._core.scopes import ScopeList, snapshot, with_answers
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

A, B, C, D = (Node("http", f"10.0.0.{number}", 8000) for number in range(1, 5))
hosts = st.lists(st.integers(1, 120).map("10.0.0.{}".format), min_size=1, max_size=8)


def snapshot_of(ring, standings=None, lists=(), chain=None, position=0):
    return snapshot(
        ring=ring,
        chain=RoutingScope.cluster().chain if chain is None else chain,
        position=position,
        lists=lists,
        discovered=True,
        standings=standings or {},
    )


def standing(state, **counts):
    return Standing(state=state, **counts)


@given(hosts)
def test_a_list_is_sorted_by_canonical_endpoint_and_each_node_is_in_it_once(names):
    """Whatever the order of the answer, all clients have the same ring."""
    answer = ScopeAnswer(position=0, nodes=tuple(Node("http", name, 8000) for name in names))
    (found,) = with_answers([ScopeList()], [answer])
    assert [node.endpoint for node in found.nodes] == sorted({f"http://{name}:8000" for name in names})


def test_the_order_is_that_of_bytes():
    """The example of the specification: a 0 comes before a colon."""
    ten, one = Node("http", "10.0.0.10", 8000), A
    (found,) = with_answers([ScopeList()], [ScopeAnswer(position=0, nodes=(one, ten))])
    assert found.nodes == (ten, one)


def test_an_empty_answer_keeps_the_list_and_notes_that_there_is_nobody():
    """What was known is wanted again when the scope comes back."""
    lists = with_answers([ScopeList(nodes=(A, B))], [ScopeAnswer(position=0, nodes=())])
    assert lists == (ScopeList(nodes=(A, B), is_empty=True),)
    assert with_answers(lists, [ScopeAnswer(position=0, nodes=(B,))]) == (ScopeList(nodes=(B,)),)


def test_scopes_without_an_answer_keep_their_lists():
    """A refresh that ends at the preferred scope says nothing about the others."""
    lists = (ScopeList(nodes=(A,)), ScopeList(nodes=(B,), is_empty=True))
    assert with_answers(lists, [ScopeAnswer(position=0, nodes=(C,))]) == (ScopeList(nodes=(C,)), lists[1])


@pytest.mark.parametrize(
    ("states", "eligible"),
    [
        ({}, (A, B, C)),
        ({A: NodeState.QUARANTINED}, (B, C)),
        ({A: NodeState.QUARANTINED, B: NodeState.DOWN}, (C,)),
        ({A: NodeState.QUARANTINED, B: NodeState.DOWN, C: NodeState.QUARANTINED}, (A, C)),
        (dict.fromkeys((A, B, C), NodeState.DOWN), ()),
    ],
)
def test_active_nodes_are_eligible_else_those_in_quarantine_never_those_down(states, eligible):
    """The ring itself does not depend on health."""
    live = snapshot_of((A, B, C), {node: standing(state) for node, state in states.items()})
    assert live.eligible == eligible
    assert live.ring == (A, B, C)


def test_an_unknown_node_is_active():
    """There is nothing against it, and its life is the first."""
    live = snapshot_of((A,), {A: standing(NodeState.DOWN, generation=3)})
    assert (live.state_of(A), live.generation_of(A)) == (NodeState.DOWN, 3)
    assert (live.state_of(B), live.generation_of(B)) == (NodeState.ACTIVE, 0)


def test_successes_matter_of_nodes_with_something_to_forget():
    """Those that are not active, and those with failures; callers need not tell of the rest."""
    live = snapshot_of(
        (A, B, C),
        {A: standing(NodeState.QUARANTINED), B: standing(NodeState.ACTIVE, failures=1), C: standing(NodeState.ACTIVE)},
    )
    assert live.watched == {A, B}


def test_all_nodes_of_all_scopes_are_known_once():
    """Also those of scopes that are not in force."""
    lists = (ScopeList(nodes=(A,)), ScopeList(nodes=(A, B, C)))
    assert snapshot_of((A,), lists=lists).known == (A, B, C)


@pytest.mark.parametrize(("position", "crosses"), [(0, False), (1, False), (2, True), (3, True)])
def test_what_leaves_the_preferred_datacenter_is_marked(position, crosses):
    """A fallback to the rack's own datacenter does not; one to another datacenter or to the cluster does."""
    scope = RoutingScope.rack("dc1", "rack1").with_fallback(
        RoutingScope.datacenter("dc1"), RoutingScope.datacenter("dc2"), RoutingScope.cluster()
    )
    assert snapshot_of((A,), chain=scope.chain, position=position).crosses_datacenters is crosses


def test_a_snapshot_cannot_be_changed():
    """It is shared by everybody."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot_of((A,)).discovered = False

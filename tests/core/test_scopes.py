"""Which scope of the chain is in force."""

from __future__ import annotations

import pytest

from alternator_trio._core.discovery import ScopeAnswer
from alternator_trio._core.health import NodeState, Standing
from alternator_trio._core.scopes import ScopeList, choose, snapshot, with_answers
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

A, B, C, D = (Node("http", f"10.0.0.{number}", 8000) for number in (1, 2, 3, 4))
STATES = {"a": NodeState.ACTIVE, "q": NodeState.QUARANTINED, "d": NodeState.DOWN}
CHAIN = RoutingScope.rack("dc1", "r1").with_fallback(RoutingScope.datacenter("dc1"), RoutingScope.cluster()).chain


@pytest.mark.parametrize(
    ("scopes", "current", "chosen"),
    [
        # Each scope by the states of its nodes; "-" was never listed, "!" at the end: empty since.
        (("-", "-"), None, None),
        (("aa", "-"), None, 0),
        (("q", "-"), None, 0),
        (("dd", "a"), None, 1),
        (("-", "aa"), None, 1),
        (("d", "-"), None, 0),
        (("dq", "a"), 0, 0),
        (("dd", "a"), 0, 1),
        (("a!", "a"), 0, 1),
        (("a!", "-"), 0, 0),
        (("q", "a"), 1, 1),
        (("qa", "a"), 1, 0),
        (("a!", "a"), 1, 1),
        (("q", "d"), 1, 0),
        (("d", "d"), 1, 1),
        (("d", "d", "q"), 1, 2),
        (("d", "a", "a"), 2, 1),
        (("d", "q", "a"), 2, 2),
    ],
)
def test_the_scope_in_force(scopes, current, chosen):
    """The first usable one; a more preferred one returns with an active node; with none usable nothing changes."""
    states, lists = {}, []
    for position, letters in enumerate(scopes):
        nodes = []
        for number, letter in enumerate(letters.strip("-!")):
            node = Node("http", f"n{position}x{number}.example", 8000)
            states[node] = STATES[letter]
            nodes.append(node)
        lists.append(ScopeList(nodes=tuple(nodes), is_empty=letters.endswith("!")))
    assert choose(lists, current, states.__getitem__) == chosen


def test_only_a_list_with_nodes_replaces_a_list():
    """An empty one marks the scope as empty, until the next that is not."""
    lists = with_answers([ScopeList(), ScopeList(nodes=(D,))], [ScopeAnswer(position=0, nodes=(C, A, C))])
    assert lists == (ScopeList(nodes=(A, C)), ScopeList(nodes=(D,)))
    emptied = with_answers(lists, [ScopeAnswer(position=0, nodes=())])
    assert emptied[0] == ScopeList(nodes=(A, C), is_empty=True)
    assert with_answers(emptied, [ScopeAnswer(position=0, nodes=(B,))])[0] == ScopeList(nodes=(B,))


def published(standings, position=0, ring=(A, B, C)):
    lists = [ScopeList(nodes=ring), ScopeList(nodes=(D,)), ScopeList()]
    return snapshot(ring=ring, chain=CHAIN, position=position, lists=lists, discovered=True, standings=standings)


def test_active_nodes_are_eligible():
    """With one of them there, those in quarantine wait."""
    live = published({A: Standing(state=NodeState.QUARANTINED), B: Standing(state=NodeState.DOWN)})
    assert (live.eligible, live.ring) == ((C,), (A, B, C))


def test_quarantined_nodes_are_eligible_without_active_ones():
    """Those that are down never are."""
    live = published(
        {A: Standing(state=NodeState.QUARANTINED), B: Standing(state=NodeState.DOWN), C: Standing(state=NodeState.DOWN)}
    )
    assert live.eligible == (A,)
    assert published(dict.fromkeys((A, B, C), Standing(state=NodeState.DOWN))).eligible == ()


def test_nodes_whose_successes_matter_are_watched():
    """Not active, or with failures to forget."""
    live = published(
        {
            A: Standing(state=NodeState.ACTIVE, successes=10),
            B: Standing(state=NodeState.ACTIVE, failures=1),
            C: Standing(state=NodeState.QUARANTINED),
        }
    )
    assert live.watched == {B, C}


def test_all_listed_nodes_are_known():
    """Those of the scopes that are not in force as well: their connections are kept, and they are probed."""
    assert published({}).known == (A, B, C, D)


@pytest.mark.parametrize(("position", "crosses"), [(0, False), (1, False), (2, True)])
def test_leaving_the_datacenter_is_seen(position, crosses):
    """Cluster scope leaves the preferred datacenter, its own rack and datacenter do not."""
    assert published({}, position=position).crosses_datacenters is crosses


def test_who_prefers_the_whole_cluster_leaves_no_datacenter():
    """A fallback from it to one datacenter crosses nothing: none was preferred."""
    chain = RoutingScope.cluster().with_fallback(RoutingScope.datacenter("dc1")).chain
    lists = [ScopeList(), ScopeList(nodes=(A,))]
    live = snapshot(ring=(A,), chain=chain, position=1, lists=lists, discovered=True, standings={})
    assert not live.crosses_datacenters

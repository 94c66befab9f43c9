"""The snapshot that requests are routed by."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio.nodes import Node

hosts = st.lists(st.integers(1, 120).map("10.0.0.{}".format), min_size=1, max_size=8)


def nodes_at(names):
    return [Node("http", name, 8000) for name in names]


@given(hosts)
def test_the_ring_is_sorted_by_canonical_endpoint_and_each_node_is_in_it_once(names):
    """Bytewise order, in which 10.0.0.10:8000 comes before 10.0.0.1:8000, and no duplicates."""
    ring = LiveNodes.from_seeds(nodes_at(names), discovered=False).ring
    assert [node.endpoint for node in ring] == sorted({f"http://{name}:8000" for name in names})


def test_the_order_is_that_of_bytes():
    """The example of the specification, which every Alternator client shares."""
    ring = LiveNodes.from_seeds(nodes_at(["10.0.0.1", "10.0.0.10"]), discovered=True).ring
    assert [node.host for node in ring] == ["10.0.0.10", "10.0.0.1"]


def test_seeds_stand_in_until_a_list_is_discovered():
    """The first list counts as a change even when it names just the seeds."""
    seeds = LiveNodes.from_seeds(nodes_at(["a", "b"]), discovered=False)
    found = seeds.with_ring(nodes_at(["b", "a"]))
    assert (seeds.discovered, found.discovered) == (False, True)
    assert found.ring == seeds.ring
    assert found is not seeds


@given(hosts, st.randoms())
def test_the_same_nodes_are_the_same_snapshot(names, rng):
    """In whatever order and however often they are named: identity tells readers that nothing has changed."""
    before = LiveNodes.from_seeds(nodes_at(names), discovered=True)
    again = [*names, *names]
    rng.shuffle(again)
    assert before.with_ring(nodes_at(again)) is before


def test_another_list_is_another_snapshot():
    """The old one stays what it was: who took it goes on with it."""
    before = LiveNodes.from_seeds(nodes_at(["a"]), discovered=True)
    after = before.with_ring(nodes_at(["a", "b"]))
    assert (len(before.ring), len(after.ring)) == (1, 2)


def test_a_snapshot_cannot_be_changed():
    """It is shared by everybody."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        LiveNodes.from_seeds(nodes_at(["a"]), discovered=True).discovered = False

"""Query plans: what each hands out under any history of health, and that no plan's order depends on it."""

from __future__ import annotations

import collections
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.go_rand import GoRand
from alternator_trio._core.health import NodeState
from alternator_trio._core.query_plan import FirmPlan, RoundRobinPlan, preferred_plan, seeded_order, seeded_plan
from alternator_trio.nodes import Node

ACTIVE, QUARANTINED, DOWN = NodeState.ACTIVE, NodeState.QUARANTINED, NodeState.DOWN


def ring_of(size):
    return tuple(sorted(Node("http", f"10.0.0.{number}", 8000) for number in range(1, size + 1)))


seeds = st.integers(-(2**63), 2**63 - 1)
rings = st.integers(1, 12).map(ring_of)
states = st.sampled_from(NodeState)


def eligible_of(ring, state_of):
    """What a snapshot says: the active nodes, else the quarantined ones."""
    return next((some for wanted in (ACTIVE, QUARANTINED) if (some := [n for n in ring if state_of(n) is wanted])), [])


def round_robin(ring, state_of, seed=0, tried_last=None):
    eligible = eligible_of(ring, state_of)
    return RoundRobinPlan(eligible, ring, seed % 2**40, random.Random(seed), state_of, tried_last)


def seeded(ring, state_of, seed=0):
    return seeded_plan(ring, seed, state_of)


def preferred(ring, state_of, seed=0):
    rng = random.Random(seed)
    return preferred_plan(rng.sample(ring, rng.randint(0, len(ring))), ring, state_of)


PLANS = pytest.mark.parametrize("plan_of", [round_robin, seeded, preferred])


def consumed(plan):
    return list(iter(plan.next_node, None))


@PLANS
@given(ring=rings, seed=seeds, data=st.data())
def test_a_plan_is_all_eligible_nodes_the_active_ones_first(plan_of, ring, seed, data):
    """While health stands still: each active node once, then each quarantined one, no other, and None for ever."""
    health = {node: data.draw(states) for node in ring}
    plan = plan_of(ring, health.__getitem__, seed)
    handed_out = consumed(plan)
    kinds = [health[node] for node in handed_out]
    assert collections.Counter(handed_out) == collections.Counter(node for node in ring if health[node] is not DOWN)
    assert kinds == sorted(kinds, key=[ACTIVE, QUARANTINED].index)
    assert [plan.next_node() for _ in range(2)] == [None] * 2


@PLANS
@given(ring=rings, seed=seeds, data=st.data())
def test_health_is_asked_at_the_last_moment(plan_of, ring, seed, data):
    """While health changes: what is handed out is the best there is at that moment among what is left."""
    health = {node: data.draw(states) for node in ring}
    plan = plan_of(ring, health.__getitem__, seed)
    left = set(ring)
    over = False
    for _ in range(len(ring) + 2):
        for node in data.draw(st.lists(st.sampled_from(ring), max_size=4)):
            health[node] = data.draw(states)
        best = next((kind for kind in (ACTIVE, QUARANTINED) if any(health[node] is kind for node in left)), None)
        node = plan.next_node()
        if over or best is None:
            assert node is None
            over = True
        else:
            assert node in left
            assert health[node] is best
            left.remove(node)


@given(ring=rings, seed=seeds, data=st.data())
def test_the_order_of_a_seed_does_not_depend_on_health(ring, seed, data):
    """Active nodes come as they stand in the seed's order, then the quarantined ones: nobody moves."""
    health = {node: data.draw(states) for node in ring}
    order = consumed(seeded(ring, lambda _: ACTIVE, seed))
    expected = [node for kind in (ACTIVE, QUARANTINED) for node in order if health[node] is kind]
    assert consumed(seeded(ring, health.__getitem__, seed)) == expected


@given(ring=rings, seed=seeds, data=st.data())
def test_the_order_of_preferred_nodes_does_not_depend_on_health(ring, seed, data):
    """Also here health only chooses among what is left."""
    health = {node: data.draw(states) for node in ring}
    order = consumed(preferred(ring, lambda _: ACTIVE, seed))
    expected = [node for kind in (ACTIVE, QUARANTINED) for node in order if health[node] is kind]
    assert consumed(preferred(ring, health.__getitem__, seed)) == expected


@given(st.integers(0, 700), seeds)
def test_a_seeds_order_is_drawn_as_it_is_published(size, seed):
    """Draw a slot of those left, and move the last one into it: a permutation, as with the whole ring at hand."""
    source, left, order = GoRand(seed), list(range(size)), []
    while left:
        slot = source.intn(len(left))
        order.append(left[slot])
        left[slot] = left[-1]
        left.pop()
    assert list(seeded_order(range(size), seed)) == order
    assert sorted(order) == list(range(size))


def test_the_first_place_of_a_seed_copies_no_ring():
    """A ring of a billion nodes has a first place at once."""
    assert 0 <= next(seeded_order(range(10**9), 1)) < 10**9


@pytest.mark.parametrize("size", [3, 4, 6, 10, 20])
def test_a_joining_node_moves_most_first_places(size):
    """This is not consistent hashing: 75 to 93 of a hundred keys go to another node. The documentation says so."""
    small, large = ring_of(size), ring_of(size + 1)
    rng = random.Random(size)
    keys = [rng.randrange(-(2**63), 2**63) for _ in range(3000)]
    moved = sum(next(seeded_order(small, key)) != next(seeded_order(large, key)) for key in keys)
    assert 0.70 < moved / len(keys) < 0.97


@pytest.mark.parametrize("size", [3, 5, 8])
def test_first_places_are_shared_alike(size):
    """Seeds spread over a ring: each node is the first of its share of them, within a tenth."""
    firsts = collections.Counter(next(seeded_order(range(size), key * 0x9E3779B97F4A7C15)) for key in range(6000))
    assert set(firsts) == set(range(size))
    assert all(abs(count * size / 6000 - 1) < 0.1 for count in firsts.values())


@given(ring=rings, turn=st.integers(0, 2**40), data=st.data())
def test_turns_go_over_the_active_nodes(ring, turn, data):
    """A node that is down leaves its turn to nobody in particular: each active node comes first equally often."""
    health = {node: data.draw(st.sampled_from([ACTIVE, DOWN])) for node in ring}
    eligible = eligible_of(ring, health.__getitem__)
    firsts = [
        RoundRobinPlan(eligible, ring, turn + number, random.Random(1), health.__getitem__).next_node()
        for number in range(len(eligible))
    ]
    assert sorted(firsts) == eligible


def test_a_node_that_went_down_since_the_snapshot_leaves_its_share_to_all():
    """The turn of a node that is down is not its neighbour's: the others get it in equal parts."""
    ring = ring_of(4)
    rng = random.Random(3)
    health = dict.fromkeys(ring, ACTIVE) | {ring[1]: DOWN}
    firsts = collections.Counter(
        RoundRobinPlan(ring, ring, 1, rng, health.__getitem__).next_node() for _ in range(3000)
    )
    assert firsts.keys() == {ring[0], ring[2], ring[3]}
    assert all(850 < count < 1150 for count in firsts.values())


def test_without_eligible_nodes_a_plan_waits_for_one_that_becomes_so():
    """The snapshot had none; what has become quarantined or active since is handed out."""
    ring = ring_of(3)
    health = {ring[0]: DOWN, ring[1]: DOWN, ring[2]: QUARANTINED}
    assert consumed(RoundRobinPlan((), ring, 5, random.Random(1), health.__getitem__)) == [ring[2]]
    assert consumed(RoundRobinPlan((), ring, 5, random.Random(1), lambda _: DOWN)) == []


@given(ring=rings, seed=seeds, data=st.data())
def test_the_node_tried_last_comes_last_of_all(ring, seed, data):
    """Behind quarantined nodes too: the request has just failed on it. When it is down, it does not come."""
    health = {node: data.draw(states) for node in ring}
    stranger = Node("http", "10.0.1.1", 8000)
    tried = data.draw(st.sampled_from((*ring, stranger)))
    handed_out = consumed(round_robin(ring, health.__getitem__, seed, Node(tried.scheme, tried.host, tried.port)))
    assert collections.Counter(handed_out) == collections.Counter(node for node in ring if health[node] is not DOWN)
    assert tried not in handed_out[:-1]


@given(ring=rings, seed=seeds, data=st.data())
def test_an_exchange_loses_and_repeats_nothing(ring, seed, data):
    """`instead_of` under changing health: no node twice, an active one never for a quarantined one, never one down."""
    health = {node: data.draw(states) for node in ring}
    plan = round_robin(ring, health.__getitem__, seed, data.draw(st.none() | st.sampled_from(ring)))
    used = []
    while (node := plan.next_node()) is not None:
        free = data.draw(st.sets(st.sampled_from(ring)))
        chosen = plan.instead_of(node, free.__contains__)
        if chosen != node:
            assert chosen in free
            assert health[chosen] is ACTIVE or health[chosen] is health[node] is QUARANTINED
        used.append(chosen)
        for changed in data.draw(st.lists(st.sampled_from(ring), max_size=2)):
            health[changed] = data.draw(states)
    assert len(used) == len(set(used))


@given(ring=rings, seed=seeds, data=st.data())
def test_an_exchange_finds_what_is_free(ring, seed, data):
    """As long as an active node of the plan is acceptable, the one just taken is given up for it."""
    free = data.draw(st.sampled_from(ring))
    plan = round_robin(ring, lambda _: ACTIVE, seed, data.draw(st.none() | st.sampled_from(ring)))
    taken = plan.next_node()
    assert plan.instead_of(taken, free.__eq__) == free
    rest = consumed(plan)
    assert sorted([*rest, free]) == list(ring)


def test_exchanges_are_spread():
    """Of the nodes with a free slot each is taken equally often; none is everybody's second choice."""
    ring = ring_of(4)
    rng = random.Random(2)
    chosen = collections.Counter()
    for _ in range(3000):
        plan = RoundRobinPlan(ring, ring, 0, rng, lambda _: ACTIVE)
        chosen[plan.instead_of(plan.next_node(), lambda _: True)] += 1
    assert all(850 < chosen[node] < 1150 for node in ring[1:])


@pytest.mark.parametrize("plan_of", [seeded, preferred])
def test_affinity_waits_for_its_node(plan_of):
    """A plan with a wish never exchanges what it has handed out."""
    plan = plan_of(ring_of(3), lambda _: ACTIVE)
    node = plan.next_node()
    assert plan.instead_of(node, lambda _: True) is node


@pytest.mark.parametrize(("host", "port"), [("10.0.0.0", 8000), ("10.0.0.2", 9), ("10.0.0.9", 8000)])
def test_preferred_nodes_that_are_not_there_are_passed_over(host, port):
    """A preference for a node that left, wherever it stood, or one named twice, changes nothing else."""
    ring = ring_of(3)
    gone = Node("http", host, port)
    plan = preferred_plan([gone, ring[2], ring[2]], ring, lambda _: ACTIVE)
    assert consumed(plan) == [ring[2], ring[0], ring[1]]


def test_an_empty_ring_has_empty_plans():
    """There is nothing to hand out, and nothing breaks."""
    for plan in (round_robin((), lambda _: ACTIVE), seeded((), lambda _: ACTIVE), preferred((), lambda _: ACTIVE)):
        assert plan.next_node() is None


def test_a_ring_in_quarantine_is_not_drawn_to_its_end():
    """With no active node anywhere, the first pick is the first quarantined one, and the rest stays undrawn."""
    ring = ring_of(200)
    order = iter(ring)
    assert FirmPlan(order, ring, lambda _: QUARANTINED).next_node() == ring[0]
    assert next(order) == ring[1]


def test_a_node_that_was_tried_instead_does_not_come_again():
    """Whatever its state has become meanwhile: who waited for any node got it in place of the one at hand."""
    ring = ring_of(3)
    health = dict.fromkeys(ring, ACTIVE)
    plan = round_robin(ring, health.__getitem__)
    held = plan.next_node()
    chosen = next(node for node in ring if node != held)
    health[chosen] = QUARANTINED
    plan.taken_instead(held, chosen)
    rest = list(iter(plan.next_node, None))
    assert chosen not in rest
    assert held in rest

"""A node's health: rows in a row, what changes nothing, and when a node is probed. The table is in test_vectors."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.health import (
    NEW,
    NodeState,
    Standing,
    active,
    after_direct_contact,
    after_probe_failure,
    after_probe_success,
    after_traffic_failure,
    after_traffic_success,
    probe_delay,
)
from alternator_trio.routing import NodeHealth

HEALTH = NodeHealth(active_failure=3, down_recovery=2, quarantine_promotion=4, quarantine_failure=2)
DOWN = after_traffic_failure(active(HEALTH), HEALTH, count=3)
TRANSITIONS = [
    after_traffic_failure,
    after_traffic_success,
    after_probe_failure,
    after_probe_success,
    after_direct_contact,
]

thresholds = st.integers(1, 6)
healths = st.builds(
    NodeHealth,
    active_failure=thresholds,
    down_recovery=thresholds,
    quarantine_promotion=thresholds,
    quarantine_failure=thresholds,
)
histories = st.lists(st.sampled_from(TRANSITIONS), max_size=30)


def lived(history, health):
    standing = NEW
    for transition in history:
        standing = transition(standing, health)
    return standing


@given(healths, histories, st.sampled_from([after_traffic_failure, after_traffic_success]), st.integers(0, 40))
def test_many_at_once_are_as_many_in_a_row(health, history, transition, count):
    """A row of observations that was merged on its way moves a node as far as the same row one by one."""
    standing = one_by_one = lived(history, health)
    for _ in range(count):
        one_by_one = transition(one_by_one, health)
    assert transition(standing, health, count) == one_by_one


@pytest.mark.parametrize("transition", [after_traffic_failure, after_traffic_success])
@pytest.mark.parametrize("before", [after_traffic_failure(active(HEALTH), HEALTH), after_traffic_success(NEW, HEALTH)])
def test_a_row_of_none_changes_nothing(transition, before):
    """A merged message may carry failures without successes, or the other way round."""
    assert transition(before, HEALTH, 0) == before


def test_a_row_of_any_length_costs_one_step():
    """A count comes from a message, and must not be worked off."""
    assert after_traffic_failure(NEW, HEALTH, count=10**12).failures == HEALTH.quarantine_failure


@given(healths, histories)
def test_the_counts_stay_within_their_thresholds(health, history):
    """Whatever happens to a node, its counts are those that the table allows in its state."""
    standing = lived(history, health)
    failures, successes = {
        NodeState.ACTIVE: (health.active_failure - 1, health.quarantine_promotion),
        NodeState.QUARANTINED: (health.quarantine_failure - 1, health.quarantine_promotion - 1),
        NodeState.DOWN: (max(health.active_failure, health.quarantine_failure), health.down_recovery - 1),
    }[standing.state]
    assert 0 <= standing.failures <= failures
    assert 0 <= standing.successes <= successes


@given(healths, histories)
def test_a_generation_is_a_way_down(health, history):
    """It counts exactly the times that the node went down, so that results from before can be told."""
    standing, falls = NEW, 0
    for transition in history:
        after = transition(standing, health)
        falls += after.state is NodeState.DOWN and standing.state is not NodeState.DOWN
        standing = after
    assert standing.generation == falls


@pytest.mark.parametrize("transition", [after_traffic_failure, after_traffic_success, after_direct_contact])
def test_a_node_that_is_down_comes_back_by_probes_alone(transition):
    """Traffic that was under way and discovery's contacts leave its counts as they are."""
    recovering = after_probe_success(DOWN, HEALTH)
    assert transition(recovering, HEALTH) == recovering


def test_recovery_begins_again_after_a_failed_probe():
    """The successes that bring a node back are in a row."""
    shaken = after_probe_failure(after_probe_success(DOWN, HEALTH), HEALTH)
    assert shaken == DOWN
    assert after_probe_success(shaken, HEALTH).state is NodeState.DOWN


def test_a_node_that_recovers_begins_quarantine_anew():
    """What it failed at before is over, and it keeps its generation."""
    back = after_probe_success(after_probe_success(DOWN, HEALTH), HEALTH)
    assert back == Standing(state=NodeState.QUARANTINED, generation=1)


@pytest.mark.parametrize("contact", [after_probe_success, after_direct_contact])
def test_a_contact_activates_a_quarantined_node(contact):
    """One 200 of the node itself is enough, and wipes out its failures."""
    assert contact(after_traffic_failure(NEW, HEALTH), HEALTH) == active(HEALTH)


@pytest.mark.parametrize("transition", [after_probe_failure, after_probe_success, after_direct_contact])
def test_probes_and_contacts_leave_an_active_node_alone(transition):
    """Only traffic takes an active node down or restores its count."""
    failing = after_traffic_failure(active(HEALTH), HEALTH)
    assert transition(failing, HEALTH) == failing


def test_a_failed_probe_leaves_a_quarantined_node_alone():
    """It may serve traffic all the same, which decides."""
    rising = after_traffic_success(NEW, HEALTH)
    assert after_probe_failure(rising, HEALTH) == rising


ACTIVE, QUARANTINED = active(HEALTH), NEW


@pytest.mark.parametrize(
    ("standing", "appeared", "streak", "any_routable", "delay"),
    [
        (ACTIVE, False, 0, True, math.inf),
        (ACTIVE, True, 0, True, math.inf),
        (QUARANTINED, True, 0, True, 0.0),
        (DOWN, True, 0, True, 0.0),
        (DOWN, True, 0, False, 0.0),
        (DOWN, False, 0, True, 0.25),
        (DOWN, False, -1, True, 0.5),
        (DOWN, False, -2, True, 1.0),
        (DOWN, False, -3, True, 2.0),
        (DOWN, False, -6, True, 16.0),
        (DOWN, False, -7, True, 30.0),
        (DOWN, False, -(10**9), True, 30.0),
        (DOWN, False, 1, True, 0.25),
        (DOWN, False, -9, False, 0.25),
        (QUARANTINED, False, 1, True, 0.25),
        (QUARANTINED, False, 0, True, 30.0),
        (QUARANTINED, False, -1, True, 30.0),
        (QUARANTINED, False, -1, False, 0.25),
    ],
)
def test_when_a_node_is_probed(standing, appeared, streak, any_routable, delay):
    """At once when it appears; soon after it went down, ever later while it stays so; soon again when it answers."""
    assert probe_delay(standing, appeared=appeared, streak=streak, any_routable=any_routable) == delay

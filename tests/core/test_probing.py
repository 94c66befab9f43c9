"""When nodes are probed next: probes in a row that ended alike, and who of many is due; test_health has the delays."""

from __future__ import annotations

import math

import pytest

from alternator_trio._core.health import NodeState, Standing
from alternator_trio._core.probing import MADE_LATER, Probing, due_at, due_now
from alternator_trio.nodes import Node

A, B, C, D = (Node("http", f"10.0.0.{number}", 8000) for number in range(1, 5))
ACTIVE, QUARANTINED, DOWN = (Standing(state=state) for state in NodeState)


@pytest.mark.parametrize(
    ("results", "streak"),
    [
        ([], 0),
        ([True], 1),
        ([True, True, True], 3),
        ([False], -1),
        ([False, False, False], -3),
        ([False, False, True], 1),
        ([True, True, False], -1),
        ([True, None, True], 2),
    ],
)
def test_a_streak_is_of_probes_in_a_row_that_ended_alike(results, streak):
    """Successes up, failures down; one that was not made is none."""
    probing = Probing(since=0.0, appeared=True)
    for succeeded in results:
        probing = probing.settled(1.0, succeeded=succeeded)
    assert probing.streak == streak


def test_a_probe_that_ended_is_over():
    """The next delay counts from its end, and the node has been probed since it appeared."""
    ended = Probing(since=0.0, appeared=True, in_flight_until=60.0).settled(7.0, succeeded=False)
    assert ended == Probing(since=7.0, streak=-1)


def test_a_probe_that_was_not_made_is_due_a_moment_later():
    """It was due before, and still is."""
    probing = Probing(since=0.0, appeared=True, in_flight_until=60.0).settled(7.0, succeeded=None)
    assert due_at(probing, QUARANTINED, any_routable=True) == 7.0 + MADE_LATER


def test_no_second_probe_is_due_while_one_is_in_flight():
    """Until nothing is heard of it for too long."""
    assert due_at(Probing(since=0.0, in_flight_until=60.0), DOWN, any_routable=True) == 60.0


def test_who_is_due_and_when_the_first_of_the_others_is():
    """Active nodes never are, nor those about which there is nothing to note; one is due at its time, not after it."""
    probings = {A: Probing(since=10.0), B: Probing(since=0.0), C: Probing(since=9.75), D: Probing(since=9.9)}
    standings = {B: ACTIVE, C: DOWN, D: DOWN}
    assert due_now(probings, standings, lambda _: True, 10.0) == ([C], 10.15)


def test_nobody_is_due_of_nobody():
    """And never will be."""
    assert due_now({}, {}, lambda _: True, 0.0) == ([], math.inf)


def test_who_is_waited_for_is_due_soon():
    """A node in quarantine beside routable ones is due after half a minute, without any after a quarter of a second."""
    probings = {A: Probing(since=0.0), B: Probing(since=0.0)}
    standings = dict.fromkeys((A, B), QUARANTINED)
    assert due_now(probings, standings, lambda node: node == A, 0.25) == ([B], 30.0)

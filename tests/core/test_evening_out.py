"""Evening out: who gives a slot where all are taken, to whom, and how often."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from alternator_trio._core.evening_out import EVEN_OUT_INTERVAL, SPARE_AFTER, EveningOut
from alternator_trio._core.pool import Capacity, Place
from alternator_trio.nodes import Node

A, B, C = (Node("http", f"10.0.0.{number}", 8000) for number in (1, 2, 3))


class Idle(NamedTuple):
    idle_since: float


def evening_out(*holders, per_node=64, spare=0):
    """All slots taken but ``spare`` of them, one by each of the holders."""
    capacity = Capacity(per_node=per_node, total=len(holders) + spare)
    for holder in holders:
        capacity.take(holder)
    return EveningOut(capacity)


IDLE = {A: [Idle(0.0), Idle(1.0)], B: [Idle(0.5)]}


@pytest.mark.parametrize(
    ("holders", "options", "giver"),
    [
        ((A, A, A, B, C), {}, A),
        ((A, A, B, C), {}, None),
        ((A, A, B), {}, A),
        ((A, A, A, B, C), {"spare": 1}, None),
        ((A, A, A, C), {"per_node": 1}, None),
    ],
    ids=["two more", "one more", "two more than none", "a slot is free", "its own bound"],
)
def test_who_has_two_more_gives(holders, options, giver):
    """The richest of those with idle connections, and only where the bound on all is what is in the way."""
    assert evening_out(*holders, **options).giver(C, IDLE, 1.0) is giver


def test_one_at_a_time():
    """The next gives after an interval."""
    evening = evening_out(A, A, A, A, B)
    givers = [evening.giver(C, IDLE, at) for at in (0.9, 0.9 + EVEN_OUT_INTERVAL / 2, 0.9 + EVEN_OUT_INTERVAL)]
    assert givers == [A, None, A]


@pytest.mark.parametrize(("now", "giver"), [(SPARE_AFTER * 0.99, None), (SPARE_AFTER, B)])
def test_who_has_none_gets_what_nobody_has_wanted(now, giver):
    """From equals, too: the slot that has been idle the longest, once that is long enough."""
    assert evening_out(A, B).giver(C, {A: [Idle(0.5)], B: [Idle(0.0)]}, now) is giver


def test_what_nobody_has_wanted_is_given_once_in_a_while():
    """Where all connections are idle for long, one node's want does not close them one after another."""
    evening, idle = evening_out(A, B), {A: [Idle(0.0)], B: [Idle(0.0)]}
    givers = [evening.giver(C, idle, at) for at in (5.0, 5.0 + SPARE_AFTER / 2, 5.0 + SPARE_AFTER)]
    assert givers == [A, None, A]


def test_who_has_one_gets_nothing_from_equals():
    """However long their connections have been idle."""
    assert evening_out(A, B, C).giver(C, {A: [Idle(0.0)], B: [Idle(0.0)]}, 100.0) is None


def test_nobody_idle_nobody_gives():
    """There is no connection to close."""
    assert evening_out(A, A, A).giver(C, {A: []}, 0.0) is None


@pytest.mark.parametrize(
    ("holders", "place", "taker"),
    [
        ((A, A, A, B), Place(None, (A, B, C), ()), C),
        ((A, A, A, B), Place(None, (A, B, C), (C,)), B),
        ((A, A, B, C), Place(None, (A, B, C), ()), None),
        ((A, A, A, B), Place(A, (A, B, C), ()), None),
    ],
    ids=["to who has none", "not to who is refused", "one more is too little", "one node alone will do"],
)
def test_what_is_handed_on_goes_to_the_poorest(holders, place, taker):
    """Of the nodes that will do; where it stays, nothing is closed for nothing."""
    assert evening_out(*holders).taker(A, place, 0.0) is taker


def test_who_has_its_share_keeps_it():
    """Four of twelve slots of three nodes are a third, even if another has none."""
    holders = (A,) * 4 + (B,) * 8
    assert evening_out(*holders).taker(A, Place(None, (A, B, C), ()), 0.0) is None

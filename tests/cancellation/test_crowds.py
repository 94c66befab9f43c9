"""Some of many callers are cancelled in one tick: the others are served, and the client is as good as new."""

from __future__ import annotations

import random

import pytest

from tests.cancellation.crowds import CALLERS, CROWDS, IN_LINE
from tests.cancellation.sweep import SCHEDULES, sweep


def some(size, seed):
    return sorted(random.Random(seed).sample(range(CALLERS), size))


@pytest.mark.parametrize("size", range(1, CALLERS + 1))
def test_any_number_cancelled_at_every_moment(size):
    """Those in line, those on their way and those about to be served, from one to all twelve of them."""
    for schedule in range(SCHEDULES):
        for at in range(1, IN_LINE.tell(range(CALLERS), schedule=schedule) + 1):
            IN_LINE.tell(some(size, at), at, schedule)


@pytest.mark.parametrize("story", CROWDS, ids=lambda story: story.name)
def test_some_cancelled_at_every_moment(story):
    """As many at each moment as its turn is: from one to all of them."""
    for schedule in range(SCHEDULES):
        moments = story.tell(range(CALLERS), schedule=schedule)
        for at in range(1, moments + 1):
            story.tell(some(1 + (at + schedule) % CALLERS, at), at, schedule)
    assert moments > 30


@pytest.mark.parametrize("story", CROWDS, ids=lambda story: story.name)
def test_the_block_cancelled_at_many_moments(story):
    """With all callers in it, wherever they wait; the scenarios have every moment."""
    assert sweep(story, "client", stride=4) > 30

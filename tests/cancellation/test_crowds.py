"""Some of many callers are cancelled in one tick: the others are served, and the client is as good as new."""

from __future__ import annotations

import random

import pytest

from tests.cancellation.crowds import CALLERS, CROWDS, IN_LINE
from tests.cancellation.scenarios import SCENARIOS
from tests.cancellation.sweep import SCHEDULES, SIZES, over_httpx, sweep
from tests.cancellation.troubles import LEFT, TROUBLES

ALL = [*CROWDS, *TROUBLES, *LEFT]
IS_LONG = SIZES == CALLERS
TROUBLE_STRIDE, BLOCK_STRIDE, HTTPX_STRIDE = (1, 1, 1) if IS_LONG else (8, 8, 128)


# Over TLS httpx is cancelled elsewhere, on real sockets.
TOLD_AGAIN = [over_httpx(story) for story in [IN_LINE, *ALL, *SCENARIOS] if not story.network.get("tls")]


def some(size, at, schedule):
    return sorted(random.Random(f"{size}/{at}/{schedule}").sample(range(CALLERS), size))


def sweep_crowd(story, sizes, stride=1):
    """Tell a story with some callers cancelled at each moment: ``sizes`` times, as many as then have their turn."""
    for schedule in range(SCHEDULES):
        moments = story.tell(range(CALLERS), schedule=schedule)
        for at in range(1 + schedule % stride, moments + 1, stride):
            for number in range(sizes):
                size = 1 + (at // stride + schedule + number * CALLERS // sizes) % CALLERS
                story.tell(some(size, at, schedule), at, schedule)
    return moments


def test_any_number_cancelled_at_every_moment_in_line():
    """Those in line, those on their way and those about to be served, from one to all twelve of them."""
    assert sweep_crowd(IN_LINE, CALLERS) > 30


@pytest.mark.parametrize("story", CROWDS, ids=lambda story: story.name)
def test_some_cancelled_at_every_moment(story):
    """From one of them to all."""
    assert sweep_crowd(story, SIZES) > 30


@pytest.mark.parametrize("story", [*TROUBLES, *LEFT], ids=lambda story: story.name)
def test_some_cancelled_in_trouble(story):
    """From one of them to all, while something fails that they share."""
    assert sweep_crowd(story, SIZES, TROUBLE_STRIDE) > 30


@pytest.mark.parametrize("story", [IN_LINE, *ALL], ids=lambda story: story.name)
def test_the_block_cancelled_at_many_moments(story):
    """With all callers in it, wherever they wait; the scenarios have every moment."""
    assert sweep(story, "client", BLOCK_STRIDE) > 30


@pytest.mark.parametrize("story", TOLD_AGAIN, ids=lambda story: story.name)
def test_over_httpx(story):
    """Some of the callers, all of them, or the block, at moments that are spread over the story."""
    if len(story.callers) == CALLERS:
        sweep_crowd(story, 1, HTTPX_STRIDE)
    else:
        sweep(story, "callers", HTTPX_STRIDE)
    assert sweep(story, "client", HTTPX_STRIDE) > 30

"""Every scenario, cancelled at every one of its moments."""

from __future__ import annotations

import pathlib
import re

import pytest

from tests.cancellation.scenarios import SCENARIOS
from tests.cancellation.sweep import sweep

PURE = {"b2", "q2"}
FILES = pathlib.Path(__file__).parent.parent.joinpath("scenarios").glob("test_??_*.py")


def test_every_scenario_has_a_story():
    """Those that are pure code have nothing to cancel."""
    ids = {match[1] for file in FILES if (match := re.match(r"test_([a-z]\d)_", file.name))}
    assert {story.name for story in SCENARIOS} == ids - PURE


@pytest.mark.parametrize("whom", ["callers", "client"])
@pytest.mark.parametrize("story", SCENARIOS, ids=lambda story: story.name)
def test_cancelled_at_every_moment(story, whom):
    """Whoever calls, or the whole block: nothing hangs, leaks or stays behind."""
    assert sweep(story, whom) > 10

"""The page on simulation: its examples run as they stand there."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "simulation.md"
FIRST, SUITE = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def run(block: str, **names: object) -> dict[str, Any]:
    exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102  # our own page
    return names


def test_the_first_example_runs() -> None:
    """It does what its code does, twice; the cluster dies and comes back in between."""
    calls = []

    async def your_code(client: object) -> None:
        calls.append(client)

    run(FIRST, your_code=your_code)
    assert len(calls) == 2


@pytest.mark.parametrize("seed", range(20))
def test_the_suite_passes(seed: int) -> None:
    """For every seed that it names."""
    test = run(SUITE)["test_every_seat_is_counted"]
    assert test.pytestmark[0].args == ("seed", range(20))
    test(seed)


def test_the_replay_passes() -> None:
    """One seed alone."""
    run(SUITE)["test_a_seed_that_once_failed"]()

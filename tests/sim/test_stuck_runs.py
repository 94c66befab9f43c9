"""A run that does not end is ended, and says where it stood."""

from __future__ import annotations

import pytest
import trio

from alternator_trio.testing import SimulationStuckError, simulate


async def wait_for_ever() -> None:
    await trio.sleep_forever()


def test_a_run_that_waits_for_nothing_is_ended() -> None:
    """Nothing can happen any more: virtual time runs out."""
    with pytest.raises(SimulationStuckError, match="not over after 50 virtual seconds"):
        simulate(wait_for_ever, max_seconds=50)


def test_it_says_where_it_stood() -> None:
    """The notes name the task and the function that it waits in."""
    with pytest.raises(SimulationStuckError) as caught:
        simulate(wait_for_ever, max_seconds=50)
    assert any("wait_for_ever" in note for note in caught.value.__notes__)


def test_a_run_that_goes_round_in_circles_is_ended() -> None:
    """Time stands still as long as somebody is runnable: steps run out."""

    async def spin() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    with pytest.raises(SimulationStuckError, match="1000 steps"):
        simulate(spin, max_steps=1000)


def test_a_run_that_does_not_heed_its_cancellation_is_broken_off() -> None:
    """A shield keeps a cancellation out, and would keep the test run waiting."""

    async def shielded() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    with pytest.raises(SimulationStuckError, match="not even when it was cancelled"):
        simulate(shielded, max_seconds=50)


def test_what_main_raises_is_raised() -> None:
    """An error of the code under test leaves as it is."""

    async def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        simulate(fail)


def test_time_is_virtual() -> None:
    """An hour passes at once, from zero."""

    async def sleep() -> float:
        await trio.sleep(3000)
        return trio.current_time()

    assert simulate(sleep) == 3000

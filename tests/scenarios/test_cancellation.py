"""The helper that cancels scenarios: it must see what it is there to see."""

from __future__ import annotations

import pytest
import trio

from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scripted_nodes import ScriptedNodes


@pytest.fixture
async def nodes():
    async with ScriptedNodes(1) as scripted:
        yield scripted


async def test_a_connection_that_is_left_is_seen(autojump_clock, nodes):
    """A wire that nobody closes when its task is cancelled fails the scenario."""

    async def scenario():
        wire = await nodes.dial(nodes[0].node)
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        wire.close()

    with pytest.raises(AssertionError, match="connections are left"):
        await cancel_in_the_middle(scenario, nodes)


async def test_a_task_that_is_left_is_seen(autojump_clock, nodes, nursery):
    """A task in somebody else's nursery that outlives the cancellation fails the scenario."""

    async def scenario():
        done = trio.Event()
        nursery.start_soon(done.wait)
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        done.set()

    with pytest.raises(AssertionError, match="tasks are left"):
        await cancel_in_the_middle(scenario, nodes)
    nursery.cancel_scope.cancel()


async def test_a_scenario_that_hangs_is_seen(autojump_clock, nodes):
    """A scenario that does not end is stopped."""
    with pytest.raises(trio.TooSlowError):
        await cancel_in_the_middle(trio.sleep_forever, nodes)


async def test_a_scenario_that_no_cancellation_reaches_is_seen(autojump_clock, nodes):
    """A scenario that swallows its cancellation is no test of one."""

    async def scenario():
        with trio.CancelScope(shield=True):
            for _ in range(20):
                await trio.lowlevel.checkpoint()

    with pytest.raises(AssertionError):
        await cancel_in_the_middle(scenario, nodes)


async def test_a_clean_scenario_is_cancelled_at_every_moment(autojump_clock, nodes):
    """The moments are spread over the whole pass, and a clean scenario survives all of them."""
    reached = []

    async def scenario():
        reached.append(0)
        for _ in range(100):
            reached[-1] += 1
            await trio.lowlevel.checkpoint()

    await cancel_in_the_middle(scenario, nodes, moments=4)
    assert reached[0] == reached[-1] == 100
    assert [count // 10 for count in reached[1:-1]] == [2, 4, 6, 8]

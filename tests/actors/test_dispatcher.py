"""Dispatcher: everything about connections that takes a clock or a change of nodes, and what a crash leaves."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from alternator_trio import AttemptTimeoutError, ClientStoppedError, RetryPolicy
from alternator_trio.testing import Hang
from tests.scripted_nodes import Late
from tests.users import KEY

ONCE = RetryPolicy(max_attempts=1)


async def get(client):
    return await client.get_item(TableName="users", Key=KEY)


async def get_many(client, count):
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(get, client)


async def settled():
    await trio.testing.wait_all_tasks_blocked()


# Alarms.


async def test_an_exchange_that_is_overdue_is_ended(autojump_clock, nodes):
    """An attempt that gets no answer ends at its timeout, to the tick, and its connection with it."""
    nodes[0].fail_next(Hang())
    async with nodes.open_client(nodes[0].url, discovery=False, attempt_timeout=3.0, retry=ONCE) as client:
        with pytest.raises(AttemptTimeoutError):
            await get(client)
        assert trio.current_time() == pytest.approx(3.0)
        assert nodes.open_connections == 0


async def test_the_earliest_alarm_counts(autojump_clock, nodes):
    """Attempts that began at different times end at different times, each at its own timeout."""
    nodes[0].fail_next(Hang(), times=3)
    ended = []

    async def attempt(client, delay):
        await trio.sleep(delay)
        with pytest.raises(AttemptTimeoutError):
            await get(client)
        ended.append(trio.current_time())

    async with nodes.open_client(nodes[0].url, discovery=False, attempt_timeout=3.0, retry=ONCE) as client:
        async with trio.open_nursery() as nursery:
            for delay in (0.7, 0.0, 1.9):
                nursery.start_soon(attempt, client, delay)
    assert ended == [pytest.approx(3.0), pytest.approx(3.7), pytest.approx(4.9)]


async def test_an_idle_connection_is_closed_at_its_lifetime(autojump_clock, nodes):
    """Not before, and within a tick: the alarm is set when a connection is put aside."""
    async with nodes.open_client(nodes[0].url, discovery=False, idle_connection_lifetime=7.0) as client:
        await get(client)
        await trio.sleep(6.99)
        assert nodes.open_connections == 1
        await trio.sleep(0.02)
        assert nodes.open_connections == 0
        assert client.statistics().connections_idle == 0


async def test_an_idle_client_sets_no_alarms(autojump_clock, nodes):
    """Once the last connection has expired the Dispatcher sleeps: a day goes by without a step of it."""
    steps = []

    class Watch(trio.abc.Instrument):
        def before_task_step(self, task):
            if task.name == "Dispatcher":
                steps.append(trio.current_time())

    async with nodes.open_client(nodes[0].url, discovery=False) as client:
        await get_many(client, 5)
        await trio.sleep(100)
        trio.lowlevel.add_instrument(watch := Watch())
        await trio.sleep(86_400)
        trio.lowlevel.remove_instrument(watch)
    assert steps == []


# Nodes that left.


async def test_idle_connections_to_a_node_that_left_are_closed(autojump_clock, nodes):
    """As soon as the new list is in force, and those to the others are kept."""
    async with nodes.open_client(nodes[0].url) as client:
        await client.refresh()
        await get_many(client, 6)
        await trio.sleep(0.5)
        assert nodes[2].open_connections == 2
        nodes.listed = ["10.0.0.1", "10.0.0.2"]
        await client.refresh()
        await settled()
        assert nodes[2].open_connections == 0
        assert nodes[1].open_connections == 2


async def test_a_request_at_a_node_that_left_is_finished(autojump_clock, nodes):
    """Its connection is closed when it comes back, not under it."""
    nodes.listed = ["10.0.0.3"]
    async with nodes.open_client(nodes[0].url) as client:
        await client.refresh()
        nodes[2].fail_next(Late(seconds=0.5))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(get, client)
            await trio.sleep(0.1)
            nodes.listed = ["10.0.0.2"]
            await client.refresh()
            await settled()
            assert nodes[2].open_connections == 1
        assert nodes[2].open_connections == 0
        assert client.statistics().failed == 0


async def test_what_was_built_for_a_node_that_left_is_forgotten(autojump_clock, nodes):
    """A cluster whose nodes are replaced for a year does not fill the memory; that of a seed is kept."""
    async with nodes.open_client(nodes[0].url) as client:
        await client.refresh()
        await get_many(client, 6)
        nodes.listed = ["10.0.0.2"]
        await client.refresh()
        await settled()
        assert {node.host for node in client._runtime._writer._by_node} == {"10.0.0.1", "10.0.0.2"}


async def test_connections_to_seeds_are_kept(autojump_clock, nodes):
    """A seed that is not listed goes on being asked: its connection is not made anew each time."""
    nodes.listed = ["10.0.0.2", "10.0.0.3"]
    for node in (nodes[1], nodes[2]):
        node.lists()
    async with nodes.open_client(nodes[0].url) as client:
        for _ in range(5):
            await client.refresh()
        assert nodes[0].connects == 1


# Crashes.


async def test_a_restart_closes_idle_connections(autojump_clock, nodes, crash):
    """A new epoch: what the crashed owner counted is not trusted any more, and requests go on over new connections."""
    async with nodes.open_client(discovery=False) as client:
        await get_many(client, 6)
        assert nodes.open_connections == 6
        crash(client._runtime.dispatcher_inbox)
        await settled()
        assert (nodes.open_connections, client.statistics().connections_idle) == (0, 0)
        await get_many(client, 6)
        assert client.statistics().failed == 0


async def test_a_lease_of_the_old_epoch_is_closed_on_return(autojump_clock, nodes, crash):
    """A request that is under way across the restart gets its answer; its connection is not used again."""
    nodes[0].fail_next(Late(seconds=0.5))
    async with nodes.open_client(nodes[0].url, discovery=False) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(get, client)
            await trio.sleep(0.1)
            crash(client._runtime.dispatcher_inbox)
            await settled()
            assert nodes.open_connections == 1
        assert nodes.open_connections == 0
        await get(client)
        assert nodes.connects == 2


async def test_alarms_outlive_a_crash(autojump_clock, nodes, crash):
    """What was under way is still ended at its timeout."""
    nodes[0].fail_next(Hang())
    async with nodes.open_client(nodes[0].url, discovery=False, attempt_timeout=3.0, retry=ONCE) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_crash_at, 1.0, crash, client._runtime.dispatcher_inbox)
            with pytest.raises(AttemptTimeoutError):
                await get(client)
        assert trio.current_time() == pytest.approx(3.0)


async def test_beyond_its_intensity_the_client_stops(autojump_clock, nodes, crash):
    """Six crashes within thirty seconds: the body is cancelled, the error says why, and nothing is left open."""
    with pytest.raises(ClientStoppedError, match="Dispatcher"):
        async with nodes.open_client(discovery=False) as client:
            await get_many(client, 3)
            for _ in range(6):
                crash(client._runtime.dispatcher_inbox)
                await trio.sleep(1)
    assert nodes.open_connections == 0


async def _crash_at(when, crash, inbox):
    await trio.sleep_until(when)
    crash(inbox)

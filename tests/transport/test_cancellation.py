"""Attempts cancelled at each of their steps: counts add up, and nothing is open but what may be used again."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from alternator_trio._transport.connection import Connection
from tests.transport.peers import ANSWER, LARGE_REQUEST, NODE, REQUEST, Peers, answering, open_peers


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope before a task takes its n-th step."""

    def __init__(self, step: int) -> None:
        self.steps_left = step
        self.scope = trio.CancelScope()
        self.task: trio.lowlevel.Task | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.steps_left -= 1
            if self.steps_left == 0:
                self.scope.cancel()


async def slowly(stream: trio.abc.Stream) -> None:
    await answering(*[bytes([byte]) for byte in ANSWER[-8:]])(stream)


CASES = {
    "dialling": (REQUEST, 0, 8, trio.testing.memory_stream_pair),
    "reusing": (REQUEST, 1, 8, trio.testing.memory_stream_pair),
    "sending much": (LARGE_REQUEST, 1, 8, trio.testing.lockstep_stream_pair),
    "waiting": (REQUEST, 0, 1, trio.testing.memory_stream_pair),
}


@pytest.mark.parametrize(("request_bytes", "idle", "total", "make_pair"), CASES.values(), ids=CASES)
def test_an_attempt_can_be_cancelled_at_each_of_its_steps(request_bytes, idle, total, make_pair):
    """Step by step until it is over before it is cancelled: each time the pool is at rest, and serves the next."""
    parts = [ANSWER[:5], ANSWER[5:-1], ANSWER[-1:]]

    async def run(step: int) -> bool:
        instrument = CancelAtStep(step)
        trio.lowlevel.add_instrument(instrument)
        async with open_peers(answering(*parts), make_pair, total=total) as peers, trio.open_nursery() as nursery:
            for _ in range(idle):
                await peers.attempt()
            blocking = peers.lease() if total == 1 else None

            async def attempt() -> None:
                instrument.task = trio.lowlevel.current_task()
                with instrument.scope:
                    await peers.attempt(request_bytes)
                instrument.task = None

            nursery.start_soon(attempt)
            if blocking is not None:
                await trio.testing.wait_all_tasks_blocked()
                await peers.transport.attempt(blocking, REQUEST, trio.current_time(), 1.0, 100)
            with trio.fail_after(5):
                while instrument.task is not None:
                    await trio.testing.wait_all_tasks_blocked()
            statistics = peers.pools.statistics()
            peers.assert_at_rest(idle=statistics.idle)
            assert (await peers.attempt()).status == 200
            return instrument.scope.cancelled_caught

    steps = 0
    while trio.run(run, steps + 1):
        steps += 1
    assert steps >= 3


async def test_cancelled_before_the_first_byte_a_connection_is_given_back():
    """Nothing was sent on it: it is as good as before."""
    async with open_peers(answering(ANSWER)) as peers:
        await peers.attempt()
        with trio.CancelScope() as scope:
            scope.cancel()
            await peers.attempt()
        assert scope.cancelled_caught
        peers.assert_at_rest(idle=1)
        await peers.attempt()
        assert peers.dials == 1


async def test_cancelled_after_the_first_byte_a_connection_is_closed():
    """Its answer may still come, and would be taken for the next one's."""
    async with open_peers(answering(b"")) as peers, trio.open_nursery() as nursery:
        nursery.start_soon(peers.attempt)
        await trio.testing.wait_all_tasks_blocked()
        assert peers.pools.statistics().leased == 1
        nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
    peers.assert_at_rest(idle=0)


async def test_a_lease_handed_over_to_a_cancelled_waiter_is_given_on():
    """Given back and cancelled in one tick, with an attempt in each place: the third one has the connection."""
    async with open_peers(answering(ANSWER), total=1) as peers, trio.open_nursery() as nursery:
        lease = peers.lease()
        await lease.dial(peers.dial)
        scopes = [trio.CancelScope() for _ in range(3)]
        done: list[int] = []

        async def attempt(number: int) -> None:
            with scopes[number]:
                await peers.attempt()
                done.append(number)

        for number in range(3):
            nursery.start_soon(attempt, number)
            await trio.testing.wait_all_tasks_blocked()
        peers.pools.give_back(lease, trio.current_time())
        scopes[0].cancel()
        scopes[1].cancel()
        await trio.testing.wait_all_tasks_blocked()
        while not done:
            await trio.testing.wait_all_tasks_blocked()
        assert done == [2]
        assert peers.dials == 1
        peers.assert_at_rest(idle=1)


@pytest.mark.parametrize("total", [1, 3, 10])
async def test_any_share_of_many_attempts_cancelled_in_one_tick_leaves_the_pool_whole(total):
    """Fifty attempts on few connections, at each number of ticks a third of them cancelled: the rest succeeds."""
    for ticks in range(12):
        async with open_peers(answering(ANSWER[:3], ANSWER[3:]), total=total) as peers:
            scopes = [trio.CancelScope() for _ in range(50)]
            done: set[int] = set()

            async def attempt(
                number: int, peers: Peers = peers, scopes: list[trio.CancelScope] = scopes, done: set[int] = done
            ) -> None:
                with scopes[number]:
                    await peers.attempt()
                    done.add(number)

            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(attempt, number)
                for _ in range(ticks):
                    await trio.lowlevel.checkpoint()
                for scope in scopes[ticks % 3 :: 3]:
                    scope.cancel()
            assert done.issuperset(set(range(50)) - set(range(ticks % 3, 50, 3)))
            peers.assert_at_rest(idle=peers.pools.statistics().idle)
            assert peers.pools.connections_to(NODE) <= total


async def test_a_lease_is_the_attempts_whatever_ends_it():
    """An error of ours within an attempt ends the lease as well."""

    class OursError(Exception):
        pass

    async def fail(node):
        await trio.lowlevel.checkpoint()
        raise OursError

    async with open_peers(answering(ANSWER)) as peers:
        peers.transport._dial = fail
        lease: Connection = peers.lease()
        with pytest.raises(OursError):
            await peers.transport.attempt(lease, REQUEST, trio.current_time(), 1.0, 100)
        peers.assert_at_rest(idle=0)

"""Attempts that take too long: ended exactly at their deadline, in whatever they were doing, and nothing is left."""

from __future__ import annotations

import math

import pytest
import trio
import trio.testing

from alternator_trio._transport.connection import Ending
from alternator_trio.errors import AttemptTimeoutError, ClientClosedError
from tests.transport.peers import ANSWER, LARGE_REQUEST, NODE, REQUEST, Peers, answering, open_peers, read_request

SECONDS = 12.0


async def stuck(node):
    await trio.sleep_forever()


async def ignore(stream: trio.abc.Stream) -> None:
    """Read nothing, say nothing."""
    await trio.sleep_forever()


async def trickle(stream: trio.abc.Stream) -> None:
    """Never silent for long, never complete."""
    await read_request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await trio.sleep(0.7)
        await stream.send_all(b"x")


STUCK = {
    "sending": (ignore, LARGE_REQUEST, trio.testing.lockstep_stream_pair),
    "sending a small one": (ignore, REQUEST, trio.testing.lockstep_stream_pair),
    "no answer": (ignore, REQUEST, trio.testing.memory_stream_pair),
    "no answer to a large one": (ignore, LARGE_REQUEST, trio.testing.memory_stream_pair),
    "within the head": (answering(ANSWER[:10]), REQUEST, trio.testing.memory_stream_pair),
    "within the body": (answering(ANSWER[:-1]), REQUEST, trio.testing.memory_stream_pair),
    "interim": (answering(b"HTTP/1.1 100 Continue\r\n\r\n"), LARGE_REQUEST, trio.testing.memory_stream_pair),
    "trickling": (trickle, REQUEST, trio.testing.memory_stream_pair),
}


@pytest.mark.parametrize(("serve", "request_bytes", "make_pair"), STUCK.values(), ids=STUCK)
async def test_an_attempt_ends_at_its_deadline(autojump_clock, serve, request_bytes, make_pair):
    """Exactly then, as an attempt timeout of unknown outcome; the connection is closed and its slot free."""
    async with open_peers(serve, make_pair) as peers:
        begun = trio.current_time()
        with pytest.raises(AttemptTimeoutError, match=r"within 12 s") as caught:
            await peers.attempt(request_bytes, SECONDS)
        assert trio.current_time() - begun == pytest.approx(SECONDS, abs=1e-9)
        assert caught.value.node == NODE.endpoint
        assert caught.value.may_have_happened
        peers.assert_at_rest(idle=0)


async def test_an_attempt_that_never_gets_a_connection_ends_at_its_deadline(autojump_clock):
    """Dialling counts as attempt time; nothing was sent."""
    async with open_peers(ignore) as peers:
        peers.transport._dial = stuck
        begun = trio.current_time()
        with pytest.raises(AttemptTimeoutError) as caught:
            await peers.attempt(REQUEST, SECONDS)
        assert trio.current_time() - begun == pytest.approx(SECONDS, abs=1e-9)
        assert not caught.value.may_have_happened
        peers.assert_at_rest(idle=0)


async def test_each_of_many_attempts_ends_at_its_own_deadline(autojump_clock):
    """Whatever the order in which they were begun; between two deadlines nothing wakes."""
    ends: list[float] = []
    order = [5.0, 1.0, 9.0, 3.0, 7.0, 3.0, 0.5]

    async def attempt(peers: Peers, seconds: float) -> None:
        begun = trio.current_time()
        with pytest.raises(AttemptTimeoutError):
            await peers.attempt(REQUEST, seconds)
        assert trio.current_time() - begun == pytest.approx(seconds, abs=1e-9)
        ends.append(seconds)

    async with open_peers(ignore) as peers, trio.open_nursery() as nursery:
        for seconds in order:
            nursery.start_soon(attempt, peers, seconds)
    assert ends == sorted(order)


async def test_waiting_for_a_slot_is_no_attempt_time(autojump_clock):
    """An attempt that waited for nine seconds has its full twelve."""
    async with open_peers(ignore, total=1) as peers:
        lease = peers.lease()

        async def give_back_later() -> None:
            await trio.sleep(9)
            peers.pools.discard(lease)

        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(give_back_later)
            with pytest.raises(AttemptTimeoutError):
                await peers.attempt(REQUEST, SECONDS)
        assert trio.current_time() - begun == pytest.approx(21.0, abs=1e-9)


async def test_an_answer_that_comes_with_the_deadline_is_the_one_or_the_other(autojump_clock):
    """In the same tick: an answer or a timeout, and in either case the counts are right."""

    async def serve(stream: trio.abc.Stream) -> None:
        await read_request(stream)
        await trio.sleep(SECONDS)
        await stream.send_all(ANSWER)

    async with open_peers(serve) as peers:
        try:
            response = await peers.attempt(REQUEST, SECONDS)
        except AttemptTimeoutError:
            peers.assert_at_rest(idle=0)
        else:
            assert response.status == 200
            assert len(peers.open_wires) == peers.pools.used == peers.pools.statistics().idle


async def test_a_deadline_does_not_outlive_its_attempt(autojump_clock):
    """The next exchange on the connection is not ended by the deadline of the last one."""

    async def serve(stream: trio.abc.Stream) -> None:
        for _ in range(2):
            await read_request(stream)
            await trio.sleep(8)
            await stream.send_all(ANSWER)
        await trio.sleep_forever()

    async with open_peers(serve) as peers:
        for _ in range(2):
            assert (await peers.attempt(REQUEST, SECONDS)).status == 200
        assert peers.dials == 1


async def test_no_timer_is_left(autojump_clock):
    """When the last idle connection has expired, nothing is due any more."""
    async with open_peers(answering(ANSWER)) as peers:
        with trio.CancelScope(deadline=trio.current_time() + 500):  # the only deadline there is
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(peers.attempt)
            await trio.sleep(100)
            peers.assert_at_rest(idle=0)
            assert peers.alarm.at == math.inf
            assert trio.lowlevel.current_statistics().seconds_to_next_deadline == pytest.approx(400)


@pytest.mark.parametrize(("serve", "request_bytes", "make_pair"), STUCK.values(), ids=STUCK)
async def test_closing_ends_an_attempt_at_once(autojump_clock, serve, request_bytes, make_pair):
    """Whatever it was doing: the client is closed, and the request may have been carried out."""
    async with open_peers(serve, make_pair) as peers, trio.open_nursery() as nursery:

        async def attempt() -> None:
            with pytest.raises(ClientClosedError) as caught:
                await peers.attempt(request_bytes, SECONDS)
            assert caught.value.may_have_happened

        nursery.start_soon(attempt)
        await trio.sleep(1)
        closed_at = trio.current_time()
        peers.pools.close()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == closed_at
        peers.assert_at_rest(idle=0)


async def test_closing_ends_a_dial_at_once(autojump_clock):
    """Nothing was sent, and nothing waits for the network."""
    async with open_peers(ignore) as peers, trio.open_nursery() as nursery:
        peers.transport._dial = stuck

        async def attempt() -> None:
            with pytest.raises(ClientClosedError) as caught:
                await peers.attempt()
            assert not caught.value.may_have_happened

        nursery.start_soon(attempt)
        await trio.testing.wait_all_tasks_blocked()
        peers.pools.close()
        await trio.testing.wait_all_tasks_blocked()
        peers.assert_at_rest(idle=0)


async def test_a_wire_that_comes_with_the_closing_is_closed(autojump_clock):
    """The dial succeeds in the tick in which the client is closed: the wire is not left open, nor used."""
    async with open_peers(answering(ANSWER)) as peers:
        made = peers.transport._dial

        async def dial_and_close(node):
            wire = await made(node)
            peers.pools.close()
            return wire

        peers.transport._dial = dial_and_close
        lease = peers.lease()
        with pytest.raises(ClientClosedError):
            await peers.transport.attempt(lease, REQUEST, trio.current_time(), SECONDS, 100)
        assert lease.ending is Ending.CLIENT_CLOSED
        peers.assert_at_rest(idle=0)

"""A simulated connection has the manners of a socket."""

from __future__ import annotations

import random

import pytest
import trio

from alternator_trio._transport.wires import NothingSentError, Peek
from alternator_trio.testing import FaultRates, simulate
from alternator_trio.testing._stream import Gate
from alternator_trio.testing.simulation.history import History
from alternator_trio.testing.simulation.link import Link
from alternator_trio.testing.simulation.weather import Weather
from alternator_trio.testing.simulation.wire import ClientEnd, NodeEnd, connect


class World:
    """A link, its weather, and whether the node's machine runs."""

    def __init__(self, rates: FaultRates) -> None:
        self.is_powered = True
        self.weather = Weather(rates, random.Random(5))
        self.link = Link(
            "c1",
            "n1",
            weather=self.weather,
            history=History(),
            watchers=[],
            is_answering=lambda: self.is_powered,
        )

    def connect(self) -> tuple[ClientEnd, NodeEnd]:
        mine, theirs = connect(1, self.link, Gate())
        self.link.attach(mine.tell)
        self.link.attach(theirs.tell)
        return mine, theirs


def over_wire(check, **rates):
    """Run ``check(world, client's end, node's end)`` over a link of half a second one way."""

    async def main():
        world = World(FaultRates(**{"latency": 0.0, **rates}))
        world.weather.latency = lambda slowness: 0.5
        await check(world, *world.connect())

    simulate(main, max_seconds=100)


async def read_all(end: ClientEnd) -> bytes:
    received = b""
    while data := await end.receive():
        received += data
    return received


def test_bytes_take_their_time() -> None:
    """What is sent now is received after the latency."""

    async def check(world, mine, theirs):
        await theirs.send_all(b"abc")
        assert mine.peek() is Peek.QUIET
        assert await mine.receive() == b"abc"
        assert trio.current_time() == 0.5

    over_wire(check)


def test_pieces_make_the_whole() -> None:
    """A message that is split arrives in pieces, each by itself, in order."""

    async def check(world, mine, theirs):
        await theirs.send_all(bytes(range(200)))
        theirs.close()
        assert len(await mine.receive()) < 200
        assert bytes(range(200)).endswith(await read_all(mine))

    over_wire(check, split=1.0)


def test_bytes_before_an_end_are_read() -> None:
    """FIN comes after what was sent."""

    async def check(world, mine, theirs):
        await theirs.send_all(b"abc")
        theirs.close()
        assert await read_all(mine) == b"abc"
        assert mine.peek() is Peek.ENDED

    over_wire(check)


def test_bytes_before_a_reset_are_read() -> None:
    """RST comes after what was sent, and is an error."""

    async def check(world, mine, theirs):
        await theirs.send_all(b"abc")
        theirs.close(reset=True)
        assert await mine.receive() == b"abc"
        with pytest.raises(ConnectionResetError):
            await mine.receive()

    over_wire(check)


def test_a_send_after_a_reset_sends_nothing() -> None:
    """The kernel knows already."""

    async def check(world, mine, theirs):
        theirs.close(reset=True)
        await trio.sleep(1)
        with pytest.raises(NothingSentError):
            await mine.send(b"abc")

    over_wire(check)


def test_bytes_for_a_closed_end_are_answered_with_a_reset() -> None:
    """The node has forgotten the connection, and says so a round trip later."""

    async def check(world, mine, theirs):
        theirs.vanish()
        await mine.send(b"abc")
        with pytest.raises(ConnectionResetError):
            await mine.receive()
        assert trio.current_time() == 0.5

    over_wire(check)


def test_a_machine_that_is_off_answers_nothing() -> None:
    """No reset, no end: half-open."""

    async def check(world, mine, theirs):
        world.is_powered = False
        theirs.vanish()
        await mine.send(b"abc")
        with trio.move_on_after(50) as scope:
            await mine.receive()
        assert scope.cancelled_caught

    over_wire(check)


def test_a_reset_may_come_after_any_byte() -> None:
    """Between none and all of a message arrives before it, and not always the same."""
    lengths = set()

    async def check(world, mine, theirs):
        for _ in range(50):
            mine, theirs = world.connect()
            await theirs.send_all(b"abcdef")
            received = b""
            with pytest.raises(ConnectionResetError):
                while True:
                    received += await mine.receive()
            lengths.add(len(received))

    over_wire(check, reset=1.0)
    assert lengths == set(range(7))


def test_a_narrow_window_makes_a_send_wait() -> None:
    """A send beyond the window is partial until the other end reads."""

    async def check(world, mine, theirs):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mine.send, b"x" * 2000)
            await trio.testing.wait_all_tasks_blocked()
            first = len(await theirs.receive_some())
            assert 16 <= first < 600
            nursery.cancel_scope.cancel()

    over_wire(check, narrow=1.0)


def test_closing_wakes_a_waiting_reader() -> None:
    """As `notify_closing` does."""

    async def check(world, mine, theirs):
        async with trio.open_nursery() as nursery:

            async def read():
                with pytest.raises(trio.ClosedResourceError):
                    await mine.receive()

            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            mine.close()

    over_wire(check)


def test_a_cut_link_holds_everything_back() -> None:
    """Nothing arrives while it is cut; nothing is lost when it is mended."""

    async def check(world, mine, theirs):
        await theirs.send_all(b"abc")
        world.link.cut()
        with trio.move_on_after(10) as scope:
            await mine.receive()
        assert scope.cancelled_caught
        world.link.mend()
        assert await mine.receive() == b"abc"

    over_wire(check)


def test_a_reader_waits_through_a_cut() -> None:
    """One that waited when the link was cut gets its bytes when it is mended."""

    async def check(world, mine, theirs):
        world.link.cut()
        await theirs.send_all(b"abc")
        async with trio.open_nursery() as nursery:

            async def read():
                assert await mine.receive() == b"abc"
                assert trio.current_time() == 7

            nursery.start_soon(read)
            await trio.sleep(7)
            world.link.mend()

    over_wire(check)

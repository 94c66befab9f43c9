"""Published values: snapshots that one task replaces and others wait for."""

from __future__ import annotations

import trio
import trio.testing

from alternator_trio._supervision import Published


async def test_a_waiter_wakes_on_the_next_publication() -> None:
    """A task that has seen the current snapshot gets the next one."""
    published = Published("one")
    got: list[str] = []

    async def wait() -> None:
        got.append(await published.wait_change("one"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        published.publish("two")
    assert got == ["two", "two"]


async def test_a_change_before_the_wait_is_not_missed() -> None:
    """Whoever saw an older snapshot does not wait."""
    published = Published("one")
    seen = published.value
    published.publish("two")
    assert await published.wait_change(seen) == "two"


async def test_a_waiter_gets_the_latest_of_several_publications() -> None:
    """Snapshots published in one tick are one change."""
    published = Published(0)
    got: list[int] = []

    async def wait() -> None:
        got.append(await published.wait_change(0))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        published.publish(1)
        published.publish(2)
    assert got == [2]


async def test_a_reader_in_a_loop_ends_with_the_last_snapshot() -> None:
    """No wake-up is lost between two waits, however publications and waits interleave."""
    published = Published(0)

    async def read() -> None:
        seen = 0
        while seen < 50:
            seen = await published.wait_change(seen)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(read)
            for number in range(1, 51):
                published.publish(number)
                if number % 3:
                    await trio.lowlevel.checkpoint()


async def test_change_is_by_identity() -> None:
    """An equal snapshot that is another object is a change; the same object published again is none."""
    first, equal = ["a"], ["a"]
    published = Published(first)
    with trio.move_on_after(0) as scope:
        published.publish(first)
        await published.wait_change(first)
    assert scope.cancelled_caught
    published.publish(equal)
    assert await published.wait_change(first) is equal


async def test_publishing_the_same_object_leaves_waiters_waiting() -> None:
    """A waiter that finds its own snapshot goes on waiting, and still sees the next one."""
    published = Published("one")
    got: list[str] = []

    async def wait() -> None:
        got.append(await published.wait_change("one"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        published.publish(published.value)
        await trio.testing.wait_all_tasks_blocked()
        assert got == []
        published.publish("two")
    assert got == ["two"]


async def test_a_cancelled_waiter_takes_no_wake_up_along() -> None:
    """The others are woken although one of them left."""
    published = Published("one")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(published.wait_change, "one")
        with trio.CancelScope() as scope:
            scope.cancel()
            await published.wait_change("one")
        published.publish("two")
    assert scope.cancelled_caught


async def test_wait_change_is_a_checkpoint_even_when_nothing_is_to_wait_for() -> None:
    """A loop over changes lets others run."""
    published = Published("one")
    with trio.testing.assert_checkpoints():
        assert await published.wait_change("none") == "one"

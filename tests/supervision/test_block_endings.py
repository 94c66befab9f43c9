"""How a block ends, whatever ended it: who wins, what leaves, in which order services stop; nothing survives."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
import trio
import trio.testing

from alternator_trio._supervision import Block, open_block

ORDER = ["closing", "second stopped", "first stopped"]


class World:
    """A block with two services, and the order in which things ended."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.broken = trio.Event()

    def service(self, name: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            try:
                await trio.sleep_forever()
            finally:
                self.events.append(f"{name} stopped")

        return run

    async def breaking(self) -> None:
        await self.broken.wait()
        raise FAILURE

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncGenerator[Block, None]:
        """The block; afterwards no task is left, and what happened on the way out happened in order."""
        before = trio.lowlevel.current_statistics().tasks_living
        try:
            async with open_block(lambda: self.events.append("closing")) as block:
                block.start_service("first", self.service("first"))
                block.start_service("second", self.service("second"))
                await trio.testing.wait_all_tasks_blocked()
                yield block
        finally:
            assert trio.lowlevel.current_statistics().tasks_living == before
            assert self.events == ORDER


FAILURE = ConnectionError("a service failed")


@pytest.fixture(autouse=True)
def _fresh_failure() -> None:
    FAILURE.__traceback__ = FAILURE.__context__ = None
    if hasattr(FAILURE, "__notes__"):
        del FAILURE.__notes__


class OwnGroup(ExceptionGroup[Exception]):
    """A group that does not say how it is derived: a split turns it into a plain one."""


async def test_return() -> None:
    """A body that ends ends the services."""
    async with World().open():
        pass


@pytest.mark.parametrize(
    "error",
    [
        ValueError("own"),
        ExceptionGroup("own group of one", [ValueError("own")]),
        OwnGroup("own", [ValueError("a"), ExceptionGroup("b", [KeyError("c")])]),
        KeyboardInterrupt(),
        SystemExit(3),
        StopIteration(1),
        StopAsyncIteration(),
        GeneratorExit(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_exception_of_the_body_leaves_as_the_object_that_it_is(error: BaseException) -> None:
    """Bare or its own group, unflattened: the nursery does not show."""
    with pytest.raises(type(error)) as caught:
        async with open_block(lambda: None) as block:
            block.start_service("service", trio.sleep_forever)
            raise error
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert error.__cause__ is error.__context__ is None


async def test_after_an_exception_services_stop_in_reverse() -> None:
    """The order of the ending does not depend on what ended the body."""
    with pytest.raises(ValueError, match="own"):
        async with World().open():
            raise ValueError("own")


async def test_the_traceback_of_the_body_is_kept() -> None:
    """The innermost frame is the line that raised."""
    with pytest.raises(ValueError, match="own") as caught:
        async with open_block(lambda: None):
            raise ValueError("own")
    assert caught.traceback[-1].path.name == "test_block_endings.py"


async def test_outer_cancellation(autojump_clock: trio.testing.MockClock) -> None:
    """The body is cancelled, its scope says so, and no error is invented."""
    with trio.CancelScope() as scope:
        async with World().open():
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_outer_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """A deadline around the block ends it at that time, as a timeout."""
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(3):
            async with World().open():
                await trio.sleep_forever()
    assert trio.current_time() == 3


async def test_a_cancellation_that_the_body_swallows_is_none(autojump_clock: trio.testing.MockClock) -> None:
    """A body that returns although it was cancelled has returned; the result lives on an object."""
    result = None
    with trio.CancelScope() as scope:
        async with World().open():
            scope.cancel()
            with contextlib.suppress(trio.Cancelled):
                await trio.sleep_forever()
            result = "kept"
    assert result == "kept"
    assert not scope.cancelled_caught


async def test_a_cancelled_body_in_a_group_with_its_own_error_keeps_that_error() -> None:
    """Outer cancellation takes the Cancelled out of a mixed group and leaves the rest."""
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="own")), trio.CancelScope() as scope:
        async with World().open(), trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            raise ValueError("own")


async def test_a_service_failure_cancels_the_body_and_is_raised() -> None:
    """The failure itself, bare, and only after everything has stopped."""
    world = World()
    with pytest.raises(ConnectionError) as caught:
        async with world.open() as block:
            block.start_service("breaking", world.breaking)
            world.broken.set()
            await trio.sleep_forever()
    assert caught.value is FAILURE
    assert not hasattr(FAILURE, "__notes__")


async def test_a_service_failure_after_a_body_that_did_not_notice() -> None:
    """A body that ends by itself in the tick of the failure does not hide it."""
    with pytest.raises(ConnectionError) as caught:
        async with World().open() as block:
            block.fail(FAILURE)
    assert caught.value is FAILURE


async def test_a_body_that_swallows_the_cancellation_does_not_hide_the_failure() -> None:
    """Swallowing the Cancelled is not handling the failure."""
    world = World()
    with pytest.raises(ConnectionError) as caught:
        async with world.open() as block:
            block.start_service("breaking", world.breaking)
            world.broken.set()
            with contextlib.suppress(trio.Cancelled):
                await trio.sleep_forever()
    assert caught.value is FAILURE


async def test_the_bodys_own_exception_wins_over_a_service_failure() -> None:
    """What the user raised leaves; the failure becomes a note on it."""
    world = World()
    own = ValueError("own")
    with pytest.raises(ValueError, match="own") as caught:
        async with world.open() as block:
            block.start_service("breaking", world.breaking)
            world.broken.set()
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                raise own from None
    assert caught.value is own
    assert len(own.__notes__) == 1
    assert repr(FAILURE) in own.__notes__[0]


async def test_the_bodys_own_group_wins_over_a_service_failure_as_the_object_that_it_is() -> None:
    """A cancelled scope rebuilds the groups that cross it; the user sees theirs."""
    own = OwnGroup("own", [ValueError("a")])
    with pytest.raises(OwnGroup) as caught:
        async with open_block(lambda: None) as block:
            block.fail(FAILURE)
            raise own
    assert caught.value is own


async def test_a_cancelled_child_of_the_body_does_not_leave_with_the_bodys_group() -> None:
    """The body's own nursery: its error leaves, the Cancelled of the failure does not."""
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="own")):
        async with open_block(lambda: None) as block, trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            block.fail(FAILURE)
            raise ValueError("own")


async def test_a_body_that_raises_the_failure_itself_gets_no_note() -> None:
    """A failure that reached the body through a reply is one error, not two."""
    with pytest.raises(ConnectionError) as caught:
        async with open_block(lambda: None) as block:
            block.fail(FAILURE)
            raise FAILURE
    assert caught.value is FAILURE
    assert not hasattr(FAILURE, "__notes__")


async def test_a_failure_while_the_body_is_cleaning_up(autojump_clock: trio.testing.MockClock) -> None:
    """A body that cleans up under its own shield finishes; then the failure leaves."""
    world = World()
    cleaned_up = False
    with pytest.raises(ConnectionError):
        async with world.open() as block:
            block.start_service("breaking", world.breaking)
            with trio.CancelScope(shield=True):
                world.broken.set()
                await trio.sleep(5)
                cleaned_up = True
            await trio.sleep_forever()
    assert cleaned_up
    assert trio.current_time() == 5


async def test_a_failure_while_the_body_cleans_up_after_its_own_exception(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The exception that the body was leaving with still wins."""
    world = World()
    with pytest.raises(ValueError, match="own") as caught:
        async with world.open() as block:
            block.start_service("breaking", world.breaking)
            try:
                raise ValueError("own")
            finally:
                with trio.CancelScope(shield=True):
                    world.broken.set()
                    await trio.sleep(5)
    assert repr(FAILURE) in caught.value.__notes__[0]


async def test_a_failure_and_an_outer_cancellation_in_the_same_tick() -> None:
    """The outer cancellation wins: raising here would replace it. The failure stays on the block."""
    with trio.CancelScope() as scope:
        async with open_block(lambda: None) as block:
            block.fail(FAILURE)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert block.failure is FAILURE


async def test_a_service_that_fails_while_it_is_stopped_fails_the_block() -> None:
    """An error on the way out is not lost, and those before it stop all the same."""
    world = World()

    async def bad_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise FAILURE

    with pytest.raises(ConnectionError) as caught:
        async with world.open() as block:
            block.start_service("bad end", bad_end)
            await trio.testing.wait_all_tasks_blocked()
    assert caught.value is FAILURE


async def test_the_first_failure_is_raised_and_a_second_one_noted() -> None:
    """Two services fail: neither is forgotten."""
    second = OSError("second")
    with pytest.raises(ConnectionError) as caught:
        async with open_block(lambda: None) as block:
            block.fail(FAILURE)
            block.fail(second)
            block.fail(FAILURE)
            await trio.sleep_forever()
    assert caught.value is FAILURE
    assert len(FAILURE.__notes__) == 1
    assert repr(second) in FAILURE.__notes__[0]


async def test_an_error_of_on_stopped_fails_the_block_and_does_not_hang_it() -> None:
    """A service whose inbox cannot be closed still counts as stopped."""

    def broken() -> None:
        raise FAILURE

    with trio.fail_after(5):
        with pytest.raises(ConnectionError) as caught:
            async with open_block(lambda: None) as block:
                block.start_service("service", trio.sleep_forever, on_stopped=broken)
    assert caught.value is FAILURE


@pytest.mark.parametrize("own", [None, ValueError("own")])
async def test_an_error_of_on_closing_fails_the_block(own: Exception | None) -> None:
    """The services stop all the same, the nursery does not show, and the body's own exception still wins."""
    stopped = []

    def broken() -> None:
        raise FAILURE

    with pytest.raises((ConnectionError, ValueError)) as caught:
        async with open_block(broken) as block:
            block.start_service("service", trio.sleep_forever, on_stopped=lambda: stopped.append("service"))
            if own is not None:
                raise own
    assert caught.value is (own or FAILURE)
    assert stopped == ["service"]


async def test_an_interrupt_that_hits_a_service_ends_the_block_bare() -> None:
    """A KeyboardInterrupt in a task of ours cancels the body and leaves as itself, out of all nurseries."""
    interrupt = KeyboardInterrupt()

    async def child() -> None:
        raise interrupt

    async def service() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)

    world = World()
    with pytest.raises(KeyboardInterrupt) as caught:
        async with world.open() as block:
            block.start_service("interrupted", service)
            await trio.sleep_forever()
    assert caught.value is interrupt


async def test_an_interrupt_that_hits_a_service_wins_over_the_bodys_exception() -> None:
    """Whoever pressed Ctrl-C must not read a note about it."""

    async def service() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with open_block(lambda: None) as block:
            block.start_service("interrupted", service)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("own")


def test_an_interrupt_while_services_stop_leaves_after_they_have_stopped() -> None:
    """A second Ctrl-C neither hangs the block nor leaves a service running."""
    world = World()

    async def interrupting() -> None:
        try:
            await trio.sleep_forever()
        finally:
            signal.raise_signal(signal.SIGINT)
            with trio.CancelScope(shield=True):
                await trio.sleep(0.01)

    async def main() -> None:
        with trio.fail_after(5):
            async with world.open() as block:
                block.start_service("interrupting", interrupting)
                await trio.testing.wait_all_tasks_blocked()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)


def test_an_interrupt_waits_until_the_block_can_bear_it() -> None:
    """From the body's end on, Ctrl-C is raised only where the block expects it."""
    protected: list[bool] = []

    async def main() -> None:
        async with open_block(lambda: protected.append(trio.lowlevel.currently_ki_protected())):
            protected.append(trio.lowlevel.currently_ki_protected())

    trio.run(main)
    assert protected == [False, True]


def test_an_interrupt_in_the_last_moment_leaves_bare() -> None:
    """Ctrl-C while the last service ends: the nursery does not show."""

    async def main() -> None:
        async with open_block(lambda: None) as block:
            block.start_service("service", trio.sleep_forever, on_stopped=lambda: signal.raise_signal(signal.SIGINT))
            await trio.testing.wait_all_tasks_blocked()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)


def test_an_interrupt_while_the_body_waits_stops_everything() -> None:
    """Ctrl-C in the body is an exception like another: bare, after the services have stopped in reverse."""
    world = World()

    async def main() -> None:
        async with world.open():
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)


def test_an_interrupt_during_a_service_belongs_to_the_body() -> None:
    """Ctrl-C while a service or its child runs is raised in the body, as in a system task."""
    seen: list[str] = []

    async def child() -> None:
        signal.raise_signal(signal.SIGINT)
        seen.append("the child went on")
        await trio.sleep_forever()

    async def main() -> None:
        async with open_block(lambda: None) as block:
            block.start_service("service", child)
            try:
                await trio.sleep_forever()
            except KeyboardInterrupt:
                seen.append("the body was interrupted")

    trio.run(main)
    assert seen == ["the child went on", "the body was interrupted"]

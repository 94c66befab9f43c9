"""Services of a block: shields, starts, stops, and inboxes closed after their readers; a test per trap."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import trio
import trio.testing

from alternator_trio._supervision import (
    Actor,
    Children,
    Inbox,
    IntensityExceededError,
    Message,
    Reply,
    RestartForever,
    RestartLimited,
    ask,
    open_block,
    supervise,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Question(Message):
    reply: Reply[str]
    crash: bool = False

    def abandon(self, error: Exception) -> None:
        self.reply.fail(error)


class Oracle(Actor[int, Question, None]):
    """Answers questions and counts them."""

    def __init__(self) -> None:
        super().__init__("oracle", Inbox("oracle"), 0)

    def decide(self, state: int, message: Question | None, now: float) -> tuple[int, Sequence[None]]:
        assert message is not None
        if message.crash:
            raise RuntimeError("the oracle crashed")
        message.reply.settle("yes")
        return state + 1, ()

    def perform(self, action: None, children: Children[Question]) -> None:
        raise AssertionError


class ClosedError(Exception):
    """What an asker sees who comes too late."""


async def test_a_body_cancelled_from_outside_can_use_services_while_it_cleans_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Each service's own scope is shielded: outer cancellation reaches the body first and services last."""
    oracle = Oracle()
    answer = None
    with trio.move_on_after(1) as scope:
        async with open_block(lambda: None) as block:
            block.start_service("oracle", oracle.run)
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(10)
                    answer = await ask(oracle.inbox, Question)
    assert scope.cancelled_caught
    assert answer == "yes"
    assert trio.current_time() == 11


async def test_a_service_stopped_before_it_ever_ran_ends() -> None:
    """Its scope exists before its task: stopping in the tick of starting neither hangs nor lets it run on."""
    events: list[str] = []

    async def service() -> None:
        events.append("ran")
        await trio.sleep_forever()

    with trio.fail_after(5):
        async with open_block(lambda: None) as block:
            block.start_service("service", service, on_stopped=lambda: events.append("stopped"))
    assert events[-1] == "stopped"


async def test_a_service_that_ended_by_itself_does_not_end_the_block(autojump_clock: trio.testing.MockClock) -> None:
    """Returning is no failure; its place in the stopping order is kept."""
    events: list[str] = []
    async with open_block(lambda: None) as block:
        block.start_service("short", trio.lowlevel.checkpoint, on_stopped=lambda: events.append("short stopped"))
        await trio.sleep(1)
        events.append("the body goes on")
    assert events == ["short stopped", "the body goes on"]


async def test_each_service_is_stopped_before_the_one_that_it_was_started_after(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A service that takes its time to stop still has those before it at its side."""
    oracle = Oracle()
    answers: list[str] = []

    async def slow_to_stop() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)
                answers.append(await ask(oracle.inbox, Question))

    async with open_block(lambda: None) as block:
        block.start_service("oracle", oracle.run)
        block.start_service("slow", slow_to_stop)
        await trio.testing.wait_all_tasks_blocked()
    assert answers == ["yes"]


async def test_a_service_started_while_the_block_closes_is_stopped_as_well() -> None:
    """Whatever is started, even by what is being stopped, does not survive the block."""
    before = trio.lowlevel.current_statistics().tasks_living
    stopped: list[str] = []

    async def starts_another() -> None:
        try:
            await trio.sleep_forever()
        finally:
            block.start_service("late", trio.sleep_forever, on_stopped=lambda: stopped.append("late"))

    with trio.fail_after(5):
        async with open_block(lambda: None) as block:
            block.start_service("starts another", starts_another)
            await trio.testing.wait_all_tasks_blocked()
    assert stopped == ["late"]
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_an_asker_outside_the_body_is_settled_when_the_inbox_closes_after_its_reader(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The service that reads is gone first; then the inbox is closed, so nothing told in between is left unread."""
    oracle = Oracle()
    outcomes: list[object] = []

    async def asker() -> None:
        try:
            outcomes.append(await ask(oracle.inbox, Question))
        except ClosedError as error:
            outcomes.append(error)

    def ask_at_the_last_moment() -> None:
        nursery.start_soon(asker)
        oracle.inbox.close(ClosedError("closed"))
        nursery.start_soon(asker)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery, open_block(lambda: None) as block:
            block.start_service("oracle", oracle.run, on_stopped=ask_at_the_last_moment)
            await trio.testing.wait_all_tasks_blocked()
    assert [type(outcome) for outcome in outcomes] == [ClosedError, ClosedError]


async def test_a_question_in_the_tick_of_the_stop_is_settled() -> None:
    """A reader that is cancelled with a message pending leaves it to the closing, which settles it."""
    oracle = Oracle()
    question = Question(Reply())
    async with open_block(lambda: None) as block:
        block.start_service("oracle", oracle.run, on_stopped=lambda: oracle.inbox.close(ClosedError("closed")))
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            oracle.inbox.tell(question)
            await block.stop()
    assert question.reply.is_settled
    with pytest.raises(ClosedError):
        await question.reply.wait()


async def test_a_supervised_actor_that_gives_up_ends_the_block() -> None:
    """Beyond its intensity: the body is cancelled, the asker's question settled, the failure raised from its cause."""
    oracle = Oracle()
    settled: list[Exception] = []

    async def service() -> None:
        await supervise(oracle, RestartLimited(intensity=1), lambda report: None)

    with pytest.raises(IntensityExceededError) as caught:
        async with open_block(lambda: None) as block:
            block.start_service("oracle", service)
            for _ in range(2):
                with pytest.raises(RuntimeError) as crash:
                    await ask(oracle.inbox, lambda reply: Question(reply, crash=True))
                settled.append(crash.value)
            await trio.sleep_forever()
    assert len(settled) == 2
    assert repr(caught.value.__cause__) == repr(settled[-1])


async def test_a_body_outlives_the_crashes_of_an_actor_that_restarts_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A client with a good node list lives on without its discovery."""
    oracle = Oracle()

    async def service() -> None:
        await supervise(oracle, RestartForever(), lambda report: None)

    async with open_block(lambda: None) as block:
        block.start_service("oracle", service)
        for _ in range(20):
            with pytest.raises(RuntimeError):
                await ask(oracle.inbox, lambda reply: Question(reply, crash=True))
        assert await ask(oracle.inbox, Question) == "yes"


async def test_blocks_nest_and_end_from_the_inside_out() -> None:
    """Two clients in one task: each ends its own services, whatever the other does."""
    events: list[str] = []
    with pytest.raises(ValueError, match="own"):
        async with open_block(lambda: events.append("outer closing")) as outer:
            outer.start_service("outer", trio.sleep_forever, on_stopped=lambda: events.append("outer stopped"))
            async with open_block(lambda: events.append("inner closing")) as inner:
                inner.start_service("inner", trio.sleep_forever, on_stopped=lambda: events.append("inner stopped"))
                raise ValueError("own")
    assert events == ["inner closing", "inner stopped", "outer closing", "outer stopped"]


async def test_a_failing_inner_block_is_not_mistaken_for_the_outer_one() -> None:
    """Each block raises its own failure; to the outer one it is the body's exception."""
    failure = ConnectionError("inner")
    with pytest.raises(ConnectionError) as caught:
        async with open_block(lambda: None) as outer, open_block(lambda: None) as inner:
            inner.fail(failure)
            await trio.sleep_forever()
    assert caught.value is failure
    assert outer.failure is None


@pytest.mark.parametrize("service_count", [0, 1, 50])
async def test_nothing_survives_two_hundred_blocks(service_count: int) -> None:
    """Blocks opened and ended in many tasks at once, some of them cancelled, leave no task."""
    before = trio.lowlevel.current_statistics().tasks_living

    async def one(number: int) -> None:
        with trio.CancelScope() as scope:
            async with open_block(lambda: None) as block:
                for index in range(service_count):
                    block.start_service(f"service {index}", trio.sleep_forever)
                if number % 2:
                    scope.cancel()
                    await trio.sleep_forever()
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(200 // max(1, service_count // 10)):
            nursery.start_soon(one, number)
    assert trio.lowlevel.current_statistics().tasks_living == before

"""Actors: decide, perform, children and timers, under the virtual clock."""

from __future__ import annotations

import contextvars
import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar

import pytest
import trio
import trio.testing

from alternator_trio._supervision import Actor, Children, Inbox, Message

CALLER = contextvars.ContextVar("CALLER", default="nobody")


@dataclasses.dataclass(frozen=True, slots=True)
class Word(Message):
    limit: ClassVar[int] = 100
    text: str

    @property
    def merge_key(self) -> str:
        return self.text


State = tuple[str, ...]


class Diary(Actor[State, Word, str]):
    """Writes down what it is told; some words make it start a child, wait for a time, or crash."""

    def __init__(self) -> None:
        super().__init__("diary", Inbox("diary"), ())
        self.performed: list[str] = []
        self.release_child = trio.Event()

    def started(self, state: State, now: float) -> tuple[State, Sequence[str]]:
        return (*state, f"started at {now:g}"), ("begin",)

    def recovered(self, state: State, now: float) -> tuple[State, Sequence[str]]:
        return (*state, f"recovered at {now:g}"), ("begin again",)

    def wake_at(self, state: State) -> float:
        return 5.0 if "timer" in state and "woke" not in state else math.inf

    def decide(self, state: State, message: Word | None, now: float) -> tuple[State, Sequence[str]]:
        if message is None:
            return (*state, "woke"), (f"woke at {now:g}",)
        if message.text == "crash":
            raise RuntimeError(message.text)
        return (*state, message.text), (message.text,)

    def perform(self, action: str, children: Children[Word]) -> None:
        self.performed.append(action)
        if action == "bad action":
            raise RuntimeError(action)
        if action == "child":
            children.start(self.child, name="the child")
        if action == "bad child":
            children.start(self.bad_child, name="the bad child")

    async def child(self) -> Word:
        await self.release_child.wait()
        return Word(f"result for {CALLER.get()}")

    async def bad_child(self) -> Word:
        await self.release_child.wait()
        raise LookupError("bad child")

    def tell(self, *texts: str) -> None:
        for text in texts:
            self.inbox.tell(Word(text))


async def blocked() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_an_actor_handles_messages_one_by_one(autojump_clock: trio.testing.MockClock, nursery) -> None:
    """State follows from state and message; what was decided is performed in order."""
    diary = Diary()
    nursery.start_soon(diary.run)
    diary.tell("a", "b")
    await blocked()
    assert diary.state == ("started at 0", "a", "b")
    assert diary.performed == ["begin", "a", "b"]


async def test_the_decider_is_called_when_its_time_has_come(autojump_clock: trio.testing.MockClock, nursery) -> None:
    """Without a message the actor decides at `wake_at`, and is told the time."""
    diary = Diary()
    nursery.start_soon(diary.run)
    diary.tell("timer")
    await trio.sleep(6)
    assert diary.performed == ["begin", "timer", "woke at 5"]


async def test_a_busy_inbox_does_not_starve_the_timers(mock_clock: trio.testing.MockClock, nursery) -> None:
    """A timer that is due is decided although there is always another message."""
    diary = Diary()
    nursery.start_soon(diary.run)
    diary.tell("timer")
    await blocked()
    mock_clock.jump(7)
    for number in range(10):
        diary.tell(f"a{number}", f"b{number}")
        await trio.lowlevel.checkpoint()
    assert diary.inbox.statistics().pending
    assert diary.performed[:4] == ["begin", "timer", "a0", "woke at 7"]


async def test_a_childs_result_is_a_message(nursery) -> None:
    """What a child returns reaches the decider like anything else."""
    diary = Diary()
    nursery.start_soon(diary.run)
    diary.tell("child")
    await blocked()
    diary.release_child.set()
    await blocked()
    assert diary.state[-1] == "result for nobody"


async def test_a_child_runs_in_the_actors_context(nursery) -> None:
    """Context variables of the one who told do not reach the child that works on it."""
    diary = Diary()
    nursery.start_soon(diary.run)
    CALLER.set("the teller")
    diary.tell("child")
    diary.release_child.set()
    await blocked()
    assert diary.state[-1] == "result for nobody"


async def test_a_cancelled_teller_does_not_cancel_the_child(nursery) -> None:
    """A child belongs to the actor, whoever asked for it."""
    diary = Diary()
    nursery.start_soon(diary.run)
    with trio.CancelScope() as scope:
        diary.tell("child")
        await blocked()
        scope.cancel()
        await trio.lowlevel.checkpoint()
    diary.release_child.set()
    await blocked()
    assert diary.state[-1] == "result for nobody"


async def test_children_die_with_a_cancelled_actor() -> None:
    """Cancelling an actor leaves no task behind."""
    diary = Diary()
    before = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as nursery:
        nursery.start_soon(diary.run)
        diary.tell("child", "child 2", "child")
        await blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before + 2
        nursery.cancel_scope.cancel()
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_children_die_with_a_crashed_actor() -> None:
    """A crash takes the children along, and its error is what leaves."""
    diary = Diary()
    before = trio.lowlevel.current_statistics().tasks_living
    diary.tell("child", "crash")
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="crash")):
        await diary.run()
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_a_childs_error_crashes_the_actor() -> None:
    """An error that a child did not turn into a message is the actor's crash."""
    diary = Diary()
    diary.release_child.set()
    diary.tell("bad child")
    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="bad child")):
        await diary.run()


async def test_a_crash_keeps_the_last_good_state_and_what_was_not_read() -> None:
    """The next run goes on where the crash was: same state, same inbox, without the message that crashed it."""
    diary = Diary()
    diary.tell("a", "crash", "b")
    with pytest.RaisesGroup(RuntimeError):
        await diary.run()
    assert diary.state[1:] == ("a",)
    assert diary.drop_message(RuntimeError()) == Word("crash")
    assert diary.inbox.statistics().pending == 1


async def test_a_crash_in_perform_keeps_the_state_before_the_message() -> None:
    """A message takes effect as a whole: what left the state for an action is still there when the action failed."""
    diary = Diary()
    diary.tell("a", "bad action")
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="bad action")):
        await diary.run()
    assert diary.state[1:] == ("a",)
    assert diary.drop_message(RuntimeError()) == Word("bad action")


async def test_a_second_run_recovers_instead_of_starting(mock_clock: trio.testing.MockClock, nursery) -> None:
    """`started` is for the first run; every later one begins with `recovered`."""
    diary = Diary()
    diary.tell("crash")
    with pytest.RaisesGroup(RuntimeError):
        await diary.run()
    mock_clock.jump(3)
    nursery.start_soon(diary.run)
    await blocked()
    assert diary.state == ("started at 0", "recovered at 3")
    assert diary.performed == ["begin", "begin again"]


async def test_no_message_is_named_after_an_undisturbed_end() -> None:
    """Between two messages there is none to drop."""
    diary = Diary()
    diary.tell("a")
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(diary.run)
            await blocked()
            scope.cancel()
    assert diary.drop_message(RuntimeError()) is None

"""Asking: a reply is settled once, and neither cancellation nor context crosses the inbox."""

from __future__ import annotations

import contextvars
import dataclasses

import pytest
import trio
import trio.testing

from alternator_trio._supervision import Inbox, Message, Reply, ask, joined

CALLER = contextvars.ContextVar("CALLER", default="nobody")


@dataclasses.dataclass(frozen=True, slots=True)
class Question(Message):
    reply: Reply[str]

    def abandon(self, error: Exception) -> None:
        self.reply.fail(error)


class Watched(Reply[str]):
    """A reply that counts how often it is looked at; whoever waits for one stays."""

    __slots__ = ()
    looks = 0

    @property
    def is_left(self) -> bool:
        Watched.looks += 1
        return False

    @is_left.setter
    def is_left(self, value: bool) -> None:
        """Nobody leaves."""


async def answer_one(inbox: Inbox[Question]) -> None:
    """A reader that tells the asker the context in which it runs."""
    question = await inbox.receive()
    assert question is not None
    question.reply.settle(CALLER.get())


async def test_ask_returns_the_answer() -> None:
    """The asker waits until the reader has settled the reply."""
    inbox: Inbox[Question] = Inbox("test")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_one, inbox)
        assert await ask(inbox, Question) == "nobody"


async def test_a_failed_reply_raises_its_error() -> None:
    """An error given to a reply is what its asker sees: a copy, with its cause, as others may be given the same."""
    reply: Reply[str] = Reply()
    error = RuntimeError("no")
    error.__cause__ = LookupError("why")
    reply.fail(error)
    with pytest.raises(RuntimeError, match="no") as caught:
        await reply.wait()
    assert caught.value is not error
    assert caught.value.__cause__ is error.__cause__


@pytest.mark.parametrize("first", ["value", "error"])
async def test_the_first_settlement_stays(first: str) -> None:
    """Whoever cleans up may settle again without asking who was first."""
    reply: Reply[str] = Reply()
    if first == "value":
        reply.settle("answer")
        reply.fail(RuntimeError("late"))
        assert await reply.wait() == "answer"
    else:
        reply.fail(RuntimeError("early"))
        reply.settle("late")
        with pytest.raises(RuntimeError, match="early"):
            await reply.wait()


async def test_none_is_an_answer() -> None:
    """A reply settled with nothing is settled."""
    reply: Reply[None] = Reply()
    assert not reply.is_settled
    reply.settle(None)
    assert reply.is_settled
    assert await reply.wait() is None


async def test_waiting_for_a_settled_reply_is_a_checkpoint() -> None:
    """An answer that is there already does not make the wait skip its turn."""
    reply: Reply[int] = Reply()
    reply.settle(1)
    with trio.testing.assert_checkpoints():
        await reply.wait()


async def test_a_cancelled_asker_does_not_cancel_the_reader() -> None:
    """Cancellation does not cross a channel: the question is still handled, its answer simply not read."""
    inbox: Inbox[Question] = Inbox("test")
    kept: list[Reply[str]] = []

    def question(reply: Reply[str]) -> Question:
        kept.append(reply)
        return Question(reply)

    with trio.CancelScope() as scope:
        scope.cancel()
        await ask(inbox, question)
    assert scope.cancelled_caught
    await answer_one(inbox)
    assert await kept[0].wait() == "nobody"


async def test_context_variables_do_not_cross_a_channel() -> None:
    """The reader runs in its own context, not in the asker's."""
    inbox: Inbox[Question] = Inbox("test")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_one, inbox)
        CALLER.set("the asker")
        assert await ask(inbox, Question) == "nobody"


async def test_asking_a_closed_inbox_raises_at_once() -> None:
    """An asker that comes too late does not wait for ever."""
    inbox: Inbox[Question] = Inbox("test")
    inbox.close(RuntimeError("gone"))
    with pytest.raises(RuntimeError, match="gone"):
        await ask(inbox, Question)


async def test_closing_the_inbox_ends_a_wait() -> None:
    """An asker whose question was never read is told when the inbox closes."""
    inbox: Inbox[Question] = Inbox("test")
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="gone")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, inbox, Question)
            await trio.testing.wait_all_tasks_blocked()
            inbox.close(RuntimeError("gone"))


async def test_who_has_left_is_not_kept() -> None:
    """A cancelled wait ends the reply's place among those who wait; those who are yet to wait keep theirs."""
    stays, leaves = Reply[str](), Reply[str]()
    with trio.CancelScope() as scope:
        scope.cancel()
        await leaves.wait()
    assert joined((leaves,), (stays,)) == (stays,)


def test_a_crowd_that_waits_is_not_looked_at_for_each_who_joins(monkeypatch) -> None:
    """A thousand join one after another: about as many looks are enough."""
    monkeypatch.setattr(Watched, "looks", 0)
    waiting: tuple[Reply[str], ...] = ()
    for _ in range(1000):
        waiting = joined(waiting, (Watched(),))
    assert (len(waiting), Watched.looks) == (1000, sum(2**power for power in range(10)))

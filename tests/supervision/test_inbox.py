"""Inboxes: merging by key, room per class, children's results, timers, fairness and closing."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import ClassVar, Self

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._supervision import Inbox, Message, MessageDroppedError, Reply


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Message):
    """Adds up per node, like the settlements of attempts."""

    limit: ClassVar[int] = 8
    node: str
    failures: int = 1

    @property
    def merge_key(self) -> str:
        return self.node

    def merged_with(self, newer: Self) -> Self:
        return dataclasses.replace(self, failures=self.failures + newer.failures)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Message):
    """The latest one counts, like a list of nodes."""

    nodes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Message):
    """Carries a reply, one key per table."""

    limit: ClassVar[int] = 2
    table: str
    reply: Reply[str]

    @property
    def merge_key(self) -> str:
        return self.table

    def abandon(self, error: Exception) -> None:
        self.reply.fail(error)


def new_inbox() -> Inbox[Settled | Listed | Wanted]:
    return Inbox("test")


async def test_messages_of_different_keys_arrive_in_the_order_of_telling() -> None:
    """Without anything to merge, an inbox is a queue."""
    inbox = new_inbox()
    told = [Settled(node="b"), Listed(), Settled(node="a")]
    for message in told:
        inbox.tell(message)
    assert [await inbox.receive() for _ in told] == told


async def test_equal_keys_merge_as_the_message_says() -> None:
    """Two messages of one key become one that says the same as both."""
    inbox = new_inbox()
    inbox.tell(Settled(node="a", failures=2))
    inbox.tell(Settled(node="a", failures=3))
    assert await inbox.receive() == Settled(node="a", failures=5)
    assert inbox.statistics().pending == 0


async def test_a_merged_message_keeps_the_older_ones_place() -> None:
    """A key that is told again and again is not pushed back behind the others."""
    inbox = new_inbox()
    inbox.tell(Settled(node="a"))
    inbox.tell(Listed())
    inbox.tell(Settled(node="a"))
    assert await inbox.receive() == Settled(node="a", failures=2)


async def test_by_default_the_latest_message_of_a_class_wins() -> None:
    """A class that says nothing about merging keeps one message, the newest."""
    inbox = new_inbox()
    inbox.tell(Listed(nodes=("old",)))
    inbox.tell(Listed(nodes=("new",)))
    assert await inbox.receive() == Listed(nodes=("new",))


async def test_the_same_key_of_two_classes_does_not_merge() -> None:
    """A merge key belongs to its class."""
    inbox = new_inbox()
    inbox.tell(Settled(node="a"))
    inbox.tell(Wanted(table="a", reply=Reply()))
    assert inbox.statistics().pending == 2


async def test_what_was_received_no_longer_merges() -> None:
    """A message in the actor's hands is not changed by one that comes later."""
    inbox = new_inbox()
    inbox.tell(Settled(node="a"))
    first = await inbox.receive()
    inbox.tell(Settled(node="a"))
    assert (first, await inbox.receive()) == (Settled(node="a"), Settled(node="a"))


async def test_a_full_class_drops_only_its_own_new_keys_and_counts_them() -> None:
    """Room is per class: new keys beyond it are dropped, known keys still merge, other classes do not notice."""
    inbox = new_inbox()
    for number in range(Settled.limit + 3):
        inbox.tell(Settled(node=str(number)))
    inbox.tell(Settled(node="0"))
    inbox.tell(Listed())
    statistics = inbox.statistics()
    assert (statistics.told, statistics.merged, statistics.dropped) == (Settled.limit + 5, 1, 3)
    assert statistics.pending == Settled.limit + 1


async def test_a_class_has_room_again_after_a_receive() -> None:
    """The limit counts what is pending, not what ever came."""
    inbox = new_inbox()
    for number in range(Settled.limit):
        inbox.tell(Settled(node=str(number)))
    await inbox.receive()
    inbox.tell(Settled(node="late"))
    assert inbox.statistics().dropped == 0


async def test_ten_thousand_settlements_in_one_tick_do_not_lose_a_node_list() -> None:
    """Flooding with one class, many keys of it, leaves every other class's message in place."""
    inbox = new_inbox()
    for number in range(10_000):
        inbox.tell(Settled(node=str(number % 100)))
        if number == 5_000:
            inbox.tell(Listed(nodes=("a", "b")))
    received = [await inbox.receive() for _ in range(inbox.statistics().pending)]
    assert Listed(nodes=("a", "b")) in received
    assert len(received) == Settled.limit + 1


async def test_a_message_dropped_by_a_full_class_settles_its_reply() -> None:
    """Whoever asks a full class is told so instead of waiting for ever."""
    inbox = new_inbox()
    replies = [Reply[str]() for _ in range(Wanted.limit + 1)]
    for number, reply in enumerate(replies):
        inbox.tell(Wanted(table=str(number), reply=reply))
    with pytest.raises(MessageDroppedError, match="no room"):
        await replies[-1].wait()
    assert not any(reply.is_settled for reply in replies[:-1])


async def test_a_message_replaced_by_a_newer_one_settles_its_reply() -> None:
    """A class that merges by keeping the newest does not leave the older one's asker waiting."""
    inbox = new_inbox()
    older, newer = Reply[str](), Reply[str]()
    inbox.tell(Wanted(table="t", reply=older))
    inbox.tell(Wanted(table="t", reply=newer))
    with pytest.raises(MessageDroppedError, match="newer"):
        await older.wait()
    assert not newer.is_settled


async def test_results_of_children_bypass_limits_and_merging() -> None:
    """What the actor's own children return is neither merged nor dropped."""
    inbox = new_inbox()
    for _ in range(Settled.limit * 3):
        inbox.deliver(Settled(node="a"))
    assert inbox.statistics().pending == Settled.limit * 3
    assert await inbox.receive() == Settled(node="a")


async def test_results_of_children_come_before_what_was_told() -> None:
    """A full inbox does not hold back the result that the actor is waiting for."""
    inbox = new_inbox()
    inbox.tell(Listed())
    inbox.deliver(Settled(node="result"))
    assert await inbox.receive() == Settled(node="result")
    assert await inbox.receive() == Listed()


@pytest.mark.parametrize("way", ["tell", "deliver"])
async def test_a_waiting_receiver_is_woken(autojump_clock: trio.testing.MockClock, way: str) -> None:
    """A message ends the wait at once, without the clock moving."""
    inbox = new_inbox()
    received: list[Message | None] = []

    async def receive() -> None:
        received.append(await inbox.receive(until=10.0))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        getattr(inbox, way)(Listed())
    assert received == [Listed()]
    assert trio.current_time() == 0.0


async def test_receive_returns_none_when_its_time_has_come(autojump_clock: trio.testing.MockClock) -> None:
    """Without a message the receiver returns at ``until``."""
    assert await new_inbox().receive(until=5.0) is None
    assert trio.current_time() == 5.0


async def test_receive_with_a_time_in_the_past_returns_none_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """A timer that is due does not wait."""
    with trio.testing.assert_checkpoints():
        assert await new_inbox().receive(until=-1.0) is None
    assert trio.current_time() == 0.0


async def test_a_message_beats_a_time_in_the_past(autojump_clock: trio.testing.MockClock) -> None:
    """What is pending is returned even when the timer is due as well."""
    inbox = new_inbox()
    inbox.tell(Listed())
    assert await inbox.receive(until=-1.0) == Listed()


async def test_wake_by_shortens_a_wait_that_is_going_on(autojump_clock: trio.testing.MockClock) -> None:
    """A timer set from outside reaches a receiver that already waits; a later one does not put it off."""
    inbox = new_inbox()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.receive, 10.0)
        await trio.testing.wait_all_tasks_blocked()
        inbox.wake_by(3.0)
        inbox.wake_by(7.0)
    assert trio.current_time() == 3.0


async def test_wake_by_does_not_lengthen_a_wait(autojump_clock: trio.testing.MockClock) -> None:
    """A timer set from outside that is later than the receiver's own changes nothing."""
    inbox = new_inbox()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.receive, 3.0)
        await trio.testing.wait_all_tasks_blocked()
        inbox.wake_by(7.0)
    assert trio.current_time() == 3.0


async def test_wake_by_before_a_wait_shortens_it(autojump_clock: trio.testing.MockClock) -> None:
    """A timer set while the actor was busy holds for its next wait."""
    inbox = new_inbox()
    inbox.wake_by(3.0)
    assert await inbox.receive() is None
    assert trio.current_time() == 3.0


async def test_wake_by_holds_for_one_return(autojump_clock: trio.testing.MockClock) -> None:
    """After the receiver returned, earlier wake-ups are forgotten: it decides anew when to wake."""
    inbox = new_inbox()
    inbox.wake_by(3.0)
    await inbox.receive()
    assert await inbox.receive(until=9.0) is None
    assert trio.current_time() == 9.0


async def test_a_cancelled_receive_loses_nothing() -> None:
    """A message that comes in the tick of a cancellation stays for the next receiver."""
    inbox = new_inbox()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.receive)
        await trio.testing.wait_all_tasks_blocked()
        inbox.tell(Listed())
        nursery.cancel_scope.cancel()
    assert await inbox.receive() == Listed()


async def test_receiving_from_a_full_inbox_is_a_checkpoint() -> None:
    """Every receive lets others run, and can be cancelled without loss."""
    inbox = new_inbox()
    inbox.tell(Listed())
    with trio.CancelScope() as scope:
        scope.cancel()
        await inbox.receive()
    assert scope.cancelled_caught
    with trio.testing.assert_checkpoints():
        assert await inbox.receive() == Listed()


async def test_a_full_inbox_does_not_starve_other_tasks() -> None:
    """Another task gets a turn for every message that the receiver takes."""
    inbox = new_inbox()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for _ in range(100):
            inbox.tell(Listed())
            await inbox.receive()
        nursery.cancel_scope.cancel()
    assert turns >= 95


async def test_closing_settles_what_is_pending_and_empties_the_inbox() -> None:
    """Told messages and children's results are both given up."""
    inbox = new_inbox()
    told, result = Reply[str](), Reply[str]()
    inbox.tell(Wanted(table="t", reply=told))
    inbox.deliver(Wanted(table="u", reply=result))
    inbox.close(RuntimeError("gone"))
    for reply in (told, result):
        with pytest.raises(RuntimeError, match="gone"):
            await reply.wait()
    assert inbox.statistics().pending == 0


@pytest.mark.parametrize("way", ["tell", "deliver"])
async def test_a_closed_inbox_turns_messages_away_and_settles_them(way: str) -> None:
    """Nobody reads any more: what comes is given up at once, with the error of the closing."""
    inbox = new_inbox()
    inbox.close(RuntimeError("gone"))
    reply = Reply[str]()
    getattr(inbox, way)(Wanted(table="t", reply=reply))
    with pytest.raises(RuntimeError, match="gone"):
        await reply.wait()
    assert inbox.statistics().pending == 0


async def test_closing_again_changes_nothing() -> None:
    """The first error stays."""
    inbox = new_inbox()
    inbox.close(RuntimeError("first"))
    inbox.close(RuntimeError("second"))
    reply = Reply[str]()
    inbox.tell(Wanted(table="t", reply=reply))
    with pytest.raises(RuntimeError, match="first"):
        await reply.wait()


async def test_two_receivers_at_once_are_refused() -> None:
    """An inbox belongs to one actor: a second receiver would take the first one's wake-ups."""
    inbox = new_inbox()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.receive)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await inbox.receive()
        nursery.cancel_scope.cancel()


@given(
    steps=st.lists(
        st.one_of(
            st.sampled_from(["receive", "list"]),
            st.tuples(st.sampled_from("abcdefghijkl"), st.integers(1, 9)),
        )
    )
)
def test_no_fact_is_lost_but_the_dropped_ones(steps: list[str | tuple[str, int]]) -> None:
    """Whatever is told and received in whatever order, failures told are failures received or counted as dropped."""

    async def run() -> None:
        inbox = new_inbox()
        told: collections.Counter[str] = collections.Counter()
        received: collections.Counter[str] = collections.Counter()
        dropped = lists = 0

        async def receive() -> None:
            nonlocal lists
            message = await inbox.receive(-math.inf)
            if isinstance(message, Settled):
                received[message.node] += message.failures
            elif isinstance(message, Listed):
                lists += 1

        for step in steps:
            if step == "receive":
                await receive()
            elif step == "list":
                inbox.tell(Listed())
            else:
                node, failures = step
                before = inbox.statistics().dropped
                inbox.tell(Settled(node=node, failures=failures))
                if inbox.statistics().dropped == before:
                    told[node] += failures
                else:
                    dropped += 1
        while inbox.statistics().pending:
            await receive()
        assert received == told
        assert inbox.statistics().dropped == dropped
        assert (lists > 0) == ("list" in steps)

    trio.run(run)

"""An actor's inbox: bounded, never waited for, and merging by key instead of losing facts.

Rules: a tell never waits and never fails. Messages of one class and one key become one message that says the same. Each
class of messages has room of its own (`Message.limit` keys), so that one class can crowd out only itself: ten thousand
settlements cannot push out a node list. What a full class turns away is counted, and its reply is settled. Results of
the actor's own children bypass all this: there are never more of them than children.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Hashable
from typing import ClassVar, Generic, NamedTuple, Self, TypeVar

import trio

__all__ = ["Inbox", "InboxStatistics", "Message", "MessageDroppedError"]


class MessageDroppedError(Exception):
    """The reply of a message that no actor will read, because its class was full or a newer message replaced it."""


class Message:
    """Base of everything that travels to an actor.

    Attributes:
        limit: How many keys of this class may be pending at once.
    """

    __slots__ = ()
    limit: ClassVar[int] = 1

    @property
    def merge_key(self) -> Hashable:
        """Messages of one class with equal keys merge. By default there is one key: the class itself."""
        return None

    def merged_with(self, newer: Self) -> Self:
        """One message that says what this one and a newer one of the same class say. By default the newer one alone."""
        self.abandon(MessageDroppedError(f"a newer {type(self).__name__} took its place"))
        return newer

    def abandon(self, error: Exception) -> None:
        """Called when nobody will read this message: settles the replies that it carries."""


M = TypeVar("M", bound=Message)


class InboxStatistics(NamedTuple):
    """What an inbox has seen since it was opened, in messages."""

    told: int
    merged: int
    dropped: int
    pending: int


class Inbox(Generic[M]):
    """Where an actor receives; everybody else tells."""

    __slots__ = (
        "_closed",
        "_counts",
        "_dropped",
        "_merged",
        "_parked",
        "_pending",
        "_results",
        "_told",
        "_waiting",
        "_wake_at",
        "name",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self._pending: collections.OrderedDict[tuple[type[Message], Hashable], M] = collections.OrderedDict()
        self._results: collections.deque[M] = collections.deque()
        self._counts: collections.Counter[type[Message]] = collections.Counter()
        self._waiting: trio.CancelScope | None = None
        self._parked: trio.lowlevel.Task | None = None
        self._wake_at = math.inf
        self._closed: Exception | None = None
        self._told = self._merged = self._dropped = 0

    def tell(self, message: M) -> None:
        """Leave a message. Never waits; a message that merges away or finds its class full costs nobody else's."""
        if self._closed is not None:
            message.abandon(self._closed)
            return
        self._told += 1
        kind = type(message)
        key = (kind, message.merge_key)
        older = self._pending.get(key)
        if older is not None:
            self._pending[key] = older.merged_with(message)
            self._merged += 1
            return
        if self._counts[kind] >= kind.limit:
            self._dropped += 1
            message.abandon(MessageDroppedError(f"{self.name} has no room for another {kind.__name__}"))
            return
        self._counts[kind] += 1
        self._pending[key] = message
        self._wake()

    def deliver(self, message: M) -> None:
        """Hand in the result of one of the actor's own children: never merged, never dropped."""
        if self._closed is not None:
            message.abandon(self._closed)
            return
        self._results.append(message)
        self._wake()

    def drop_results(self, error: Exception) -> None:
        """Give up the results that are pending: the run that started those children is over."""
        results = tuple(self._results)
        self._results.clear()
        for message in results:
            message.abandon(error)

    def wake_by(self, when: float) -> None:
        """Make the receiver return by ``when`` (Trio's clock) although no message came."""
        if when < self._wake_at:
            self._wake_at = when
            if self._waiting is not None:
                self._waiting.deadline = min(self._waiting.deadline, when)

    async def receive(self, until: float = math.inf) -> M | None:
        """The next message, children's results first; None when ``until`` or a `wake_by` has passed.

        Raises:
            trio.BusyResourceError: Somebody else is receiving; an inbox has one reader.
        """
        if self._waiting is not None:
            raise trio.BusyResourceError(f"{self.name} has a reader already")
        if self._results or self._pending:
            await trio.lowlevel.checkpoint()  # a full inbox must not starve the other tasks
        else:
            with trio.CancelScope(deadline=min(until, self._wake_at)) as scope:
                self._waiting = scope
                try:
                    await self._park()
                finally:
                    self._waiting = None
        self._wake_at = math.inf
        if self._results:
            return self._results.popleft()
        if self._pending:
            (kind, _), message = self._pending.popitem(last=False)
            self._counts[kind] -= 1
            return message
        return None

    def close(self, error: Exception) -> None:
        """Turn away what comes from now on, and settle the replies of what is pending. Call it when no one reads."""
        if self._closed is not None:
            return
        self._closed = error
        for message in (*self._results, *self._pending.values()):
            message.abandon(error)
        self._results.clear()
        self._pending.clear()
        self._counts.clear()

    def statistics(self) -> InboxStatistics:
        """Counts since the inbox was opened."""
        return InboxStatistics(self._told, self._merged, self._dropped, len(self._pending) + len(self._results))

    async def _park(self) -> None:
        """Sleep until woken: by a reschedule, which costs the teller a tenth of what cancelling the scope would."""
        self._parked = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        # Woken and cancelled in one tick: a message that nobody may handle any more stays where it is.
        await trio.lowlevel.checkpoint_if_cancelled()

    def _wake(self) -> None:
        task, self._parked = self._parked, None
        if task is not None:
            trio.lowlevel.reschedule(task)

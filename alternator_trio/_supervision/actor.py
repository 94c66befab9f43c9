"""An actor: one inbox, one loop, one decider, and the children that work for it.

Rules: `decide` is pure: state, message and time in, state and actions out; `perform` is synchronous and does what was
decided: publish, tell, start a child. Only a child awaits. States and actions are named tuples: they stay within the
client, and a dataclass costs eight times as much to import. The state outlives a crash: the actor that is run again
goes on from the last good state, the one before the message that was not fully handled, after `recovered` cleared the
marks of children that died with the crash.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import trio

from alternator_trio._supervision.inbox import Inbox, Message

__all__ = ["Actor", "Children"]

S = TypeVar("S")
M = TypeVar("M", bound=Message)
A = TypeVar("A")


class Children(Generic[M]):
    """The tasks that work for an actor. A child's return value is a message to the actor; its error is a crash."""

    __slots__ = ("_inbox", "_nursery")

    def __init__(self, nursery: trio.Nursery, inbox: Inbox[M]) -> None:
        self._nursery = nursery
        self._inbox = inbox

    def start(self, work: Callable[[], Awaitable[M]], *, name: str) -> None:
        """Start a child; what it returns reaches the actor past the bounds of its inbox."""
        self._nursery.start_soon(self._run, work, name=name)

    async def _run(self, work: Callable[[], Awaitable[M]]) -> None:
        self._inbox.deliver(await work())


class Actor(abc.ABC, Generic[S, M, A]):
    """One owner of one value.

    Attributes:
        name: For logs, task names and crash reports.
        inbox: Where it receives.
        state: The last good state.
    """

    def __init__(self, name: str, inbox: Inbox[M], state: S) -> None:
        self.name = name
        self.inbox = inbox
        self.state = state
        self._runs = 0
        self._handling: M | None = None

    @abc.abstractmethod
    def decide(self, state: S, message: M | None, now: float) -> tuple[S, Sequence[A]]:
        """What the message (None: `wake_at` has passed) makes of the state, and what is to be done."""

    @abc.abstractmethod
    def perform(self, action: A, children: Children[M]) -> None:
        """Do one decided thing, without waiting."""

    def started(self, state: S, now: float) -> tuple[S, Sequence[A]]:
        """What to do when the actor begins to run for the first time."""
        del now
        return state, ()

    def recovered(self, state: S, now: float) -> tuple[S, Sequence[A]]:
        """The last good state without the marks of children that a crash took along, and what to do about them."""
        del now
        return state, ()

    def wake_at(self, state: S) -> float:
        """When to decide although no message came (Trio's clock)."""
        del state
        return math.inf

    def abandon(self, error: Exception) -> None:
        """Called when the actor will not run again: settle the replies that its state holds."""

    async def run(self) -> None:
        """Receive, decide, perform, until cancelled. An error leaves; the supervisor judges it."""
        begin = self.started if self._runs == 0 else self.recovered
        self._runs += 1
        async with trio.open_nursery() as nursery:
            children = Children(nursery, self.inbox)
            self._commit(*begin(self.state, trio.current_time()), children)
            while True:
                message = await self.inbox.receive(self.wake_at(self.state))
                now = trio.current_time()
                self._handling = message
                self._commit(*self.decide(self.state, message, now), children)
                self._handling = None
                if message is not None and self.wake_at(self.state) <= now:
                    # Messages come first, but an inbox that is never empty must not put timers off for ever.
                    self._commit(*self.decide(self.state, None, now), children)

    def drop_message(self, error: Exception) -> M | None:
        """After a crash: give up the message that was being handled, settling its replies, and name it.

        What the children of that run have returned unread is given up as well: `recovered` clears their marks.
        """
        self.inbox.drop_results(error)
        message, self._handling = self._handling, None
        if message is not None:
            message.abandon(error)
        return message

    def _commit(self, state: S, actions: Sequence[A], children: Children[M]) -> None:
        before, self.state = self.state, state
        try:
            for action in actions:
                self.perform(action, children)
        except BaseException:
            # Replies that left the state to be settled by an action would be lost with the actions not done.
            self.state = before
            raise

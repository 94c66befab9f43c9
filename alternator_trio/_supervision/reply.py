"""The answer to an ask: settled exactly once, by whoever ends up with the message.

Rules: every reply is settled on every exit, a crash and a closed inbox included; settling again is ignored, so that the
one who cleans up need not know who was first.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Generic, TypeVar

import trio

from alternator_trio._supervision.inbox import Inbox, Message

__all__ = ["Reply", "ask", "joined"]

T = TypeVar("T")
M = TypeVar("M", bound=Message)


class Reply(Generic[T]):
    """A one-shot answer that travels inside a message.

    Attributes:
        is_left: Whether who waited for it was cancelled: nobody will read it.
    """

    __slots__ = ("_answer", "_settled", "is_left")

    def __init__(self) -> None:
        self.is_left = False
        self._settled = trio.Event()
        self._answer: Callable[[], T] | None = None

    @property
    def is_settled(self) -> bool:
        """Whether an answer is there."""
        return self._answer is not None

    def settle(self, value: T) -> None:
        """Answer with a value."""
        self._finish(lambda: value)

    def fail(self, error: Exception) -> None:
        """Answer with an error, of which `wait` raises a copy: several replies may be failed with one error."""

        def answer() -> T:
            raise _own(error) from error.__cause__

        self._finish(answer)

    async def wait(self) -> T:
        """Wait for the answer. A cancelled wait leaves nothing behind: the answer is simply not read."""
        try:
            await self._settled.wait()
        except trio.Cancelled:
            self.is_left = True
            raise
        assert self._answer is not None  # noqa: S101  # set before the event
        return self._answer()

    def _finish(self, answer: Callable[[], T]) -> None:
        if self._answer is None:
            self._answer = answer
            self._settled.set()


def joined(waiting: tuple[Reply[T], ...], newer: tuple[Reply[T], ...]) -> tuple[Reply[T], ...]:
    """Those who wait and those who come; while something hangs many come and go, and who has left is not kept for long.

    Who has left is looked for when the number of bits in their number grows, so that joining a crowd of thousands does
    not cost a look at all of them each time: there are never more than twice as many as were waiting at one time.
    """
    together = waiting + newer
    if len(together).bit_length() == len(waiting).bit_length():
        return together
    return tuple(reply for reply in together if not reply.is_left)


def _own(error: Exception) -> Exception:
    """An error for one task alone: each raise adds to its traceback, and each caller adds what it knows."""
    try:
        return copy.copy(error).with_traceback(None)
    except Exception:  # noqa: BLE001  # a foreign error whose constructor cannot be called again
        return error


async def ask(inbox: Inbox[M], make: Callable[[Reply[T]], M]) -> T:
    """Tell ``inbox`` a message that carries a new reply, and wait for it."""
    reply: Reply[T] = Reply()
    inbox.tell(make(reply))
    return await reply.wait()

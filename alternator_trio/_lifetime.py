"""How long, and where, a client may be used: within its block, in the process and the Trio run that opened it."""

from __future__ import annotations

import os
import threading

import trio

from alternator_trio.errors import ClientClosedError

__all__ = ["Lifetime"]


class Lifetime:
    """The lifetime of one client; it begins here.

    Attributes:
        is_over: Whether the client's block has ended.
    """

    __slots__ = ("_ended", "_pid", "_thread", "is_over")

    def __init__(self) -> None:
        self.is_over = False
        self._ended = trio.Event()
        self._pid = os.getpid()
        self._thread = threading.get_ident()

    def end(self) -> None:
        """Turn away what comes from now on, and wake who waits for it."""
        self.is_over = True
        self._ended.set()

    async def until_over(self) -> None:
        """Wait for the end."""
        await self._ended.wait()

    def check(self) -> None:
        """Raise `ClientClosedError` after the block's end, after a fork, and in another Trio run."""
        # Asked for every operation: all three at once, and only then which one it was. A client's Trio run owns its
        # thread, and another run in the same thread begins after the block has ended.
        if self.is_over or os.getpid() != self._pid or threading.get_ident() != self._thread:
            raise self._refusal()

    def _refusal(self) -> ClientClosedError:
        if self.is_over:
            return ClientClosedError("the client's block has ended")
        if os.getpid() != self._pid:
            return ClientClosedError("the client was opened before a fork; open one in this process")
        return ClientClosedError(
            "the client belongs to another Trio run; from another thread, call into that run (trio.from_thread.run)"
        )

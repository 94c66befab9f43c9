"""Restarting what crashed, in OTP's words: one for one, with an intensity, or for ever with a growing delay.

Rules: a cancellation is no crash. An actor that crashes is reported with the message that it was handling, and run
again from its last good state, or, past its intensity, given up with `IntensityExceededError`.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypeVar, assert_never, cast

import trio

from alternator_trio._supervision.actor import Actor
from alternator_trio._supervision.bare import bare
from alternator_trio._supervision.inbox import Message

__all__ = ["CrashReport", "IntensityExceededError", "RestartForever", "RestartLimited", "RestartPolicy", "supervise"]

S = TypeVar("S")
M = TypeVar("M", bound=Message)
A = TypeVar("A")


class RestartForever(NamedTuple):
    """Run it again after ``first_delay`` seconds, doubling to ``max_delay``; a run that outlasts that starts afresh."""

    first_delay: float = 0.1
    max_delay: float = 30.0


class RestartLimited(NamedTuple):
    """Run it again at once, but not more than ``intensity`` times within ``period`` seconds."""

    intensity: int = 5
    period: float = 30.0


RestartPolicy: TypeAlias = RestartForever | RestartLimited


class CrashReport(NamedTuple):
    """One crash: who, on which message, why, and seconds until it runs again (None: never)."""

    actor: str
    message: Message | None
    error: BaseException
    restart_in: float | None


class IntensityExceededError(Exception):
    """An actor crashed more often than its restart policy allows; the cause is the last crash."""


async def supervise(actor: Actor[S, M, A], policy: RestartPolicy, report: Callable[[CrashReport], None]) -> None:
    """Run ``actor`` until cancelled, restarting it by ``policy`` and reporting every crash.

    Raises:
        IntensityExceededError: The actor is beyond its restart policy.
    """
    delays = _Delays(policy)
    while True:
        began = trio.current_time()
        try:
            await actor.run()
        except BaseException as error:
            crash, rest = _split(error)
            if crash is None:
                raise
            delay = None if rest is not None else delays.after_crash(trio.current_time(), began)
            message = actor.drop_message(crash)
            report(CrashReport(actor=actor.name, message=message, error=crash, restart_in=delay))
            if rest is not None:
                raise rest from None
            if delay is None:
                raise IntensityExceededError(f"{actor.name} crashed too often") from crash
            del crash, rest, message  # the crash's traceback would keep its frames alive until the next one
        else:
            return
        await trio.sleep(delay)


class _Delays:
    """How long to wait before the next run; None when there is none."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._delay = policy.first_delay if isinstance(policy, RestartForever) else 0.0
        self._crashes: collections.deque[float] = collections.deque()

    def after_crash(self, now: float, began: float) -> float | None:
        match self._policy:
            case RestartForever() as policy:
                if now - began > policy.max_delay:
                    self._delay = policy.first_delay
                delay, self._delay = self._delay, min(self._delay * 2, policy.max_delay)
                return delay
            case RestartLimited() as policy:
                self._crashes.append(now)
                while self._crashes[0] < now - policy.period:
                    self._crashes.popleft()
                return 0.0 if len(self._crashes) <= policy.intensity else None
            case _:
                assert_never(self._policy)


def _split(error: BaseException) -> tuple[Exception | None, BaseException | None]:
    """The part of an error that is a crash, and the rest: cancellation, KeyboardInterrupt, SystemExit and the like."""
    if isinstance(error, BaseExceptionGroup):
        crash, rest = cast("BaseExceptionGroup[BaseException]", error).split(Exception)
        return None if crash is None else bare(crash), rest
    return (error, None) if isinstance(error, Exception) else (None, error)

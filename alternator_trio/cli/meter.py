"""One operation of the load, timed and counted.

Rules: whatever an operation raises leaves as it came, counted as an error that the application saw, unless its caller
said that it deals with errors of that class.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, TypeVar, cast

import trio

from alternator_trio.cli.tally import Tally
from alternator_trio.errors import AlternatorError

if TYPE_CHECKING:
    from alternator_trio import types

__all__ = ["Meter", "was_repeated"]

A = TypeVar("A", bound=Mapping[str, object])


class Meter:
    """Times operations.

    Args:
        tally: Where they are counted.
    """

    __slots__ = ("_tally",)

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    async def measure(
        self, operation: str, answer: Awaitable[A], expected: tuple[type[AlternatorError], ...] = ()
    ) -> A:
        """Await an operation and count how it ended.

        Args:
            operation: What to count it as.
            answer: The call, not awaited yet.
            expected: Errors that the caller deals with: they do not count as seen by the application.
        """
        began_in = self._tally.phase
        began = trio.current_time()
        try:
            result = await answer
        except AlternatorError as error:
            if not isinstance(error, expected):
                self._tally.failed(operation, error)
            raise
        now = trio.current_time()
        self._tally.succeeded(operation, began_in, _metadata(result), seconds=now - began, now=now)
        return result


def was_repeated(answer: Mapping[str, object]) -> bool:
    """Whether it took more than one attempt."""
    return _metadata(answer)["RetryAttempts"] > 0


def _metadata(answer: Mapping[str, object]) -> types.ResponseMetadata:
    return cast("types.ResponseMetadata", answer["ResponseMetadata"])

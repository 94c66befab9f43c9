"""Which fault an error is put down to: windows in which something was wrong, and what each error can come from. Pure.

Rules: an error is accounted for when a fault that can cause it, at the node that it names, was on at some moment of
the operation or shortly before. A window begins before its fault is ordered and ends after its end was carried out.
What the machine itself holds up, a process of this run being late by more than a blink, is a window of its own kind,
`LAG`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alternator_trio import (
    AlternatorError,
    AttemptTimeoutError,
    ConnectError,
    ConnectionLostError,
    IndeterminateWriteError,
    NoLiveNodesError,
    OperationTimeoutError,
    PoolTimeoutError,
    ProtocolError,
    ServiceError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

AFTERMATH = 1.0
"""Seconds after its end in which a fault may still be felt: bytes on their way, an answer that was waited for."""
LAG = "lag"
_KEPT_FOR = 120.0
OWN_LIMIT = "own limit"
"""The caller asked for an ``operation_timeout``, and it has passed."""
_DOWN = frozenset({"kill", "stop", "restart", "cut", "cut after", "half-open"})
_LOST = _DOWN | {"reset", "close", "truncate", "shed"}
_SLOW = frozenset({"pause", "hang", "half-open", "slow link", "stall", "delay", LAG})
_UNKNOWN = _LOST | _SLOW | {"5xx"}
_BUSY = _LOST | _SLOW | {"refuse"}


@dataclass(slots=True)
class Window:
    """A time in which something was wrong at a node; ``""`` is all of them."""

    kind: str
    node: str
    began: float
    ended: float = math.inf


class Windows:
    """What was wrong lately.

    Attributes:
        open: How many faults are on.
    """

    def __init__(self) -> None:
        self._windows: deque[Window] = deque()
        self.open = 0

    def begin(self, kind: str, node: str, now: float) -> Window:
        """Note that something begins to be wrong."""
        while self._windows and self._windows[0].ended < now - _KEPT_FOR:
            self._windows.popleft()
        window = Window(kind, node, now)
        self._windows.append(window)
        self.open += 1
        return window

    def end(self, window: Window, now: float) -> None:
        """Note that it is over."""
        window.ended = now
        self.open -= 1

    def explain(self, error: AlternatorError, began: float, ended: float) -> str | None:
        """The kind of fault that an error is put down to; None when there was none."""
        if isinstance(error, OperationTimeoutError):
            return OWN_LIMIT  # that there was one, and that it came in time, is looked at elsewhere
        kinds, node = causes(error)
        for window in self._during(began, ended):
            if window.kind in kinds and (not window.node or node is None or window.node == node):
                return window.kind
        return None

    def _during(self, began: float, ended: float) -> Iterator[Window]:
        return (each for each in self._windows if each.began <= ended and each.ended + AFTERMATH >= began)


def causes(error: AlternatorError) -> tuple[frozenset[str], str | None]:  # noqa: PLR0911 - a table
    """The kinds of faults that an error can come from, and the node that it blames; None for no certain one."""
    match error:
        case IndeterminateWriteError():
            cause = error.__cause__
            if isinstance(cause, AlternatorError) and not _is_conditional(cause):
                return causes(cause)[0], error.node
            return _UNKNOWN, None  # an earlier attempt is to blame, and which one is not told
        case AttemptTimeoutError():
            return _SLOW, error.node
        case ConnectError():
            return _DOWN | _SLOW | {"refuse"}, error.node
        case ConnectionLostError() | ProtocolError():
            return _LOST, error.node
        case PoolTimeoutError() | NoLiveNodesError():
            return _BUSY, None
        case ServiceError():
            return _refusals(error), error.node
        case _:
            return frozenset(), None


def _refusals(error: ServiceError) -> frozenset[str]:
    if error.code == "RequestLimitExceeded":
        return frozenset({"shed"})
    if error.code == "ProvisionedThroughputExceededException":
        return frozenset({"throttle"})
    return frozenset({"5xx"}) if error.status in {500, 502, 503, 504} else frozenset()


def _is_conditional(error: AlternatorError) -> bool:
    return isinstance(error, ServiceError) and error.code == "ConditionalCheckFailedException"

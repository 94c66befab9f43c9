"""The faults that one node of a cluster can be told to commit, each on its next request or requests.

A fault is a value, given to `LocalNode.fail_next` or `SimulatedNode.fail_next`. Where it matters whether the
operation took effect, the fault says so with ``executed``: a client cannot tell the two apart, a test can.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LOCALNODES = "localnodes"
"""The name by which `LocalNode.fail_next` knows discovery's ``GET /localnodes``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """The connection is reset (RST) in place of an answer, before the operation or after it took effect."""

    executed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """The connection is closed in order (FIN) in place of an answer, before the operation or after it took effect."""

    executed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """No answer comes and the connection stays open, until the client leaves it or the node stops."""

    executed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shed:
    """The operation is not executed: RequestLimitExceeded, as a shard answers that has too much to do.

    Attributes:
        drop: True drops the connection after the answer, which has promised keep-alive, as some versions do.
    """

    drop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate:
    """The operation takes effect, but its answer breaks off and the connection is closed.

    Attributes:
        body_bytes: how many bytes of the answer's body are sent after its complete head.
        chunked: True sends the answer in chunked coding, whose last chunk is then missing.
    """

    body_bytes: int = 0
    chunked: bool = False

    def __post_init__(self) -> None:
        if self.body_bytes < 0:
            raise ValueError(f"body_bytes must be at least 0, not {self.body_bytes}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The given answer is sent in place of the node's own.

    Attributes:
        status: the HTTP status.
        body: the raw body; Content-Length is added.
        headers: further headers, names as they are to go out. A ``Content-Type`` here replaces the usual one.
        executed: True lets the operation take effect first.
        close: True closes the connection after the answer, without having said so in a header.

    Raises:
        TypeError: the body is no bytes, or a header no pair of strings.
        ValueError: the status has not three digits.

    Example:
        ``node.fail_next(Answer(status=503), times=2, operation="GetItem")``
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=())
    executed: bool = False
    close: bool = False

    def __post_init__(self) -> None:
        if not _LEAST_STATUS <= self.status <= _GREATEST_STATUS:
            raise ValueError(f"status must have three digits: {self.status!r}")
        if not isinstance(self.body, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  # what tests pass is not always what we ask for
            raise TypeError(f"body must be bytes, not {type(self.body).__name__}")
        for header in self.headers:
            if not (len(header) == 2 and all(isinstance(part, str) for part in header)):  # pyright: ignore[reportUnnecessaryIsInstance, reportUnnecessaryComparison]  # noqa: PLR2004  # the same; a name and a value
                raise TypeError(f"headers: {header!r} is no name with a value")


_LEAST_STATUS: Final = 100
_GREATEST_STATUS: Final = 999

Fault = Reset | Close | Hang | Shed | Truncate | Answer
"""What a node can be told to commit."""

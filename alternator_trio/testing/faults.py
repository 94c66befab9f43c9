"""The faults that one node of the embedded cluster can be told to commit, each on its next request or requests.

A fault is a value, given to `LocalNode.fail_next`. Where it matters whether the operation took effect, the fault says
so with ``executed``: a client cannot tell the two apart, a test can.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
class Truncate:
    """The operation takes effect, but its answer breaks off and the connection is closed.

    Attributes:
        body_bytes: how many bytes of the answer's body are sent after its complete head.
        chunked: True sends the answer in chunked coding, whose last chunk is then missing.
    """

    body_bytes: int = 0
    chunked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The given answer is sent in place of the node's own.

    Attributes:
        status: the HTTP status.
        body: the raw body; Content-Length is added.
        headers: further headers, names as they are to go out. A ``Content-Type`` here replaces the usual one.
        executed: True lets the operation take effect first.
        close: True closes the connection after the answer, without having said so in a header.

    Example:
        ``node.fail_next(Answer(status=503), times=2, operation="GetItem")``
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=())
    executed: bool = False
    close: bool = False


Fault = Reset | Close | Hang | Truncate | Answer

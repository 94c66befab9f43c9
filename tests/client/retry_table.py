"""The table of retries: every point at which an attempt can fail, and what the client does then.

`ROWS` says what follows a failure for each kind of operation, and why; `retry_operations` has the kinds. The tests next
door hold the client to it, cell by cell, and docs/retries.md to `rendered`.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from typing import Literal, Never

import trio

from alternator_trio import (
    AttemptTimeoutError,
    ConnectError,
    ConnectionLostError,
    Credentials,
    DecodingError,
    ProtocolError,
    ServiceError,
    TlsError,
)
from alternator_trio._transport.wires import AlertError, NothingSentError
from alternator_trio.testing import Answer, Close, Fault, Hang, Reset, Truncate
from tests.client.retry_operations import Kind
from tests.memory_ends import MemoryEnd
from tests.scripted_nodes import Raw

ATTEMPTS = 4
QUOTA = 500
TIMEOUT = {"read": 12.0, "repeatable": 12.0, "schema": 90.0, "other": 12.0}  # the default ones, by kind


@dataclass(frozen=True, slots=True)
class AtDial:
    """What happens in place of a connection, or to one that was made."""

    error: Exception | None = None
    seconds: float = 0.0
    spoil: type[MemoryEnd] | None = None


class BreaksInTheMiddle(MemoryEnd):
    """A connection that takes half of a request, and is reset."""

    async def send(self, data: bytes) -> None:
        await super().send(data[: len(data) // 2])
        self.peer.close(reset=True)
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError from ConnectionResetError("connection reset by peer")


class Alerted(MemoryEnd):
    """A connection that the node ends with an alert as soon as it has a request."""

    async def receive(self) -> Never:
        await trio.lowlevel.checkpoint()
        self.peer.close()
        alert = ssl.SSLError(1, "tlsv1 alert unknown ca")
        alert.reason = "TLSV1_ALERT_UNKNOWN_CA"
        raise AlertError from alert


class BrokenBefore(MemoryEnd):
    """A connection of which the kernel knows that it has ended before it takes a byte."""

    async def send(self, data: bytes) -> None:
        self.peer.close()
        raise NothingSentError from BrokenPipeError("broken pipe")


AT_ONCE, BACKOFF, THROTTLED, SHED = (0.0, 0.0, 0.0), (0.025, 0.05, 0.1), (1.0, 2.0, 4.0), (0.0, 2.0, 4.0)
FREE, FIRST_FREE, FULL, CHEAP = (0, 0, 0), (0, 14, 14), (14, 14, 14), (5, 5, 5)

Outcome = Literal["not sent", "not done", "unknown", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A point at which an attempt can fail.

    Attributes:
        point: Where, and how.
        faults: Ways to bring it about; the first one is tried with every operation, the others with one of each kind.
        error: What is raised when every attempt fails so.
        outcome: What is known of the operation after such an attempt.
        pauses: The longest pause before the second, third and fourth attempt; None: there is none.
        tokens: What these attempts take from the quota.
        lasts: Seconds until the attempt has failed; None: its timeout.
        why: In a sentence.
        pause_text: The pauses in words.
        options: The client's, where the failure takes some.
        sendings: How often each attempt is sent, at once and to the same node.
    """

    point: str
    faults: dict[str, Fault | Raw | AtDial]
    error: type[Exception]
    outcome: Outcome
    pauses: tuple[float, float, float] | None = None
    tokens: tuple[int, int, int] = FREE
    lasts: float | None = 0.0
    why: str
    pause_text: str = ""
    options: dict[str, object] = field(default_factory=dict[str, object])
    sendings: int = 1

    def is_repeated(self, kind: Kind) -> bool:
        """Whether there is another attempt."""
        return self.pauses is not None and not (kind == "other" and self.outcome == "unknown")

    def is_indeterminate(self, kind: Kind) -> bool:
        """Whether the error says that nobody knows."""
        return kind == "other" and self.outcome == "unknown"

    def may_have_happened(self, kind: Kind) -> bool:
        return kind != "read" and self.outcome in {"unknown", "done"}


def _refusal(code: str, status: int = 400) -> Answer:
    return Answer(status=status, body=json.dumps({"__type": f"x#{code}", "message": "no"}).encode())


def _answers(*statuses: int) -> dict[str, Fault | Raw | AtDial]:
    return {str(status): Answer(status=status) for status in statuses}


ROWS = [
    Row(
        point="Before connecting: refused, unreachable",
        faults={"refused": AtDial(ConnectError("refused"))},
        error=ConnectError,
        outcome="not sent",
        pauses=AT_ONCE,
        tokens=FREE,
        why="nothing was sent; the trouble is that node's; it costs no server anything",
        pause_text="none",
    ),
    Row(
        point="Before connecting: no answer within `connect_timeout`",
        faults={"black hole": AtDial(ConnectError("no connection within 2 s"), seconds=2.0)},
        error=ConnectError,
        outcome="not sent",
        pauses=AT_ONCE,
        lasts=2.0,
        why="the same",
        pause_text="none",
    ),
    Row(
        point="Before connecting: TLS fails",
        faults={"tls": AtDial(TlsError("certificate verify failed"))},
        error=TlsError,
        outcome="not sent",
        pauses=AT_ONCE,
        why="the same; another node may have another certificate",
        pause_text="none",
    ),
    Row(
        point="In place of the first answer on a connection: a TLS alert (TLS 1.3 judges a client certificate so late)",
        faults={"alert": AtDial(spoil=Alerted)},
        error=TlsError,
        outcome="not done",
        pauses=AT_ONCE,
        why="the node has ended the handshake and read nothing else; another node may take the certificate",
        pause_text="none",
    ),
    Row(
        point="Before sending: a connection in use had ended, and the kernel takes no byte",
        faults={"broken before": AtDial(spoil=BrokenBefore)},
        error=ConnectionLostError,
        outcome="not sent",
        pauses=AT_ONCE,
        why="nothing was sent",
        pause_text="none",
    ),
    Row(
        point="While sending: reset in the middle of the request",
        faults={"half sent": AtDial(spoil=BreaksInTheMiddle)},
        error=ConnectionLostError,
        outcome="unknown",
        pauses=AT_ONCE,
        tokens=FIRST_FREE,
        why="what the node has read, it may have read to the end; the trouble is that node's",
        pause_text="none",
    ),
    Row(
        point="After sending: reset or closed without a byte of an answer",
        faults={"reset": Reset(), "closed": Close()},
        error=ConnectionLostError,
        outcome="unknown",
        pauses=AT_ONCE,
        tokens=FIRST_FREE,
        why="it may have been executed; the trouble is that node's",
        pause_text="none",
    ),
    Row(
        point="After sending: silence until `attempt_timeout` (`ddl_timeout`)",
        faults={"silence": Hang()},
        error=AttemptTimeoutError,
        outcome="unknown",
        pauses=BACKOFF,
        tokens=FULL,
        lasts=None,
        why="it may still be executed; whoever is slow may be overloaded",
        pause_text="25 ms, doubling",
    ),
    Row(
        point="In the answer: head or body breaks off, the last chunk is missing",
        faults={
            "body breaks off": Truncate(body_bytes=1),
            "head breaks off": Raw(data=b"HTTP/1.1 200 OK\r\nContent-Le", then="close"),
            "head breaks off by reset": Raw(data=b"HTTP/1.1 200 OK\r\nContent-Le", then="reset"),
            "no last chunk": Truncate(body_bytes=10**6, chunked=True),
        },
        error=ConnectionLostError,
        outcome="unknown",
        pauses=AT_ONCE,
        tokens=FIRST_FREE,
        why="part of an answer is no answer, whatever its status; the trouble is that node's",
        pause_text="none",
    ),
    Row(
        point="In the answer: it is no HTTP/1.1",
        faults={
            "no HTTP": Raw(data=b"SSH-2.0-OpenSSH_9.6\r\n", then="close"),
            "no length": Raw(data=b"HTTP/1.1 200 OK\r\n\r\n{}", then="close"),
        },
        error=ProtocolError,
        outcome="unknown",
        pauses=AT_ONCE,
        tokens=FIRST_FREE,
        why="the same",
        pause_text="none",
    ),
    Row(
        point="500, 502, 503, 504",
        faults=_answers(500, 502, 503, 504),
        error=ServiceError,
        outcome="unknown",
        pauses=BACKOFF,
        tokens=FULL,
        why="it may have been executed, in part or after the answer; what is behind the node may be ill for all nodes",
        pause_text="25 ms, doubling",
    ),
    Row(
        point="Throttled: `ProvisionedThroughputExceededException`, `ThrottlingException` and their like; 429",
        faults={
            "throughput": _refusal("ProvisionedThroughputExceededException"),
            "throttling": _refusal("ThrottlingException"),
            "429": Answer(status=429, body=b"<html>slow down</html>"),
        },
        error=ServiceError,
        outcome="not done",
        pauses=THROTTLED,
        tokens=CHEAP,
        why="it was not executed; all nodes would say the same of this table",
        pause_text="1 s, doubling",
    ),
    Row(
        point="Shed: `RequestLimitExceeded`",
        faults={"shed": _refusal("RequestLimitExceeded")},
        error=ServiceError,
        outcome="not done",
        pauses=SHED,
        tokens=CHEAP,
        why="it was not executed; one shard of one node is overloaded, two are a sign that all are",
        pause_text="none, then 2 s, doubling",
    ),
    Row(
        point="`UnrecognizedClientException` within a minute of the first signature by these credentials",
        faults={"new credentials": _refusal("UnrecognizedClientException")},
        error=ServiceError,
        outcome="not done",
        options={"credentials": Credentials("role", "new")},
        sendings=2,
        why="the shard knew an older secret, and has forgotten it now; twice it is the wrong secret",
    ),
    Row(
        point="Any other 4xx, 3xx",
        faults={
            "refused": _refusal("ValidationException"),
            "condition": _refusal("ConditionalCheckFailedException"),
            "denied": _refusal("AccessDeniedException", 403),
            "not found": Answer(status=404, body=b'{"message": "Not found", "code": 404}'),
            "too large": _refusal("PayloadTooLarge", 413),
            "moved": Answer(status=301),
        },
        error=ServiceError,
        outcome="not done",
        why="another attempt would be told the same; redirections are not followed",
    ),
    Row(
        point="Any other status: 501, 505, a 2xx that is not 200",
        faults=_answers(501, 505, 202, 204),
        error=ServiceError,
        outcome="unknown",
        why="nobody promised it: it says neither what happened nor that trying again would help",
    ),
    Row(
        point="200 with a body that is not the promised answer, or larger than `max_response_bytes`",
        faults={
            "unreadable": Answer(status=200, body=b"<html>"),
            "too large": Raw(data=b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", then="close"),
        },
        error=DecodingError,
        outcome="done",
        why="it was executed; the answer would be no better a second time",
    ),
    Row(
        point="5xx with a body larger than `max_response_bytes`",
        faults={"5xx too large": Raw(data=b"HTTP/1.1 500 Oops\r\nContent-Length: 1000000000000\r\n\r\n", then="close")},
        error=DecodingError,
        outcome="done",
        why="it may have been executed; the answer would be no smaller a second time",
    ),
    Row(
        point="3xx, 4xx with a body larger than `max_response_bytes`",
        faults={"4xx too large": Raw(data=b"HTTP/1.1 400 No\r\nContent-Length: 1000000000000\r\n\r\n", then="close")},
        error=DecodingError,
        outcome="not done",
        why="it was refused, and not executed",
    ),
]


def rendered() -> str:
    """The table as docs/retries.md has it."""
    head = "| An attempt fails | Reads | Repeatable writes, schema changes | Other writes | Pause | Tokens | Why |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for row in ROWS:
        reads, repeatable, other = (_cell(row, kind) for kind in ("read", "repeatable", "other"))
        tokens = "" if row.pauses is None else _tokens_text(row.tokens)
        lines.append(f"| {row.point} | {reads} | {repeatable} | {other} | {row.pause_text} | {tokens} | {row.why} |")
    return "\n".join(lines) + "\n"


def _cell(row: Row, kind: Kind) -> str:
    error = "IndeterminateWriteError" if row.is_indeterminate(kind) else row.error.__name__
    again = "sent again to the same node, once; else " if row.sendings > 1 else ""
    again += "repeated, else " if row.is_repeated(kind) else ""
    happened = ", may have happened" if row.may_have_happened(kind) and not row.is_indeterminate(kind) else ""
    return f"{again}`{error}`{happened}"


def _tokens_text(tokens: tuple[int, int, int]) -> str:
    first, *_, last = tokens
    return str(first) if first == last else f"{first}, then {last}"

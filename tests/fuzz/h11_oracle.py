"""h11 as the oracle for answers: where this client reads one otherwise, it is on a list, with the reason.

Rules: what both accept they read alike: status, fields, body. Of what only one of them accepts each case has an entry
here with an example; what has none is a finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import h11

from alternator_trio._wire.http_response import HttpResponse

__all__ = ["ONLY_H11", "ONLY_OURS", "Difference", "read_with_h11", "split", "unexplained"]


class Difference(NamedTuple):
    """Answers that one accepts and the other does not.

    Attributes:
        reason: Why.
        example: One of them.
        holds: Whether an answer is one of them, given its head, interim ones included, and what follows.
    """

    reason: str
    example: bytes
    holds: Callable[[bytes, bytes], object]


def _fields(head: bytes, name: bytes) -> list[bytes]:
    return re.findall(rb"(?i)\n" + name + rb"[ \t]*:[ \t]*([^\r\n]*)", head)


def _has_odd_extension(body: bytes) -> bool:
    """Whether some chunk's size is followed by what is no chunk extension of RFC 9112, 7.1.1."""
    sizes = re.findall(rb"(?:^|\r\n)[0-9a-fA-F]+([^0-9a-fA-F\r](?:[^\r]|\r(?!\n))*)\r\n", body)
    return any(not EXTENSIONS.fullmatch(after) for after in sizes)


_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
EXTENSIONS: Final = re.compile(
    rb"(?:[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*"
)
CONTROL: Final = rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
OK: Final = b"HTTP/1.1 200 OK\r\n"

ONLY_H11: Final = (
    Difference(
        "a line that ends with LF alone: proxies disagree on where such a head ends",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        lambda head, body: re.search(rb"[^\r]\n", head + (body if _fields(head, b"transfer-encoding") else b"")),
    ),
    Difference(
        "a folded field, obsolete since RFC 7230",
        OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        lambda head, _: re.search(rb"\n[ \t]", head),
    ),
    Difference(
        "no length: the body ends with the connection, and cannot be told from a truncated one",
        OK + b"\r\n",
        lambda head, _: not _fields(head, b"content-length") and not _fields(head, b"transfer-encoding"),
    ),
    Difference(
        "a length twice: even if the two agree, whoever wrote the head has not decided where it ends",
        OK + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
        lambda head, _: len(_fields(head, b"content-length")) > 1 or b"," in b"".join(_fields(head, b"content-length")),
    ),
    Difference(
        "chunks and a length: RFC 9112, 6.3 calls it an attempt at smuggling",
        OK + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        lambda head, _: _fields(head, b"content-length") and _fields(head, b"transfer-encoding"),
    ),
    Difference(
        "a control character in a field: who reads it to its end may read another than who ends there",
        OK + b"A: \x01\r\nContent-Length: 0\r\n\r\n",
        lambda head, _: re.search(CONTROL, head),
    ),
    Difference(
        "behind a chunk's size something other than the chunk extensions of RFC 9112",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1;\xb8\r\nx\r\n0\r\n\r\n",
        lambda head, body: _fields(head, b"transfer-encoding") and _has_odd_extension(body),
    ),
    Difference(
        "another version than 1.0 and 1.1, which no node speaks",
        b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
        lambda head, _: re.search(rb"HTTP/(?!1\.[01])\d\.\d", head),
    ),
    Difference(
        "a status beyond 599",
        b"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
        lambda head, _: re.search(rb"HTTP/\d\.\d [6-9]", head),
    ),
)
"""What h11 accepts and this client refuses."""

ONLY_OURS: Final = (
    Difference(
        "a control character in the reason phrase, which is passed over",
        b"HTTP/1.1 200 \0\r\nContent-Length: 0\r\n\r\n",
        lambda head, _: re.search(rb"HTTP/\d\.\d \d{3} ?[^\r\n]*" + CONTROL, head),
    ),
    Difference(
        "a length, or a coding, among the fields behind the last chunk: those fields are passed over",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: x\r\n\r\n",
        lambda head, body: (
            _fields(head, b"transfer-encoding")
            and re.search(rb"(?i)(?:^|\n)0+[^\n]*\n(?:[^\n]+\n)*(?:transfer-encoding|content-length)[ \t]*:", body)
        ),
    ),
    Difference(
        "a 204 or 304 with a length that is none: it has no body, whatever it says",
        b"HTTP/1.1 304 X\r\nTransfer-Encoding: x\r\n\r\n",
        lambda head, _: re.search(rb"HTTP/\d\.\d (?:204|304)", head),
    ),
)
"""What this client accepts and h11 refuses."""


def unexplained(data: bytes, ours: HttpResponse | Exception | None) -> str | None:
    """What the two disagree on without a reason on the list; None when they agree, or for such a reason."""
    theirs = read_with_h11(data)
    head, body = split(data)
    if isinstance(ours, HttpResponse) and isinstance(theirs, tuple):
        read = (ours.status, _as_in_h11(ours.headers), ours.body)
        return None if read == theirs else f"{read} is not h11's {theirs}"
    if isinstance(ours, HttpResponse) and isinstance(theirs, Exception):
        known = any(difference.holds(head, body) for difference in ONLY_OURS)
        return None if known else f"h11 refuses: {theirs!r}"
    if isinstance(ours, Exception) and isinstance(theirs, tuple):
        known = any(difference.holds(head, body) for difference in ONLY_H11)
        return None if known else f"h11 reads {theirs}, and here it is {ours!r}"
    if isinstance(ours, HttpResponse) and theirs is None:
        return f"h11 waits for more of what is {ours!r} here"
    if ours is None and isinstance(theirs, tuple):
        return f"h11 reads {theirs}, and here more is waited for"
    return None  # one of them may refuse what the other waits for: it has seen enough


def _as_in_h11(fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    lower = b"transfer-encoding"
    return {name: value.lower() if name == lower else value for name, value in fields.items()}


def split(data: bytes) -> tuple[bytes, bytes]:
    """The heads of an answer, up to the final one, and the rest."""
    end = re.match(rb"(?s)((HTTP/\d\.\d 1.*?\r?\n\r?\n)*.*?(\r?\n\r?\n|$))(.*)", data)
    return (data, b"") if end is None else (end[1], end[4])


def read_with_h11(data: bytes) -> tuple[int, dict[bytes, bytes], bytes] | Exception | None:
    """Status, fields and body; h11's error; or None as long as there is no whole answer."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**17)
    connection.send(h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    status, fields, body = 0, {}, b""
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status, fields = event.status_code, dict(event.headers)
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return status, fields, body
            elif event is h11.NEED_DATA or event is h11.PAUSED:
                if status and body and not (fields.keys() & {b"content-length", b"transfer-encoding"}):
                    return status, fields, body
                return None
    except h11.RemoteProtocolError as error:
        return error

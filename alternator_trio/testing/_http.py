"""HTTP/1.1 as the embedded nodes speak it, sans-I/O: bytes to requests, answers to bytes.

Rules:

* A connection carries requests one after another; those that arrive together are all parsed and answered in order.
* Heads (give or take one read) and bodies are bounded; a body over the bound is not kept, only reported.
* An answer has a Content-Length, or is chunked when it is one that Alternator streams.
"""

from __future__ import annotations

import http
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final

import httptools

JSON_TYPE: Final = "application/x-amz-json-1.0"
TEXT_TYPE: Final = "text/plain"
REQUEST_LIMIT: Final = 16 * 2**20
HEAD_LIMIT: Final = 64 * 2**10
CHUNK_BYTES: Final = 32 * 2**10


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request, before it is known what it asks for."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    fields: dict[bytes, bytes]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is bytes."""

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    streamed: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=())


class BadRequestError(Exception):
    """The bytes are no HTTP request."""


class RequestParser:
    """Turns received bytes into complete requests; one per connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._complete: list[Request] = []
        self._head_bytes = 0
        self._head_is_new = True
        self.too_large = False
        self.on_message_begin()

    def feed(self, data: bytes) -> list[Request]:
        """The requests that `data` completed.

        Raises:
            BadRequestError: the rest of `data` is no HTTP; `take` still has the requests before it.
        """
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise BadRequestError(str(error)) from error
        self._bound_head(len(data))
        return self.take()

    def take(self) -> list[Request]:
        """The complete requests that were not taken yet."""
        complete, self._complete = self._complete, []
        return complete

    def current(self) -> Request:
        """The request being read, as far as it came and was kept."""
        return Request(
            self._parser.get_method().decode("ascii"),
            self._target.decode("latin-1"),
            tuple(self._headers),
            self._fields,
            self._body[0] if len(self._body) == 1 else b"".join(self._body),
            self._parser.should_keep_alive(),
        )

    def _bound_head(self, received: int) -> None:
        """Count what came of a head that is not complete; httptools itself keeps any amount of it.

        The read in which the head began is not counted: it may hold the end of the request before.
        """
        if not self._in_head:
            return
        self._head_bytes += 0 if self._head_is_new else received
        self._head_is_new = False
        if self._head_bytes > HEAD_LIMIT:
            raise BadRequestError("the head is too long")

    # What httptools calls.

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._fields: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._in_head = True
        self._head_is_new = True
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        self._fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        length = self._fields.get(b"content-length", b"")
        if length.isdigit() and int(length) > REQUEST_LIMIT:
            self.too_large = True

    def on_body(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._body_bytes > REQUEST_LIMIT:
            self.too_large = True
            self._body.clear()
        if not self.too_large:
            self._body.append(data)

    def on_message_complete(self) -> None:
        if not self.too_large:
            self._complete.append(self.current())


class _DateHeader:
    """The Date header, formatted once per second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._second = 0
        self._text = b""

    def line(self) -> bytes:
        now = int(self._clock())
        if now != self._second:
            self._second = now
            self._text = b"Date: " + formatdate(now, usegmt=True).encode() + b"\r\n"
        return self._text


class Renderer:
    """Turns replies into bytes; one per cluster, so that repeated heads are made once.

    `clock` has the seconds since the epoch for the Date header.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._date = _DateHeader(clock)
        self._starts: dict[tuple[int, str], bytes] = {}

    def render(self, reply: Reply, *, keep_alive: bool = True) -> bytes:
        """The whole answer, head and body."""
        head = self.head(reply, keep_alive=keep_alive)
        return head + (chunked(reply.body) if reply.streamed else reply.body)

    def head(self, reply: Reply, *, keep_alive: bool = True) -> bytes:
        """The answer's head up to and with the empty line."""
        start = self._starts.get((reply.status, reply.content_type)) or self._make_start(reply)
        extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers).encode("latin-1")
        if not keep_alive:
            extra += b"Connection: close\r\n"
        framing = b"Transfer-Encoding: chunked\r\n" if reply.streamed else b"Content-Length: %d\r\n" % len(reply.body)
        return start + self._date.line() + extra + framing + b"\r\n"

    def _make_start(self, reply: Reply) -> bytes:
        try:
            phrase = http.HTTPStatus(reply.status).phrase
        except ValueError:
            phrase = "Unknown"
        text = f"HTTP/1.1 {reply.status} {phrase}\r\nContent-Type: {reply.content_type}\r\nServer: Seastar httpd\r\n"
        start = text.encode("latin-1")
        self._starts[reply.status, reply.content_type] = start
        return start


def chunked(body: bytes, *, last_chunk: bool = True) -> bytes:
    """`body` in chunked transfer coding."""
    pieces: list[bytes] = []
    for start in range(0, len(body), CHUNK_BYTES):
        piece = body[start : start + CHUNK_BYTES]
        pieces.append(b"%x\r\n%b\r\n" % (len(piece), piece))
    if last_chunk:
        pieces.append(b"0\r\n\r\n")
    return b"".join(pieces)

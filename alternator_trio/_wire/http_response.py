"""One HTTP/1.1 answer, read incrementally: httptools parses, this file and `http_head` guard.

Rules (httptools by itself has no cap on the head and completes on interim answers):

* A head is at most 64 KiB; more than a handful of interim (1xx) answers, or a protocol switch, are an error.
* Bytes after the answer do not spoil it, but its connection must not be used again. Trailer fields are passed over.
* Nearly every answer arrives whole, under a head that is known: `read_whole` sees that at a glance, and leaves all else
  to a `ResponseReader`, which would read the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httptools

from alternator_trio._wire.http_head import CHUNKED, INTERIM, Head, Heads, MalformedResponseError

__all__ = ["HttpResponse", "MalformedResponseError", "ResponseReader", "ResponseTooLargeError", "read_whole"]

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_INTERIM_RESPONSES: Final = 16
_MAX_CHUNK_OVERHEAD: Final = 16  # bytes of framing per byte of body that a peer may spend, beyond a head's worth
_MAX_PIECES: Final = 16  # of one receive: a piece of two bytes takes fifty, and tiny chunks would multiply a body
_END_OF_HEAD: Final = b"\r\n\r\n"
_BEGINNING: Final = b"HTTP/1."
_TLS_ALERT: Final = b"\x15\x03"
_NO_HEAD: Final = "the head is not HTTP/1.1"
_HEAD_TOO_LONG: Final = f"the head is longer than {MAX_HEAD_BYTES} bytes"
_BEFORE_CHUNKS: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_SWITCHING_PROTOCOLS: Final = 101
_TAIL_BYTES: Final = 5  # the last byte of the last line, its end, and the empty line that ends a chunked body


class ResponseTooLargeError(MalformedResponseError):
    """A body beyond the bound: the answer may be honest, and would not be smaller a second time."""


class HttpResponse:
    """A complete answer.

    Attributes:
        status: 200 to 599.
        headers: Names in lower case; of a repeated field the last value.
        body: The body as it came, not decompressed.
        reusable: Whether the connection may carry another exchange.
    """

    __slots__ = ("body", "headers", "reusable", "status")

    def __init__(self, status: int, headers: Mapping[bytes, bytes], body: bytes, *, reusable: bool) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.reusable = reusable


def read_whole(data: bytes, heads: Heads, max_body_bytes: int) -> HttpResponse | None:
    r"""The answer that ``data`` is, if it is a whole one and nothing more, under a known head; else None.

    Args:
        data: The first bytes that came.
        heads: Those that are known.
        max_body_bytes: The largest body to accept.

    Example:
        >>> heads = Heads()
        >>> head = heads.read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        >>> read_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", heads, 1024).body
        b'{}'
        >>> read_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", heads, 1024)
    """
    end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
    head = heads.known(data[:end])
    if head is None or len(data) - end != head.length or head.length > max_body_bytes:
        return None
    return HttpResponse(head.status, head.headers, data[end:], reusable=head.keep_alive)


class ResponseReader:
    r"""Reads one answer from the bytes of a connection; make a new one for each exchange.

    Args:
        max_body_bytes: The largest body to accept.
        heads: Reads heads.

    Attributes:
        has_begun: Whether any byte of the answer has been seen.

    Example:
        >>> reader = ResponseReader(1024, Heads())
        >>> reader.feed(b"HTTP/1.1 200 OK\r\nContent-Le")
        >>> reader.feed(b"ngth: 2\r\n\r\n{}").body
        b'{}'
    """

    __slots__ = (
        "_body",
        "_body_length",
        "_buffer",
        "_complete",
        "_head",
        "_heads",
        "_interim",
        "_max_body",
        "_overrun",
        "_parser",
        "_received",
        "_tail",
        "has_begun",
    )

    def __init__(self, max_body_bytes: int, heads: Heads) -> None:
        self._max_body = max_body_bytes
        self._heads = heads
        self.has_begun = False
        self._buffer = b""
        self._interim = 0
        self._head: Head | None = None  # the final one, once it is read
        self._body: list[bytes] = []
        self._body_length = 0
        # Of a chunked body:
        self._parser: httptools.HttpResponseParser | None = None
        self._complete = self._overrun = False
        self._received = 0
        self._tail = b""

    @property
    def status(self) -> int:
        """The status of the final head; 0 as long as it has not been read."""
        return 0 if self._head is None else self._head.status

    def feed(self, data: bytes) -> HttpResponse | None:
        """Take bytes as they arrived; return the answer once it is complete.

        Raises:
            MalformedResponseError: See the rules of this module. The connection is of no use any more.
        """
        self.has_begun = True
        head = self._head
        if head is None:
            rest = self._read_heads(self._buffer + data, len(self._buffer))
            head = self._head
            if head is None:
                self._buffer = rest
                return None
            data = rest
        return self._read_chunks(head, data) if head.length == CHUNKED else self._read_length(head, data)

    def feed_eof(self) -> MalformedResponseError:
        """What it means that the connection ended here: never a complete answer."""
        if not self.has_begun:
            return MalformedResponseError("the connection ended before an answer began")
        if self._head is None:
            return MalformedResponseError("the connection ended within the head of an answer")
        return MalformedResponseError("the connection ended before the body was complete")

    # httptools' callbacks; none for fields, so that trailers are passed over

    def on_message_begin(self) -> None:
        if self._complete:
            self._overrun = True

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return  # of something that follows the answer
        self._body.append(body)
        self._body_length += len(body)

    def on_message_complete(self) -> None:
        self._complete = True

    # Below: the parts of the above.

    def _read_heads(self, data: bytes, seen: int) -> bytes:
        """Read heads until a final one; return what follows it, or, when there is none yet, what has been left over.

        Of ``seen`` bytes it is known that no head ends in them: one that drips is not searched anew for each byte.
        """
        while True:
            end = data.find(_END_OF_HEAD, max(0, seen - len(_END_OF_HEAD) + 1))
            if end < 0:
                return _unfinished_head(data, seen)
            seen = 0
            if end > MAX_HEAD_BYTES:
                raise MalformedResponseError(_HEAD_TOO_LONG)
            end += len(_END_OF_HEAD)
            head = self._heads.read(data[:end])
            data = data[end:]
            if head.length != INTERIM:
                self._begin_body(head)
                return data
            self._interim += 1
            if head.status == _SWITCHING_PROTOCOLS or self._interim > MAX_INTERIM_RESPONSES:
                raise MalformedResponseError(f"{self._interim} interim answers, the last with status {head.status}")

    def _begin_body(self, head: Head) -> None:
        self._head = head
        self._buffer = b""
        if head.length == CHUNKED:
            self._parser = httptools.HttpResponseParser(self)
            self._parser.feed_data(_BEFORE_CHUNKS)
        elif head.length > self._max_body:
            length = head.headers[b"content-length"][:40].decode()
            raise ResponseTooLargeError(f"a body of {length} bytes; at most {self._max_body} are accepted")

    def _read_length(self, head: Head, data: bytes) -> HttpResponse | None:
        missing = head.length - self._body_length
        if len(data) < missing:
            self.on_body(data)
            return None
        self._body.append(data[:missing])
        body = b"".join(self._body)
        return HttpResponse(head.status, head.headers, body, reusable=head.keep_alive and len(data) == missing)

    def _read_chunks(self, head: Head, data: bytes) -> HttpResponse | None:
        if not data:
            return None
        assert self._parser is not None  # noqa: S101  # made with the head
        pieces = len(self._body)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                raise MalformedResponseError(f"the chunked body is malformed: {error}") from error
            self._overrun = True  # what follows the answer is no HTTP
        self._received += len(data)
        if len(self._body) - pieces > _MAX_PIECES:
            self._body[pieces:] = [b"".join(self._body[pieces:])]
        tail = self._tail = (self._tail + data[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        if self._body_length > self._max_body:
            raise ResponseTooLargeError(f"a body of more than {self._max_body} bytes")
        if self._received > MAX_HEAD_BYTES + _MAX_CHUNK_OVERHEAD * self._body_length:
            raise MalformedResponseError("a chunked body of almost nothing but framing")
        if not self._complete:
            return None
        self._parser = None  # which refers to this reader: a cycle for the collector
        # llhttp passes over empty lines before the next message: those are bytes after the answer as well.
        overrun = self._overrun or tail[1:] != _END_OF_HEAD or tail[:1] in b"\r\n"
        body = b"".join(self._body)
        return HttpResponse(head.status, head.headers, body, reusable=head.keep_alive and not overrun)


def _unfinished_head(data: bytes, seen: int) -> bytes:
    """The bytes of a head that has no end yet, if they can become one; the first ``seen`` could."""
    if len(data) >= MAX_HEAD_BYTES + len(_END_OF_HEAD):
        raise MalformedResponseError(_HEAD_TOO_LONG)
    if not (data.startswith(_BEGINNING) or _BEGINNING.startswith(data)):
        hint = ": it is TLS; is it an https port?" if data.startswith(_TLS_ALERT) else ""
        raise MalformedResponseError(f"{_NO_HEAD}{hint}")
    start = seen - (data[seen - 1 : seen] == b"\r")
    if data.count(b"\n", start) != data.count(b"\r\n", start):  # no end would ever be found: do not wait for it
        raise MalformedResponseError(f"{_NO_HEAD}: a line that ends without CR")
    return data

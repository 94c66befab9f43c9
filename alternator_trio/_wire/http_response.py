"""One HTTP/1.1 answer, read incrementally: httptools parses, this file guards.

Rules (httptools by itself has no cap on the head, completes on interim answers and accepts ``gzip, chunked``):

* A head is at most 64 KiB; more than a handful of interim (1xx) answers, or a protocol switch, are an error.
* A body is framed by exactly one Content-Length or by ``Transfer-Encoding: chunked`` alone: a body that only the end of
  the connection delimits cannot be told from a truncated one.
* Bytes after the answer do not spoil it, but its connection must not be used again. Trailer fields are passed over.
"""

from __future__ import annotations

from typing import Final

import httptools

__all__ = ["HttpResponse", "MalformedResponseError", "ResponseReader", "ResponseTooLargeError"]

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_INTERIM_RESPONSES: Final = 16
_MAX_CHUNK_OVERHEAD: Final = 16  # bytes of framing per byte of body that a peer may spend, beyond a head's worth
_END_OF_HEAD: Final = b"\r\n\r\n"
_BEGINNING: Final = b"HTTP/1."  # llhttp takes empty lines before it, and HTTP/0.9 and HTTP/2.0 in its place
_NO_HEAD: Final = "the head is not HTTP/1.1"
_HEAD_TOO_LONG: Final = f"the head is longer than {MAX_HEAD_BYTES} bytes"
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_BODILESS: Final = frozenset({204, 304})
_SWITCHING_PROTOCOLS: Final = 101
_FINAL: Final = 200  # RFC 9110, 15.2: everything below is interim
_LAST: Final = 599
_CHUNKED: Final = -1
_MAX_LENGTH_DIGITS: Final = 18
_TAIL_BYTES: Final = 5  # the last byte of the last line, its end, and the empty line that ends a chunked body


class MalformedResponseError(ValueError):
    """The bytes are no acceptable HTTP/1.1 answer; the message says why."""


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

    def __init__(self, status: int, headers: dict[bytes, bytes], body: bytes, *, reusable: bool) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.reusable = reusable


class ResponseReader:
    r"""Reads one answer from the bytes of a connection; make a new one for each exchange.

    Args:
        max_body_bytes: The largest body to accept.

    Example:
        >>> reader = ResponseReader(max_body_bytes=1024)
        >>> reader.feed(b"HTTP/1.1 200 OK\r\nContent-Le")
        >>> reader.feed(b"ngth: 2\r\n\r\n{}").body
        b'{}'
    """

    __slots__ = (
        "_body",
        "_body_length",
        "_buffer",
        "_complete",
        "_headers",
        "_interim",
        "_keep_alive",
        "_length",
        "_lengths",
        "_max_body",
        "_overrun",
        "_parser",
        "_received",
        "_status",
        "_tail",
    )

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body = max_body_bytes
        self._buffer = b""
        self._parser: httptools.HttpResponseParser | None = None
        self._status = 0  # of the final head, once it is read
        self._interim = 0
        self._length = _CHUNKED

    @property
    def status(self) -> int:
        """The status of the final head; 0 as long as it has not been read."""
        return self._status

    @property
    def has_begun(self) -> bool:
        """Whether any byte of the answer has been seen."""
        return bool(self._status or self._buffer or self._interim)

    def feed(self, data: bytes) -> HttpResponse | None:
        """Take bytes as they arrived; return the answer once it is complete.

        Raises:
            MalformedResponseError: See the rules of this module. The connection is of no use any more.
        """
        if not self._status:
            if self._buffer:
                data = self._buffer + data
            rest = self._read_heads(data)
            if rest is None:
                return None
            data = rest
        return self._read_chunks(data) if self._length == _CHUNKED else self._read_length(data)

    def feed_eof(self) -> MalformedResponseError:
        """What it means that the connection ended here: never a complete answer."""
        if not self.has_begun:
            return MalformedResponseError("the connection ended before an answer began")
        if not self._status:
            return MalformedResponseError("the connection ended within the head of an answer")
        return MalformedResponseError("the connection ended before the body was complete")

    # httptools' callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            self._overrun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._status:
            return  # a trailer field, or the head of something that follows the answer
        name = name.lower()
        if name in self._headers and name in _FRAMING:
            # Two of these never agree on where the answer ends.
            self._lengths += 1
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        # Asked any later, llhttp has forgotten the fields of an answer without a body.
        self._keep_alive = self._parser is not None and self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return  # of something that follows the answer
        self._body.append(body)
        self._body_length += len(body)

    def on_message_complete(self) -> None:
        self._complete = True

    def _read_heads(self, data: bytes) -> bytes | None:
        """Read heads until a final one; return what follows it, or None when more bytes are needed."""
        while True:
            end = data.find(_END_OF_HEAD)
            if end < 0:
                self._buffer = _unfinished_head(data)
                return None
            if end > MAX_HEAD_BYTES:
                raise MalformedResponseError(_HEAD_TOO_LONG)
            end += len(_END_OF_HEAD)
            status = self._read_head(data[:end])
            data = data[end:]
            if status >= _FINAL:
                self._status = status
                self._buffer = b""
                return data
            self._interim += 1
            if status == _SWITCHING_PROTOCOLS or self._interim > MAX_INTERIM_RESPONSES:
                raise MalformedResponseError(f"{self._interim} interim answers, the last with status {status}")

    def _read_head(self, head: bytes) -> int:
        """Parse one head and return its status."""
        if not head.startswith(_BEGINNING):
            raise MalformedResponseError(_NO_HEAD)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_length = self._lengths = self._received = 0
        self._complete = self._overrun = False
        self._tail = b""
        self._parser = parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade as error:
            raise MalformedResponseError("the server switches protocols") from error
        except httptools.HttpParserError as error:
            raise MalformedResponseError(f"{_NO_HEAD}: {error}") from error
        if b" \r\n" in head or b"\t\r\n" in head:  # llhttp leaves white space at the end of values
            self._headers = {name: value.rstrip(b" \t") for name, value in self._headers.items()}
        status = parser.get_status_code()
        if status > _LAST:
            raise MalformedResponseError(f"status {status} is none of HTTP's")
        if status >= _FINAL:
            self._length = self._framing(status)
        if self._length != _CHUNKED or status < _FINAL:
            self._parser = None  # which refers to this reader: a cycle for the collector, with every answer
        return status

    def _framing(self, status: int) -> int:
        """The body's length, or `_CHUNKED`."""
        if self._lengths:
            raise MalformedResponseError("several Content-Length or Transfer-Encoding fields")
        if status in _BODILESS:
            return 0
        length = self._headers.get(b"content-length")
        coding = self._headers.get(b"transfer-encoding")
        if coding is not None:
            if length is not None:
                raise MalformedResponseError("both Content-Length and Transfer-Encoding")
            if coding.lower() != b"chunked":
                raise MalformedResponseError(f"unknown Transfer-Encoding {coding[:40]!r}")
            return _CHUNKED
        if length is None:
            raise MalformedResponseError("neither Content-Length nor Transfer-Encoding")
        if not length.isdigit():
            raise MalformedResponseError(f"Content-Length {length[:40]!r} is not a number")
        if len(length) > _MAX_LENGTH_DIGITS or int(length) > self._max_body:
            self._status = status
            raise ResponseTooLargeError(
                f"a body of {length[:40].decode()} bytes; at most {self._max_body} are accepted"
            )
        return int(length)

    def _read_length(self, data: bytes) -> HttpResponse | None:
        missing = self._length - self._body_length
        if len(data) < missing:
            if data:
                self.on_body(data)
            return None
        body = data[:missing]
        if self._body:
            self._body.append(body)
            body = b"".join(self._body)
        return HttpResponse(self._status, self._headers, body, reusable=self._keep_alive and len(data) == missing)

    def _read_chunks(self, data: bytes) -> HttpResponse | None:
        if not data:
            return None
        assert self._parser is not None  # noqa: S101  # the head was read
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                raise MalformedResponseError(f"the chunked body is malformed: {error}") from error
            self._overrun = True  # what follows the answer is no HTTP
        self._received += len(data)
        tail = self._tail = (self._tail + data[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        if self._body_length > self._max_body:
            raise ResponseTooLargeError(f"a body of more than {self._max_body} bytes")
        if self._received > MAX_HEAD_BYTES + _MAX_CHUNK_OVERHEAD * self._body_length:
            raise MalformedResponseError("a chunked body of almost nothing but framing")
        if not self._complete:
            return None
        self._parser = None
        # llhttp passes over empty lines before the next message: those are bytes after the answer as well.
        overrun = self._overrun or tail[1:] != _END_OF_HEAD or tail[:1] in b"\r\n"
        body = b"".join(self._body)
        return HttpResponse(self._status, self._headers, body, reusable=self._keep_alive and not overrun)


def _unfinished_head(data: bytes) -> bytes:
    """The bytes of a head that has no end yet, if they can become one."""
    if len(data) >= MAX_HEAD_BYTES + len(_END_OF_HEAD):
        raise MalformedResponseError(_HEAD_TOO_LONG)
    if not (data.startswith(_BEGINNING) or _BEGINNING.startswith(data)):
        raise MalformedResponseError(_NO_HEAD)
    if data.count(b"\n") != data.count(b"\r\n"):  # no end would ever be found: do not wait for it
        raise MalformedResponseError(f"{_NO_HEAD}: a line that ends without CR")
    return data

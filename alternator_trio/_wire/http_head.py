"""The head of one HTTP/1.1 answer: httptools parses, this file guards and remembers.

Rules (httptools by itself accepts ``gzip, chunked`` and a Content-Length beside it):

* A body is framed by exactly one Content-Length or by ``Transfer-Encoding: chunked`` alone: a body that only the end of
  the connection delimits cannot be told from a truncated one.
* What a head means depends on its bytes alone. A node begins its answers with the same few heads again and again (the
  Date changes once a second), so that they are remembered, byte for byte: to parse one takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httptools

__all__ = ["CHUNKED", "INTERIM", "Head", "Heads", "MalformedResponseError"]

CHUNKED: Final = -1
INTERIM: Final = -2
_MAX_REMEMBERED: Final = 512
_MAX_REMEMBERED_BYTES: Final = 1024  # of one head
_BEGINNING: Final = b"HTTP/1."  # llhttp takes empty lines before it, and HTTP/0.9 and HTTP/2.0 in its place
_NO_HEAD: Final = "the head is not HTTP/1.1"
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_BODILESS: Final = frozenset({204, 304})
_FIRST: Final = 100
_FINAL: Final = 200  # RFC 9110, 15.2: everything below is interim
_LAST: Final = 599
_MAX_LENGTH_DIGITS: Final = 18
_HUGE: Final = 10**_MAX_LENGTH_DIGITS


class MalformedResponseError(ValueError):
    """The bytes are no acceptable HTTP/1.1 answer; the message says why."""


class Head:
    """What a head says.

    Attributes:
        status: 100 to 599.
        headers: Names in lower case; of a repeated field the last value.
        length: Of the body; or `CHUNKED`; or `INTERIM`, when another head follows.
        keep_alive: Whether the connection stays open after the answer.
    """

    __slots__ = ("headers", "keep_alive", "length", "status")

    def __init__(self, status: int, headers: Mapping[bytes, bytes], length: int, *, keep_alive: bool) -> None:
        self.status = status
        self.headers = headers
        self.length = length
        self.keep_alive = keep_alive


class Heads:
    r"""Reads heads, and remembers those that it has read.

    Example:
        >>> heads = Heads()
        >>> heads.read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").length
        2
        >>> heads.known(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").status
        200
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    @property
    def are_none(self) -> bool:
        """Whether nothing that could be remembered has been read so far."""
        return not self._known

    def known(self, data: bytes) -> Head | None:
        """The head that these bytes are, if they were read before."""
        return self._known.get(data)

    def read(self, data: bytes) -> Head:
        """The head that these bytes are, the empty line at its end included.

        Raises:
            MalformedResponseError: See the rules of this module.
        """
        head = self._known.get(data)
        if head is None:
            head = _parse(data)
            if len(data) <= _MAX_REMEMBERED_BYTES:
                if len(self._known) >= _MAX_REMEMBERED:
                    self._known.clear()
                self._known[data] = head
        return head


class _Fields:
    """What httptools calls while it parses one head."""

    __slots__ = ("headers", "keep_alive", "parser", "repeated")

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.repeated = False
        self.keep_alive = False
        self.parser: httptools.HttpResponseParser | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _FRAMING and name in self.headers:
            self.repeated = True  # two of these never agree on where the answer ends
        self.headers[name] = value

    def on_headers_complete(self) -> None:
        # Asked any later, llhttp has forgotten the fields of an answer without a body.
        self.keep_alive = self.parser is not None and self.parser.should_keep_alive()


def _parse(data: bytes) -> Head:
    if not data.startswith(_BEGINNING):
        raise MalformedResponseError(_NO_HEAD)
    fields = _Fields()
    fields.parser = parser = httptools.HttpResponseParser(fields)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade as error:
        raise MalformedResponseError("the server switches protocols") from error
    except httptools.HttpParserError as error:
        raise MalformedResponseError(f"{_NO_HEAD}: {error}") from error
    finally:
        fields.parser = None  # they refer to each other: a cycle for the collector, with every head
    status = parser.get_status_code()
    if not _FIRST <= status <= _LAST:
        raise MalformedResponseError(f"status {status} is none of HTTP's")
    headers = fields.headers
    if b" \r\n" in data or b"\t\r\n" in data:  # llhttp leaves white space at the end of values
        headers = {name: value.rstrip(b" \t") for name, value in headers.items()}
    length = INTERIM if status < _FINAL else _length(status, headers, repeated=fields.repeated)
    return Head(status, headers, length, keep_alive=fields.keep_alive)


def _length(status: int, headers: Mapping[bytes, bytes], *, repeated: bool) -> int:
    """The body's length, or `CHUNKED`."""
    if repeated:
        raise MalformedResponseError("several Content-Length or Transfer-Encoding fields")
    if status in _BODILESS:
        return 0
    length = headers.get(b"content-length")
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise MalformedResponseError("both Content-Length and Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise MalformedResponseError(f"unknown Transfer-Encoding {coding[:40]!r}")
        return CHUNKED
    if length is None:
        raise MalformedResponseError("neither Content-Length nor Transfer-Encoding")
    if not length.isdigit():
        raise MalformedResponseError(f"Content-Length {length[:40]!r} is not a number")
    return int(length) if len(length) <= _MAX_LENGTH_DIGITS else _HUGE

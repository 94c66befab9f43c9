"""The hostile servers, as one list: what each does, and what is then required of a client.

Rules: a row is data, and the only place where its server is described: tests play it for this client, ``tools/hostile``
for all the clients that it compares. The bar is the same for everybody: an error of the client's own that names the
node, in bounded time and memory, no further exchange on a connection in doubt, and the right answer to the next
request. Where an honest reading is possible it is no fault to take it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import struct
import zlib
from collections.abc import Callable
from typing import Final, Literal

from tests.hostile.steps import Bare, Drip, Endless, Fin, Pause, Rst, Send, Silence, Step

__all__ = ["DATA", "DISCOVERY", "ROWS", "TLS", "WHOLE", "Row", "row_named"]

OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ITEM: Final = b'{"Item":{"id":{"S":"hostile"}}}'
TRAP: Final = b"{trap}"
"""Stands for the address, host and port, where nobody may be led."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One hostile server.

    Attributes:
        name: For reports and test ids.
        does: What the server does, in a few words.
        answer: What it plays in place of each answer; of the node list's where ``kind`` says so.
        greeting: What it plays on each connection before a request is read.
        kind: What is asked of it: GetItem, the same over TLS, ``/localnodes`` in the background of GetItem, all pages
            of a Query, or a batch write until it is done.
        lists: The node lists that it answers with, by hosts, in turn; whoever runs the server takes the turns.
        handshake: Whether it speaks TLS where ``kind`` is ``"tls"``; else it plays the greeting on the bare connection.
        requires: Whether the client must fail, must have the item, or may do either.
        ours: The class of this client's error; "" where it succeeds.
        says: What this client's error says.
        reusable: Whether the connection is in order afterwards and may be used again, by who could read the answer.
        slow: Whether only a timeout ends it.
        large: Whether a careless client needs much memory for it.
    """

    name: str
    does: str
    answer: tuple[Step, ...] = ()
    greeting: tuple[Step, ...] = ()
    kind: Literal["data", "tls", "discovery", "pages", "batch"] = "data"
    lists: tuple[tuple[str, ...], ...] = ()
    handshake: bool = True
    requires: Literal["error", "answer", "either"] = "error"
    ours: str = ""
    says: str = ""
    reusable: bool = False
    slow: bool = False
    large: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where it listens: at the seed, and at whatever else it may list."""
        return ("127.0.0.1", *itertools.chain.from_iterable(self.lists))


def whole(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A complete answer with a right Content-Length."""
    lines = (b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@functools.cache
def bomb(mebibytes: int = 1024) -> bytes:
    """So many MiB of blanks in gzip, a thousandth of that on the wire, and an item at the end."""
    blanks = b" " * 2**20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)  # which can be repeated
    end = packer.compress(ITEM) + packer.flush()
    checksum = 0
    for _ in range(mebibytes):
        checksum = zlib.crc32(blanks, checksum)
    size = mebibytes * 2**20 + len(ITEM)
    return packed(b"")[:10] + block * mebibytes + end + struct.pack("<II", zlib.crc32(ITEM, checksum), size % 2**32)


def packed(body: bytes) -> bytes:
    return zlib.compress(body, 9, 31)


def gzipped(body: Callable[[], bytes], coding: bytes = b"gzip") -> Send:
    return Send(lambda: whole(body(), b"Content-Encoding: " + coding))


@functools.cache
def half_a_million_nodes() -> bytes:
    return whole(json.dumps([f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(500_000)]).encode())


WHOLE: Final = whole(ITEM)
_DEEP: Final = b'{"Item":' + b'{"M":' * 50_000 + b"1" + b"}" * 50_000 + b"}"
_LISTED: Final = b'["127.0.0.1"]'
_PROTOCOL: Final = "ProtocolError"
_UNREADABLE: Final = "DecodingError"
_LOST: Final = "ConnectionLostError"
_TIMEOUT: Final = "AttemptTimeoutError"
_SERVICE: Final = "UnknownServiceError"

_BODIES: Final = (
    Row(name="malformed JSON", does='200, `{"Item": }`', answer=(Send(whole(b'{"Item": }')),), ours=_UNREADABLE,
        says="the body cannot be read", reusable=True),
    Row(name="truncated JSON", does="200, half of an object, in full length", answer=(Send(whole(ITEM[:-9])),),
        ours=_UNREADABLE, says="the body cannot be read", reusable=True),
    Row(name="array", does="`[]`", answer=(Send(whole(b"[]")),), ours=_UNREADABLE, says="JSON list", reusable=True),
    Row(name="HTML 200", does="200 with a proxy's HTML page", ours=_UNREADABLE, says="the body cannot be read",
        answer=(Send(whole(b"<html><body>It works!</body></html>", b"Content-Type: text/html")),), reusable=True),
    Row(name="empty 200", does="200 without a body", answer=(Send(whole(b"")),), ours=_UNREADABLE,
        says="the body cannot be read", reusable=True),
    Row(name="204", does="204 No Content", answer=(Send(b"HTTP/1.1 204 No Content\r\n\r\n"),), ours=_SERVICE,
        says="HTTP204", reusable=True),
    Row(name="invalid UTF-8", does="a string with the byte ff", answer=(Send(whole(ITEM.replace(b"hos", b"\xff"))),),
        ours=_UNREADABLE, says="the body cannot be read", reusable=True),
    Row(name="deep JSON", does="an item nested 50 000 deep", answer=(Send(whole(_DEEP)),), ours=_UNREADABLE,
        says="the body cannot be read", reusable=True),
    Row(name="NaN", does="NaN, which JSON does not have", ours=_UNREADABLE, says="the body cannot be read",
        answer=(Send(whole(ITEM.replace(b"}}}", b'}},"Count":NaN}'))),), reusable=True),
    Row(name="10^400", does="a number of 401 digits", requires="either", ours=_UNREADABLE, says="cannot be read",
        answer=(Send(whole(ITEM.replace(b"}}}", b'}},"Count":1' + b"0" * 400 + b"}"))),), reusable=True),
    Row(name="duplicate keys", does="two members named Item, of which the last counts", requires="either",
        answer=(Send(whole(b'{"Item":{"id":{"S":"no"}},' + ITEM[1:])),), reusable=True),
    Row(name="wrong checksum", does="an x-amz-crc32 of another body", ours=_UNREADABLE, says="x-amz-crc32",
        answer=(Send(whole(ITEM, b"x-amz-crc32: 1")),), reusable=True),
    Row(name="long error", does="500 with 512 KiB of message", ours="InternalServerError", reusable=True,
        answer=(Send(lambda: whole(b'{"__type":"InternalServerError","message":"' + b"a" * 2**19 + b'"}',
                                   status=b"500 Oops")),)),
    Row(name="deep error", does="400, nested 50 000 deep", answer=(Send(whole(_DEEP, status=b"400 Bad Request")),),
        ours=_SERVICE, says="HTTP400", reusable=True),
    Row(name="HTML 502", does="a proxy's 502", ours=_SERVICE, says="HTTP502", reusable=True,
        answer=(Send(whole(b"<h1>Bad Gateway</h1>", status=b"502 Bad Gateway")),)),
)  # fmt: skip

_FRAMES: Final = (
    Row(name="length short", does="Content-Length 10, 31 bytes of body", ours=_UNREADABLE, says="cannot be read",
        answer=(Send(OK + b"Content-Length: 10\r\n\r\n" + ITEM),)),
    Row(name="length long", does="Content-Length 100, 31 bytes, FIN", ours=_LOST, says="before the body was complete",
        answer=(Send(OK + b"Content-Length: 100\r\n\r\n" + ITEM), Fin())),
    Row(name="length long, silent", does="Content-Length 100, 31 bytes, silence", ours=_TIMEOUT, slow=True,
        answer=(Send(OK + b"Content-Length: 100\r\n\r\n" + ITEM), Silence())),
    Row(name="length negative", does="Content-Length: -31", ours=_PROTOCOL,
        answer=(Send(OK + b"Content-Length: -31\r\n\r\n" + ITEM),)),
    Row(name="length twice", does="Content-Length 31 and 10", ours=_PROTOCOL,
        answer=(Send(OK + b"Content-Length: 31\r\nContent-Length: 10\r\n\r\n" + ITEM),)),
    Row(name="length and chunked", does="Content-Length and Transfer-Encoding: chunked", ours=_PROTOCOL,
        answer=(Send(OK + b"Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(ITEM) + b"0\r\n\r\n"),)),
    Row(name="length of 10^15", does="Content-Length: 1000000000000000", ours=_UNREADABLE, says="too large",
        answer=(Send(OK + b"Content-Length: 1000000000000000\r\n\r\n" + ITEM), Silence())),
    Row(name="no length", does="neither length nor chunks, then FIN", requires="either", ours=_PROTOCOL,
        answer=(Send(OK + b"\r\n" + ITEM), Fin())),
    Row(name="no last chunk", does="chunks, then FIN before the last one", ours=_LOST,
        answer=(Send(CHUNKED + chunk(ITEM)), Fin())),
    Row(name="chunk without size", does="a chunk of size `xyz`", ours=_PROTOCOL, answer=(Send(CHUNKED + b"xyz\r\n"),)),
    Row(name="gzip, chunked", reusable=True, does="Transfer-Encoding: gzip, chunked", requires="either", ours=_PROTOCOL,
        answer=(Send(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk(packed(ITEM)) + b"0\r\n\r\n"),)),
    Row(name="bare LF", reusable=True, does="lines that end with LF alone", requires="either", ours=_PROTOCOL,
        answer=(Send(WHOLE.replace(b"\r\n", b"\n")),)),
    Row(name="folded header", reusable=True, does="a field over two lines", requires="either", ours=_PROTOCOL,
        answer=(Send(whole(ITEM, b"X: a\r\n b")),)),
    Row(name="1 MiB header", does="a field of 1 MiB", ours=_PROTOCOL, says="longer than",
        answer=(Send(lambda: whole(ITEM, b"X: " + b"a" * 2**20)),)),
    Row(name="20 000 headers", does="20 000 fields", ours=_PROTOCOL, says="longer than",
        answer=(Send(lambda: whole(ITEM, *(b"X-%d: a" % n for n in range(20_000)))),)),
    Row(name="1 000 interim answers", reusable=True, does="1 000 times 100 Continue, then the answer",
        requires="either", ours=_PROTOCOL, says="interim",
        answer=(Send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + WHOLE),)),
    Row(name="interim answers without end", does="100 Continue, for ever", ours=_PROTOCOL, says="interim",
        answer=(Endless(b"HTTP/1.1 100 Continue\r\n\r\n"),)),
    Row(name="101", does="101 Switching Protocols", ours=_PROTOCOL,
        answer=(Send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),)),
    Row(name="not HTTP", does="an SSH banner", ours=_PROTOCOL, answer=(Send(b"SSH-2.0-OpenSSH_9.6\r\n"),)),
    Row(name="status 999", reusable=True, does="a status that HTTP does not have", ours=_PROTOCOL,
        answer=(Send(whole(ITEM, status=b"999 Eh")),)),
    Row(name="HTTP/1.0", does="an HTTP/1.0 answer", requires="answer", answer=(Send(WHOLE.replace(b"1.1", b"1.0")),)),
)  # fmt: skip

_ORDER: Final = (
    Row(name="answer before the request", does="an answer as soon as the connection stands", requires="either",
        greeting=(Send(WHOLE),), answer=(Send(WHOLE),), ours="?"),
    Row(name="two answers", does="two answers to one request, together", requires="either",
        answer=(Send(WHOLE + whole(b'{"Item":{"id":{"S":"stray"}}}')),)),
    Row(name="two answers, apart", does="the second 10 ms after the first", requires="either",
        answer=(Send(WHOLE), Pause(0.01), Send(whole(b'{"Item":{"id":{"S":"stray"}}}')))),
    Row(name="leftover bytes", does="an answer and some bytes", requires="either", answer=(Send(WHOLE + b"garbage"),)),
    Row(name="leftover bytes, apart", does="the bytes 10 ms after the answer", requires="either",
        answer=(Send(WHOLE), Pause(0.01), Send(b"garbage"))),
    Row(name="FIN", does="no answer, FIN", ours=_LOST, answer=(Fin(),)),
    Row(name="RST", does="no answer, RST", ours=_LOST, answer=(Rst(),)),
    Row(name="RST in the body", does="half a body, RST", ours=_LOST, answer=(Send(WHOLE[:-9]), Rst())),
    Row(name="a byte every half second", does="a right answer, at 2 bytes/s", ours=_TIMEOUT, slow=True,
        answer=(Drip(WHOLE, 0.5),)),
    Row(name="a body byte every half second", does="a whole head, then 2 bytes/s", ours=_TIMEOUT, slow=True,
        answer=(Send(WHOLE[: -len(ITEM)]), Drip(ITEM, 0.5))),
    Row(name="silence", does="nothing at all", ours=_TIMEOUT, slow=True, answer=(Silence(),)),
    Row(name="redirect 301", does="301 to another server", ours=_SERVICE, says="HTTP301", reusable=True,
        answer=(Send(whole(b"", b"Location: http://" + TRAP + b"/", status=b"301 Moved Permanently")),)),
    Row(name="redirect 307", does="307 to another server", ours=_SERVICE, says="HTTP307", reusable=True,
        answer=(Send(whole(b"", b"Location: http://" + TRAP + b"/", status=b"307 Temporary Redirect")),)),
)  # fmt: skip

_FLOODS: Final = (
    Row(name="endless body", does="chunks for ever", ours=_UNREADABLE, says="too large", large=True,
        answer=(Send(CHUNKED), Endless(chunk(b" " * 65_000)))),
    Row(name="endless body without length", does="no length, bytes for ever", ours=_PROTOCOL, large=True,
        answer=(Send(OK + b"\r\n"), Endless(b" " * 65_000))),
    Row(name="endless head", does="fields for ever", ours=_PROTOCOL, says="longer than", large=True,
        answer=(Send(OK), Endless(b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"))),
    Row(name="endless line", does="one field for ever", ours=_PROTOCOL, says="longer than", large=True,
        answer=(Send(OK + b"X: "), Endless(b"a" * 1000))),
    Row(name="endless chunk extension", does="a chunk's size line for ever", ours=_PROTOCOL, large=True,
        answer=(Send(CHUNKED + b"1"), Endless(b";a=b"))),
    Row(name="endless trailer", does="fields after the body, for ever", ours=_PROTOCOL, large=True,
        answer=(Send(CHUNKED + chunk(ITEM) + b"0\r\n"), Endless(b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"))),
    Row(name="tiny chunks", does="60 MiB in chunks of two bytes", requires="either", ours=_UNREADABLE, large=True,
        answer=(Send(CHUNKED), Endless(chunk(b"  "), 30 * 2**20), Send(chunk(ITEM) + b"0\r\n\r\n")), reusable=True),
    Row(name="gzip bomb", does="1 MiB of gzip that unpacks to 1 GiB", requires="either", ours=_UNREADABLE,
        says="unpacks to more than", large=True, answer=(gzipped(bomb),), reusable=True),
    Row(name="nested gzip bomb", does="the same, packed twice", requires="either", ours=_UNREADABLE,
        says="encoded more than once", large=True, answer=(gzipped(lambda: packed(bomb()), b"gzip, gzip"),),
        reusable=True),
    Row(name="gzip corrupt", does="gzip with a byte turned", ours=_UNREADABLE, says="corrupt", reusable=True,
        answer=(gzipped(lambda: packed(ITEM)[:15] + b"\0" + packed(ITEM)[16:]),)),
    Row(name="gzip truncated", does="gzip without its end, in full length", ours=_UNREADABLE, says="incomplete",
        answer=(gzipped(lambda: packed(ITEM)[:-6]),), reusable=True),
    Row(name="gzip and more", does="bytes after the end of gzip", requires="either", ours=_UNREADABLE,
        says="followed by other data", answer=(gzipped(lambda: packed(ITEM) + b"more"),), reusable=True),
    Row(name="unknown coding", does="Content-Encoding: rot13", requires="either", ours=_UNREADABLE, says="rot13",
        answer=(gzipped(lambda: ITEM, b"rot13"),), reusable=True),
)  # fmt: skip

DATA: Final = (*_BODIES, *_FRAMES, *_ORDER, *_FLOODS)

_RECORD: Final = b"\x17\x03\x03\x00\x40"  # the head of a record of 64 bytes
_HALF_A_RECORD: Final = (Send(WHOLE[:-9]), Bare(_RECORD + b"\xff" * 20))

TLS: Final = (
    Row(name="TLS: silence", does="no word after the ClientHello", kind="tls", handshake=False, ours="ConnectError",
        says="no connection within", greeting=(Silence(),), slow=True),
    Row(name="TLS: a byte every half second", does="a ServerHello at 2 bytes/s", kind="tls", handshake=False,
        ours="ConnectError", says="no connection within", slow=True,
        greeting=(Drip(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + b"\0" * 40, 0.5), Silence())),
    Row(name="TLS: plain HTTP", does="a plain 400 to the ClientHello", kind="tls", handshake=False, ours="TlsError",
        says="does not speak TLS", greeting=(Send(whole(b"", status=b"400 Bad Request")), Fin())),
    Row(name="TLS: FIN", does="FIN after the ClientHello", kind="tls", handshake=False, ours="TlsError",
        greeting=(Fin(),)),
    Row(name="TLS: garbage", does="noise after the ClientHello", kind="tls", handshake=False, ours="TlsError",
        greeting=(Send(b"\x16\x03\x03\x00\x05\xff\xff\xff\xff\xff"), Fin())),
    Row(name="TLS: cut in the body", does="half a body, then TCP's end without TLS's", kind="tls", ours=_LOST,
        answer=(Send(OK + b"Content-Length: 100\r\n\r\n" + ITEM), Fin())),
    Row(name="TLS: cut before the last chunk", does="the same with chunks", kind="tls", ours=_LOST,
        answer=(Send(CHUNKED + chunk(ITEM)), Fin())),
    Row(name="TLS: cut in a record", does="half a body, half a record, then TCP's end", kind="tls", ours=_LOST,
        answer=(*_HALF_A_RECORD, Fin())),
    Row(name="TLS: silence in a record", does="half a body, half a record, silence", kind="tls", ours=_TIMEOUT,
        answer=(*_HALF_A_RECORD, Silence()), slow=True),
    Row(name="TLS: noise in a record", does="half a body, then a record that nobody encrypted", kind="tls", ours=_LOST,
        answer=(Send(WHOLE[:-9]), Bare(_RECORD + b"\xff" * 64), Silence())),
    Row(name="TLS: cut without length", does="a body that only the end delimits, and the end cut", kind="tls",
        ours=_PROTOCOL, answer=(Send(OK + b"\r\n" + ITEM), Fin())),
    Row(name="TLS: two answers", does="two answers to one request, in two records", kind="tls", requires="answer",
        answer=(Send(WHOLE), Send(whole(b'{"Item":{"id":{"S":"stray"}}}')))),
)  # fmt: skip

_BAD_LISTS: Final = tuple(
    Row(name=f"/localnodes: {name}", does=does, answer=script, kind="discovery", requires="answer",
        slow=name == "silence", large=name in {"500 000 nodes", "endless", "gzip bomb"})
    for name, does, script in (
        ("malformed", '`["127.0.0.1"`', (Send(whole(_LISTED[:-1])),)),
        ("HTML", "200 with HTML", (Send(whole(b"<html>")),)),
        ("CRLF", "an address with CR LF and a header in it",
         (Send(whole(b'["127.0.0.1","127.0.0.1\\r\\nX: y","127.0.0.1 /"]')),)),
        ("hostile addresses", "0.0.0.0, 169.254.169.254, multicast, `127.1`, names with `#`, `@`, `/`",
         (Send(whole(b'["127.0.0.1","0.0.0.0","::","169.254.169.254","224.0.0.1","255.255.255.255","127.1",'
                     b'"2130706433","0x7f.1","a@evil","evil#","evil/x","fe80::1%lo","","\\u0000",7,null,["127.0.0.1"]]')),
          )),
        ("500 000 nodes", "7 MB of addresses", (Send(half_a_million_nodes),)),
        ("deep", "nested 50 000 deep", (Send(whole(b"[" * 50_000 + b"]" * 50_000)),)),
        ("endless", "an answer for ever", (Send(CHUNKED), Endless(chunk(b'["127.0.0.1",' * 1000)))),
        ("redirect", "307 to another server",
         (Send(whole(b"", b"Location: http://" + TRAP + b"/localnodes", status=b"307 Temporary Redirect")),)),
        ("gzip bomb", "the list as 1 GiB in gzip, unasked", (gzipped(bomb),)),
        ("silence", "no answer", (Silence(),)),
        ("empty", "`[]`", (Send(whole(b"[]")),)),
    )
)  # fmt: skip
_FLAPPING: Final = Row(name="/localnodes: flapping", does="two lists of four nodes, in turn, 1.2 s each",
    kind="discovery", requires="answer",
    lists=tuple(tuple(f"127.0.0.{first + n}" for n in range(4)) for first in (2, 6)))  # fmt: skip

DISCOVERY: Final = (*_BAD_LISTS, _FLAPPING)

_FOR_EVER: Final = (
    Row(name="the same LastEvaluatedKey", does="each page says that this key was its last", kind="pages",
        requires="either", reusable=True,
        answer=(Send(whole(b'{"Items":[],"Count":0,"ScannedCount":0,"LastEvaluatedKey":{"id":{"S":"hostile"}}}')),)),
    Row(name="UnprocessedItems", does="no batch is ever done", kind="batch", requires="either", reusable=True,
        answer=(Send(whole(b'{"UnprocessedItems":{"hostile":[{"PutRequest":{"Item":{"id":{"S":"hostile"}}}}]}}')),)),
)  # fmt: skip

ROWS: Final = (*DATA, *TLS, *DISCOVERY, *_FOR_EVER)


def row_named(name: str) -> Row:
    """The row of that name."""
    return next(row for row in ROWS if row.name == name)

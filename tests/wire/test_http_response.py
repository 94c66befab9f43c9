"""Answers read from bytes: what is accepted, what is refused, where an answer ends; h11 is the oracle."""

from __future__ import annotations

import contextlib
import itertools

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alternator_trio._wire.http_head import Heads
from alternator_trio._wire.http_response import (
    MAX_HEAD_BYTES,
    MAX_INTERIM_RESPONSES,
    HttpResponse,
    MalformedResponseError,
    ResponseReader,
    read_whole,
)

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"Content-Length: 2\r\n\r\n{}"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SHORT_CHUNKED = CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"


def read(*parts: bytes, max_body_bytes: int = 1024) -> HttpResponse | None:
    """The answer that the parts, fed one after another, amount to; None when they end before it does."""
    reader = ResponseReader(max_body_bytes, Heads())
    for part in parts:
        response = reader.feed(part)
        if response is not None:
            return response
    return None


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def said(response: HttpResponse | None):
    return response and (response.status, response.headers, response.body)


# What is accepted


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (PLAIN, 200, b"{}"),
        (OK + b"content-length:0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nwho", 400, b"who"),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}"),
        (SHORT_CHUNKED, 200, b"{}"),
        (CHUNKED + b"1;x=y\r\n{\r\n0001\r\n}\r\n000\r\n\r\n", 200, b"{}"),
        (OK + b"Transfer-Encoding: Chunked \r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200, b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n", 304, b""),
        (b"HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n", 599, b""),
    ],
)
@pytest.mark.parametrize("split", [lambda data: [data], bytewise], ids=["whole", "byte by byte"])
def test_a_well_formed_answer_is_read(data, status, body, split):
    """Status and body of each row are read, however the bytes come."""
    response = read(*split(data))
    assert response is not None
    assert (response.status, response.body) == (status, body)
    assert response.reusable


def test_names_are_lower_case_and_the_last_value_of_a_field_wins():
    """Field names are looked up in lower case; of a repeated field the last value stands."""
    response = read(OK + b"X-Amz: 1\r\nx-aMZ: 2\r\nContent-Length: 0\r\n\r\n")
    assert response is not None
    assert response.headers[b"x-amz"] == b"2"


def test_white_space_around_a_value_is_no_part_of_it():
    """Optional white space is stripped, on both sides, and kept within."""
    response = read(OK + b"A: \t b \tc \t \r\nContent-Length: 0\r\n\r\n")
    assert response is not None
    assert response.headers[b"a"] == b"b \tc"


def test_trailer_fields_do_not_become_headers():
    """What comes after a chunked body cannot replace a field of the head, nor add one."""
    response = read(
        OK + b"Transfer-Encoding: chunked\r\nA: b\r\n\r\n2\r\n{}\r\n0\r\nA: c\r\nContent-Encoding: gzip\r\n\r\n"
    )
    assert response is not None
    assert response.headers == {b"transfer-encoding": b"chunked", b"a": b"b"}
    assert response.reusable


# Interim answers


@pytest.mark.parametrize("split", [lambda data: [data], bytewise], ids=["whole", "byte by byte"])
def test_interim_answers_are_passed_over(split):
    """100 and 103, with fields of their own, come before the answer and leave nothing in it."""
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 7\r\n\r\n"
    response = read(*split(early + PLAIN))
    assert said(response) == (200, {b"content-length": b"2"}, b"{}")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM_RESPONSES + 1) + PLAIN,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + PLAIN,
    ],
    ids=["too many", "upgrade", "bare 101"],
)
def test_a_flood_of_interim_answers_or_a_switch_of_protocols_is_refused(data):
    """Nobody asked for either."""
    with pytest.raises(MalformedResponseError, match=r"interim|switches|Upgrade"):
        read(data)


# What is refused

MALFORMED = {
    "no http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "tls alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "empty line first": b"\r\n" + PLAIN,
    "other protocol": PLAIN.replace(b"HTTP/1.1", b"RTSP/1.0"),
    "HTTP/2.0": PLAIN.replace(b"1.1", b"2.0"),
    "HTTP/0.9": PLAIN.replace(b"1.1", b"0.9"),
    "status 099": PLAIN.replace(b"200", b"099"),
    "status 600": PLAIN.replace(b"200", b"600"),
    "status 99": PLAIN.replace(b"200", b"099"),
    "status of four digits": PLAIN.replace(b"200", b"2000"),
    "bare LF after the status line": OK.replace(b"\r\n", b"\n") + b"Content-Length: 2\r\n\r\n{}",
    "bare LF at the end of the head": OK + b"Content-Length: 2\n\n{}",
    "bare LF before the empty line": OK + b"Content-Length: 2\n\r\n{}",
    "folded field": OK + b"A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}",
    "space before the colon": OK + b"Content-Length : 2\r\n\r\n{}",
    "NUL in a value": OK + b"A: \0\r\nContent-Length: 2\r\n\r\n{}",
    "no framing": OK + b"\r\n{}",
    "negative length": OK + b"Content-Length: -2\r\n\r\n{}",
    "signed length": OK + b"Content-Length: +2\r\n\r\n{}",
    "list of lengths": OK + b"Content-Length: 2, 2\r\n\r\n{}",
    "empty length": OK + b"Content-Length:\r\n\r\n{}",
    "hexadecimal length": OK + b"Content-Length: 0x2\r\n\r\n{}",
    "length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length beyond 64 bits": OK + b"Content-Length: 99999999999999999999\r\n\r\n",
    "length and chunked": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "chunked and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
    "gzip, chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "gzip": OK + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunk size of no digits": CHUNKED + b"\r\n{}\r\n",
    "chunk size of other digits": CHUNKED + b"g\r\n{}\r\n",
    "negative chunk size": CHUNKED + b"-2\r\n{}\r\n",
    "chunk size beyond 64 bits": CHUNKED + b"10000000000000002\r\n{}\r\n",
    "chunk without its end": CHUNKED + b"2\r\n{}0\r\n\r\n",
    "bare LF after a chunk size": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("split", [lambda data: [data], bytewise], ids=["whole", "byte by byte"])
def test_a_malformed_answer_is_refused(data, split):
    """Each row is refused by the time its bytes are there: nobody waits for more of them."""
    with pytest.raises(MalformedResponseError):
        read(*split(data))


def test_a_head_of_64_kib_is_read_and_a_longer_one_refused():
    """The bound holds exactly, whether the head comes whole or but for its last byte."""
    padding = MAX_HEAD_BYTES - len(OK + b"Content-Length: 0\r\nA: ")
    longest = OK + b"Content-Length: 0\r\nA: " + b"a" * padding + b"\r\n\r\n"
    for parts in ([longest], [longest[:-1], longest[-1:]]):
        assert read(*parts) is not None
    longer = longest.replace(b"A: ", b"A: a")
    for parts in ([longer], [longer[:-1], longer[-1:]]):
        with pytest.raises(MalformedResponseError, match="longer than 65536"):
            read(*parts)


ENDLESS = {
    "head": (OK, b"A: " + b"a" * 1000 + b"\r\n"),
    "line": (OK, b"a" * 1000),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\nA: " + b"a" * 1000 + b"\r\n\r\n"),
    "chunk extension": (CHUNKED + b"1", b";" + b"a" * 1000),
    "trailer": (CHUNKED + b"1\r\n{\r\n0\r\n", b"A: " + b"a" * 1000 + b"\r\n"),
    "chunked body": (CHUNKED, b"400\r\n" + b"a" * 1024 + b"\r\n"),
    "one chunk": (CHUNKED + b"fffffffffffffff\r\n", b"a" * 1000),
}


def test_an_alert_of_tls_is_told_from_other_bytes() -> None:
    """An http seed that names an https port: the message asks whether it does."""
    with pytest.raises(MalformedResponseError, match="is it an https port"):
        read(b"\x15\x03\x01\x00\x02\x02\x46")


@pytest.mark.parametrize(("beginning", "more"), ENDLESS.values(), ids=ENDLESS)
def test_nothing_is_taken_without_end(beginning, more):
    """A peer that goes on for ever is refused within 2 MiB, whatever it goes on with."""
    reader = ResponseReader(2**18, Heads())
    reader.feed(beginning)
    with pytest.raises(MalformedResponseError):
        for _ in range(2**21 // len(more)):
            reader.feed(more)


@pytest.mark.parametrize(
    "data",
    [OK + b"Content-Length: 5\r\n\r\n", CHUNKED + b"5\r\nabcde\r\n0\r\n\r\n", CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n"],
    ids=["length", "one chunk", "chunks"],
)
def test_a_body_over_the_bound_is_refused(data):
    """A body of more than `max_body_bytes` is an error; a declared length before the first byte of it."""
    with pytest.raises(MalformedResponseError, match=r"\b4\b"):
        read(data, max_body_bytes=4)


@pytest.mark.parametrize("data", [OK + b"Content-Length: 4\r\n\r\nabcd", CHUNKED + b"4\r\nabcd\r\n0\r\n\r\n"])
def test_a_body_of_the_bound_is_read(data):
    """Exactly `max_body_bytes` are accepted."""
    response = read(data, max_body_bytes=4)
    assert response is not None
    assert response.body == b"abcd"


# Where an answer ends


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "before an answer began"),
        (b"HTTP/1.1 2", "within the head"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "within the head"),
        (PLAIN[:-1], "before the body was complete"),
        (OK + b"Content-Length: 2\r\n\r\n", "before the body was complete"),
        (CHUNKED, "before the body was complete"),
        (SHORT_CHUNKED[:-2], "before the body was complete"),
        (SHORT_CHUNKED[:-5], "before the body was complete"),
    ],
)
def test_an_end_of_the_connection_is_never_the_end_of_an_answer(data, expected):
    """Where the connection ends, the error says how far the answer had come; a missing last chunk is one."""
    reader = ResponseReader(1024, Heads())
    assert not data or reader.feed(data) is None
    assert expected in str(reader.feed_eof())


@pytest.mark.parametrize("answer", [PLAIN, SHORT_CHUNKED], ids=["length", "chunked"])
@pytest.mark.parametrize(
    "stray",
    [
        b"x",
        b"\r\n",
        b"\n",
        b"HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
    ids=["byte", "empty line", "line feed", "answer", "switch of protocols", "chunked answer"],
)
def test_bytes_after_an_answer_do_not_spoil_it_but_its_connection(answer, stray):
    """The answer is delivered as without them, and the connection is not to be used again."""
    alone = read(answer)
    followed = read(answer + stray)
    assert alone is not None
    assert followed is not None
    assert said(followed) == said(alone)
    assert alone.reusable
    assert not followed.reusable


@pytest.mark.parametrize("cut", range(1, 8))
def test_an_empty_line_after_a_chunked_answer_is_seen_in_any_split(cut):
    """The stray line counts when it arrives together with the answer's last byte, wherever that part begins."""
    data = SHORT_CHUNKED + b"\r\n"
    response = read(data[:-cut], data[-cut:])
    assert response is not None
    assert response.reusable == (cut == 2)  # then the answer was complete before the line came


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x-y, close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", True),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_connection_close_and_http_1_0_end_the_connection(head, reusable):
    """A connection is used again only when the peer keeps it open."""
    for rest in (b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"):
        response = read(head + rest)
        assert response is not None
        assert response.reusable is reusable


def test_an_interim_answer_that_says_close_does_not_speak_for_the_answer():
    """Only the final head decides about the connection."""
    response = read(b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + PLAIN)
    assert response is not None
    assert response.reusable


def test_has_begun_with_the_first_byte():
    """Nothing has begun before the first byte, something has after it."""
    reader = ResponseReader(10, Heads())
    assert not reader.has_begun
    reader.feed(b"H")
    assert reader.has_begun


def test_has_begun_with_bytes_that_are_no_answer():
    """What is refused at once has begun all the same: its connection was not merely stale."""
    reader = ResponseReader(10, Heads())
    with pytest.raises(MalformedResponseError):
        reader.feed(b"SSH-2.0")
    assert reader.has_begun


# Against h11, and against anything

TOKEN = st.text(alphabet="!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8).map(lambda text: f"x{text}".encode())
VALUE = st.text(alphabet='!~az09 \t\xe9\xff"(),:;=', max_size=12).map(lambda text: text.encode("latin-1"))
BLANK = st.sampled_from([b"", b" ", b"  ", b"\t"])
BODY = st.binary(max_size=40)
REASON = st.sampled_from([b"", b" ", b" OK", b" Not quite \xe9"])


@st.composite
def fields(draw) -> bytes:
    drawn = draw(st.lists(st.tuples(TOKEN, BLANK, VALUE, BLANK), max_size=4))
    return b"".join(b"%b:%b%b%b\r\n" % field for field in drawn)


@st.composite
def chunked(draw) -> bytes:
    chunks = [chunk for chunk in draw(st.lists(BODY, max_size=4)) if chunk]
    extension = draw(st.sampled_from([b"", b";a", b';a="b"']))
    zeros = draw(st.sampled_from([b"", b"0", b"00"]))
    body = b"".join(b"%b%x%b\r\n%b\r\n" % (zeros, len(chunk), extension, chunk) for chunk in chunks)
    return b"%b0%b\r\n%b\r\n" % (body, extension, draw(fields()))


@st.composite
def answers(draw) -> bytes:
    interim = draw(st.lists(st.sampled_from([100, 102, 103]), max_size=2))
    heads = [b"HTTP/1.1 %d%b\r\n%b\r\n" % (status, draw(REASON), draw(fields())) for status in interim]
    status = draw(st.sampled_from([200, 204, 304, 400, 404, 413, 500, 503]))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.0"]))
    connection = draw(st.sampled_from([b"", b"", b"Connection: close\r\n", b"connection: x, Close\r\n"]))
    head = b"HTTP/%b %d%b\r\n%b%b" % (version, status, draw(REASON), draw(fields()), connection)
    if status in {204, 304}:
        return b"".join(heads) + head + draw(st.sampled_from([b"", b"Content-Length: 3\r\n"])) + b"\r\n"
    if version == b"1.1" and draw(st.booleans()):
        return b"".join(heads) + head + b"transfer-ENCODING: chunked\r\n\r\n" + draw(chunked())
    body = draw(BODY)
    return b"".join(heads) + head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@st.composite
def parts_of(draw, source: st.SearchStrategy[bytes]) -> list[bytes]:
    data = draw(source)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[start:end] for start, end in itertools.pairwise([0, *cuts, len(data)]) if start < end]


def read_with_h11(data: bytes):
    """Status, headers, body and whether the connection may be used again, as h11 sees them."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    status, headers, body = 0, {}, b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            status, headers = event.status_code, dict(event.headers)
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            reusable = connection.their_state is h11.DONE and not connection.trailing_data[0]
            return (status, headers, body), reusable
        else:
            assert isinstance(event, h11.InformationalResponse)


@given(parts=parts_of(answers()), leftover=st.sampled_from([b"", b"", b"\r\n", b"x", PLAIN]))
def test_any_well_formed_answer_reads_as_h11_reads_it(parts, leftover):
    """In any split: the same status, headers and body, and the same verdict on the connection."""
    expected, reusable = read_with_h11(b"".join(parts) + leftover)
    parts[-1] += leftover
    response = read(*parts)
    assert response is not None
    assert said(response) == expected
    assert response.reusable == reusable


SCRAPS = st.sampled_from(
    [
        OK,
        PLAIN,
        SHORT_CHUNKED,
        CHUNKED,
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"0\r\n\r\n",
        b"3\r\nabc\r\n",
        b"A: b\r\n",
        b" ",
        b"Upgrade: x\r\nConnection: upgrade\r\n",
    ]
)
ANYTHING = st.lists(st.one_of(SCRAPS, SCRAPS, st.binary(max_size=12)), max_size=8).map(b"".join)


def outcome(parts: list[bytes], heads: Heads | None = None):
    """What the bytes amount to, and how many were left when it was known."""
    reader = ResponseReader(64, heads or Heads())
    try:
        for index, part in enumerate(parts):
            response = reader.feed(part)
            if response is not None:
                left = sum(map(len, parts[index + 1 :]))
                return said(response), response.reusable and not left
    except MalformedResponseError:
        return "malformed", None
    return "incomplete", None


def seen_whole(data: bytes, heads: Heads, max_body_bytes: int):
    """What one look at the bytes gives, as `outcome` says it; None when they are left to the reader."""
    response = read_whole(data, heads, max_body_bytes)
    return response and (said(response), response.reusable)


@settings(max_examples=300)
@given(
    known=st.lists(st.one_of(answers(), ANYTHING), max_size=3),
    data=st.one_of(answers(), ANYTHING),
    leftover=st.sampled_from([b"", b"", b"\r\n", b"x", PLAIN]),
    cut=st.integers(0, 3),
)
@example(known=[PLAIN], data=PLAIN, leftover=b"", cut=0)
@example(known=[SHORT_CHUNKED], data=SHORT_CHUNKED, leftover=b"", cut=0)
@example(known=[b"HTTP/1.1 100 Continue\r\n\r\n"], data=b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, leftover=b"", cut=0)
def test_what_one_look_gives_is_what_a_new_reader_reads(known, data, leftover, cut):
    """With any heads known, of the same answer or of others: the reader's answer, or none."""
    heads = Heads()
    for answer in (*known, data):
        with contextlib.suppress(MalformedResponseError):
            ResponseReader(64, heads).feed(answer)
    data = data[: len(data) - cut] + leftover
    seen = seen_whole(data, heads, 64)
    assert seen is None or seen == outcome([data])


@settings(max_examples=300)
@given(known=st.lists(st.one_of(answers(), ANYTHING), max_size=3), parts=parts_of(st.one_of(answers(), ANYTHING)))
def test_what_heads_are_known_changes_no_answer(known, parts):
    """A reader that knows heads, the answer's own among them, reads what one reads that knows none."""
    heads = Heads()
    for answer in (*known, b"".join(parts)):
        with contextlib.suppress(MalformedResponseError):
            ResponseReader(64, heads).feed(answer)
    assert outcome(parts, heads) == outcome(parts)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        OK + b"Content-Length: 0\r\n\r\n",
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nwho",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
)
def test_a_whole_answer_under_a_known_head_is_seen_at_a_glance(data):
    """The second answer with the same head is read by one look, of whatever status and length."""
    heads = Heads()
    assert read_whole(data, heads, 1024) is None
    first = ResponseReader(1024, heads).feed(data)
    second = read_whole(data, heads, 1024)
    assert first is not None
    assert second is not None
    assert said(second) == said(first)
    assert second.reusable == first.reusable


@pytest.mark.parametrize(
    "data",
    [b"", PLAIN[:-1], PLAIN + b"x", PLAIN[:-4], SHORT_CHUNKED, PLAIN.replace(b"200", b"201"), PLAIN.lower()],
    ids=["nothing", "incomplete", "more than one", "half a head", "chunked", "another status", "another case"],
)
def test_anything_else_is_left_to_the_reader(data):
    """One look sees nothing in it, although the heads of `PLAIN` and of a chunked answer are known."""
    heads = Heads()
    for answer in (PLAIN, SHORT_CHUNKED):
        ResponseReader(1024, heads).feed(answer)
    assert read_whole(data, heads, 1024) is None


def test_a_known_head_does_not_lift_the_bound_on_a_body():
    """The same answer is seen within the bound of one operation, and left to the reader's error within another's."""
    heads = Heads()
    ResponseReader(1024, heads).feed(PLAIN)
    assert read_whole(PLAIN, heads, 2) is not None
    assert read_whole(PLAIN, heads, 1) is None


@settings(max_examples=300)
@given(data=st.one_of(ANYTHING, parts_of(answers()).map(b"".join)), junk=st.binary(max_size=3), at=st.integers(0, 200))
@example(
    data=CHUNKED + b"2\r\n{}\r\n0\r\n\r\nHTTP/1.1 101 X\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", junk=b"", at=0
)
def test_anything_is_an_answer_or_malformed_the_same_byte_by_byte(data, junk, at):
    """Whatever comes, in whatever parts: the same answer or `MalformedResponseError`, and nothing else."""
    data = data[:at] + junk + data[at:]
    assert outcome([data] if data else []) == outcome(bytewise(data))

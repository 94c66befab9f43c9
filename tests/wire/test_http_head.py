"""Heads remembered: byte for byte, a bounded number, and only those that were read."""

from __future__ import annotations

import pytest

from alternator_trio._wire.http_head import CHUNKED, INTERIM, Heads, MalformedResponseError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (OK, 2),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKED),
        (b"HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\n", INTERIM),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", 0),
    ],
)
def test_a_head_says_how_long_its_body_is(data, length):
    """By Content-Length, by chunks, or because its status has none."""
    assert Heads().read(data).length == length


def test_a_head_is_parsed_once():
    """The second time the same head is given."""
    heads = Heads()
    assert heads.read(OK) is heads.read(bytes(bytearray(OK)))


def test_a_head_is_known_by_all_its_bytes():
    """One that differs in a single byte is another."""
    heads = Heads()
    heads.read(OK)
    assert heads.known(OK) is not None
    assert heads.known(OK.replace(b"2\r", b"3\r")) is None
    assert heads.known(OK[:-1]) is None


def test_a_malformed_head_is_not_remembered():
    """It is refused each time that it comes."""
    heads = Heads()
    for _ in range(2):
        with pytest.raises(MalformedResponseError):
            heads.read(OK.replace(b"2\r", b"x\r"))
    assert heads.known(OK.replace(b"2\r", b"x\r")) is None


def test_a_peer_whose_heads_are_all_different_does_not_fill_the_memory():
    """Of ten thousand different heads a few hundred are kept, of long ones none."""
    heads = Heads()
    different = [OK.replace(b"OK", b"%d" % number) for number in range(10_000)]
    for data in different:
        heads.read(data)
    assert 0 < sum(heads.known(data) is not None for data in different) <= 512
    long = OK.replace(b"OK", b"x" * 2000)
    heads.read(long)
    assert heads.known(long) is None

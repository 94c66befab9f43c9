"""Unpacking of request bodies."""

from __future__ import annotations

import gzip
import zlib

import pytest

from alternator_trio.testing._content import BodyTooLargeError, BrokenBodyError, decoded
from alternator_trio.testing._http import REQUEST_LIMIT

DEFLATED = zlib.compress(b"hello")
GZIPPED = gzip.compress(b"hello")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"hello", None),
        (GZIPPED, b"gzip"),
        (DEFLATED, b"deflate"),
        (gzip.compress(b"he") + gzip.compress(b"llo"), b"gzip"),
    ],
)
def test_bodies_are_unpacked(body, encoding):
    """Plain, gzip in one or more members, and zlib."""
    assert decoded(body, encoding) == b"hello"


@pytest.mark.parametrize(("empty", "encoding"), [(gzip.compress(b""), b"gzip"), (zlib.compress(b""), b"deflate")])
def test_an_empty_body_may_be_packed(empty, encoding):
    """Nothing, packed, is nothing."""
    assert decoded(empty, encoding) == b""


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"", b"gzip"),
        (GZIPPED[:-1], b"gzip"),
        (GZIPPED + b"x", b"gzip"),
        (DEFLATED + b"x", b"deflate"),
        (zlib.compress(b"x", wbits=-15), b"deflate"),
        (DEFLATED, b"gzip"),
        (GZIPPED, b"zstd"),
    ],
)
def test_broken_bodies_are_refused(body, encoding):
    """Cut off, followed by rubbish, raw deflate, the wrong or an unknown coding."""
    with pytest.raises(BrokenBodyError):
        decoded(body, encoding)


def test_the_limit_is_on_the_unpacked_size():
    """The limit itself is allowed, one byte more is not, whatever the packed size."""
    assert len(decoded(gzip.compress(bytes(REQUEST_LIMIT)), b"gzip")) == REQUEST_LIMIT
    with pytest.raises(BodyTooLargeError):
        decoded(gzip.compress(bytes(REQUEST_LIMIT + 1)), b"gzip")

"""Dates in headers, and how long a server asks to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._wire.http_date import parse_http_date, retry_after

NOON = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110's own example


@pytest.mark.parametrize(
    "value", [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"]
)
def test_all_three_forms_are_one_moment(value):
    """RFC 9110 has one form to write and two more to understand."""
    assert parse_http_date(value) == NOON


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"soon",
        b"Sun, 06 Nov",
        b"\xff\xfe",
        b"Sun, 99 Nov 1994 08:49:37 GMT",
        b"Fri, 31 Dec 9999 23:59:59 -1400",  # the year 10000
        b"0" * 65,
    ],
)
def test_what_is_no_date_is_none(value):
    """It is ignored, and raises nothing."""
    assert parse_http_date(value) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        (b"0", 0.0),
        (b"7", 7.0),
        (b" 7\t", 7.0),
        (b"Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        (b"Sun, 06 Nov 1994 08:49:27 GMT", 0.0),
        (b"-7", 0.0),
        (b"7.5", 0.0),
        (b"7 s", 0.0),
        (b"", 0.0),
        (b"soon", 0.0),
        (b"9" * 10, 0.0),
        (b"\xb2", 0.0),
    ],
)
def test_how_long_to_wait(value, seconds):
    """A number of seconds or a date to come; nothing for a date gone by and for what is neither."""
    assert retry_after(value, now=NOON) == seconds


@given(st.binary(max_size=70) | st.text("0123456789:, -+GMTSunNov", max_size=40).map(str.encode), st.floats(0, 2e9))
def test_whatever_comes_the_wait_is_finite_and_not_negative(value, now):
    """A header from a network never makes reading it fail."""
    assert 0.0 <= retry_after(value, now) < 1e12

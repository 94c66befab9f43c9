"""What may be said about content, and what is refused with the option's name."""

from __future__ import annotations

import dataclasses

import pytest

from alternator_trio.content import RequestCompression, as_response_encodings
from alternator_trio.errors import ConfigurationError


@pytest.mark.parametrize("make", [RequestCompression.gzip, RequestCompression.deflate])
def test_the_defaults_are_level_6_from_1024_bytes(make):
    """Both encodings have the same defaults."""
    compression = make()
    assert (compression.level, compression.threshold_bytes) == (6, 1024)


def test_the_constructors_name_the_encoding():
    """What is built says which encoding it is."""
    assert (RequestCompression.gzip().encoding, RequestCompression.deflate().encoding) == ("gzip", "deflate")


@pytest.mark.parametrize(("level", "threshold"), [(0, 0), (9, 1), (1, 2**40)])
def test_the_bounds_are_allowed(level, threshold):
    """Levels 0 to 9, thresholds of zero and more."""
    built = RequestCompression.deflate(level=level, threshold_bytes=threshold)
    assert (built.level, built.threshold_bytes) == (level, threshold)


@pytest.mark.parametrize("level", [-1, 10, True, 6.0, "6", None])
def test_a_wrong_level_is_named(level):
    """The error says which option it is, and shows the value."""
    with pytest.raises(ConfigurationError, match=r"request_compression\.level") as caught:
        RequestCompression.gzip(level=level)
    assert repr(level) in str(caught.value)


@pytest.mark.parametrize("threshold", [-1, False, 1024.0, "1k", None])
def test_a_wrong_threshold_is_named(threshold):
    """The error says which option it is, and shows the value."""
    with pytest.raises(ConfigurationError, match=r"request_compression\.threshold_bytes") as caught:
        RequestCompression.gzip(threshold_bytes=threshold)
    assert repr(threshold) in str(caught.value)


@pytest.mark.parametrize("encoding", ["zstd", "GZIP", "", b"gzip", None, []])
def test_a_wrong_encoding_is_named(encoding):
    """There are two encodings, in lower case."""
    with pytest.raises(ConfigurationError, match=r"request_compression\.encoding"):
        RequestCompression(encoding=encoding)


def test_a_compression_does_not_change():
    """It is a value: frozen, and equal to its equals."""
    compression = RequestCompression.gzip()
    with pytest.raises(dataclasses.FrozenInstanceError):
        compression.level = 9
    assert len({compression, RequestCompression.gzip(level=6), RequestCompression.deflate()}) == 2


@pytest.mark.parametrize(
    ("value", "encodings"),
    [
        ((), ()),
        ([], ()),
        (("gzip",), ("gzip",)),
        (["deflate", "gzip"], ("deflate", "gzip")),
        (iter(["gzip", "deflate"]), ("gzip", "deflate")),
    ],
)
def test_response_encodings_keep_their_order(value, encodings):
    """Any iterable of the two becomes a tuple."""
    assert as_response_encodings(value) == encodings


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("gzip", "one string"),
        (b"gzip", "one string"),
        (None, "no tuple"),
        (True, "no tuple"),
        (("gzip", "br"), "'br' is neither"),
        (("Gzip",), "'Gzip' is neither"),
        (("",), "'' is neither"),
        (([],), r"\[\] is neither"),
        (("gzip", "deflate", "gzip"), "'gzip' stands there twice"),
    ],
)
def test_other_response_encodings_are_refused(value, problem):
    """The error names the option and what is wrong."""
    with pytest.raises(ConfigurationError, match=f"^response_compression: .*{problem}"):
        as_response_encodings(value)

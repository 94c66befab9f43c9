"""Compression: what is compressed and what is not, what is refused of an answer, and how much memory it may take."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._wire.compression import ContentError, accept_encoding, compress, decompress
from alternator_trio.content import RequestCompression

BOTH = ("gzip", "deflate")
ENOUGH = 2**20
TEXT = b'{"Item":{"id":{"S":"ada"}}}'
GZIPPED = gzip.compress(TEXT, mtime=0)
DEFLATED = zlib.compress(TEXT)
PACKED = {"gzip": GZIPPED, "deflate": DEFLATED}
MIB = 2**20


def raw_deflate(body: bytes) -> bytes:
    return zlib.compress(body, wbits=-zlib.MAX_WBITS)


def with_dictionary(body: bytes) -> bytes:
    compressor = zlib.compressobj(zdict=b"Item")
    return compressor.compress(body) + compressor.flush()


def refusal(body, encoding, accepted=BOTH, max_bytes=ENOUGH) -> str:
    with pytest.raises(ContentError) as caught:
        decompress(body, encoding, accepted, max_bytes)
    return str(caught.value)


# Requests


@pytest.mark.parametrize("encoding", BOTH)
@pytest.mark.parametrize(("length", "threshold"), [(1024, 1024), (1025, 1024), (100, 0), (100, 100)])
def test_a_body_from_the_threshold_on_is_compressed(encoding, length, threshold):
    """The threshold itself is compressed."""
    compression = RequestCompression(encoding=encoding, threshold_bytes=threshold)
    packed, chosen = compress(b"a" * length, compression)
    assert chosen == encoding
    assert len(packed) < length


@pytest.mark.parametrize(
    ("body", "compression"),
    [
        (b"a" * 4096, None),
        (b"a" * 1023, RequestCompression.gzip()),
        (b"a" * 4096, RequestCompression.deflate(threshold_bytes=4097)),
        (b"a" * 4096, RequestCompression.gzip(level=0, threshold_bytes=0)),
        (b"", RequestCompression.gzip(threshold_bytes=0)),
        (b"{}", RequestCompression.deflate(threshold_bytes=0)),
        (bytes(range(256)), RequestCompression.deflate(threshold_bytes=0)),
    ],
    ids=["off", "below", "just below", "level 0", "empty", "tiny", "incompressible"],
)
def test_other_bodies_go_as_they_are(body, compression):
    """Without compression, below the threshold, at level 0, and when compression does not make it smaller."""
    sent, encoding = compress(body, compression)
    assert sent is body
    assert encoding is None


@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_is_understood_by_others(level):
    """The standard library reads what is sent."""
    body = TEXT * 100
    assert gzip.decompress(compress(body, RequestCompression.gzip(level=level))[0]) == body
    assert zlib.decompress(compress(body, RequestCompression.deflate(level=level))[0]) == body


def test_the_level_is_used():
    """Level 9 makes less of it than level 1."""
    body = b"".join(b'{"id":{"S":"user-%d"},"born":{"N":"%d"}},' % (number, number % 97) for number in range(2000))
    sizes = [len(compress(body, RequestCompression.gzip(level=level))[0]) for level in (1, 9)]
    assert sizes[0] > sizes[1]


def test_gzip_says_no_time_and_no_name():
    """Equal bodies give equal bytes whenever they are compressed: flags and time are zero (RFC 1952, 2.3)."""
    packed, _ = compress(TEXT * 100, RequestCompression.gzip())
    assert packed[:8] == b"\x1f\x8b\x08\0\0\0\0\0"


def test_deflate_is_the_zlib_format():
    """Not the bare stream: a zlib header with a window of 32 KiB and the body's Adler-32 (RFC 1950)."""
    body = TEXT * 100
    packed, _ = compress(body, RequestCompression.deflate())
    assert packed[:1] == b"\x78"
    assert packed[-4:] == zlib.adler32(body).to_bytes(4)


bodies = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda part, times: part * times, st.binary(min_size=1, max_size=40), st.integers(1, 2000)),
)
compressions = st.builds(
    RequestCompression,
    encoding=st.sampled_from(BOTH),
    level=st.integers(0, 9),
    threshold_bytes=st.integers(0, 2000),
)


@given(bodies, compressions)
def test_what_is_sent_is_read_back(body, compression):
    """Compressed or not, the body comes back, and it never grew."""
    sent, encoding = compress(body, compression)
    assert len(sent) <= len(body)
    header = None if encoding is None else encoding.encode()
    assert decompress(sent, header, BOTH, len(body)) == body


@given(bodies, compressions)
def test_equal_bodies_give_equal_bytes(body, compression):
    """A signature over one copy holds for the other."""
    assert compress(body, compression) == compress(bytes(bytearray(body)), compression)


# What is asked for


@pytest.mark.parametrize(
    ("encodings", "header"),
    [((), None), (("gzip",), b"gzip"), (BOTH, b"gzip, deflate"), (("deflate", "gzip"), b"deflate, gzip")],
)
def test_accept_encoding_keeps_the_order(encodings, header):
    """The preferred one stands first, and nothing is asked for by no header."""
    assert accept_encoding(encodings) == header


# Answers


@pytest.mark.parametrize("encoding", [None, b"", b"identity", b"IDENTITY", b" , ", b", identity"])
@pytest.mark.parametrize("accepted", [(), BOTH])
def test_a_body_without_coding_is_itself(encoding, accepted):
    """No header, an empty one, and identity mean the same."""
    assert decompress(TEXT, encoding, accepted, ENOUGH) is TEXT


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (GZIPPED, b"gzip"),
        (GZIPPED, b"GZip"),
        (GZIPPED, b"x-gzip"),
        (GZIPPED, b" gzip\t"),
        (GZIPPED, b",gzip,"),
        (DEFLATED, b"deflate"),
        (DEFLATED, b"Deflate"),
        (zlib.compress(TEXT, 0), b"deflate"),
    ],
)
def test_a_coding_is_known_in_any_spelling(body, encoding):
    """Case, white space, empty list members and gzip's old name make no difference (RFC 9110, 5.6.1 and 8.4.1)."""
    assert decompress(body, encoding, BOTH, ENOUGH) == TEXT


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"compress", b"gzip;q=1", b'"gzip"', b"gzip deflate", b"\xff"])
def test_an_unknown_coding_is_refused(encoding):
    """The error shows it."""
    message = refusal(GZIPPED, encoding)
    assert message.endswith("which is unknown")
    assert repr(encoding.decode("latin-1")) in message


def test_a_long_coding_is_not_shown_whole():
    """What a server sends does not fill a log."""
    assert len(refusal(GZIPPED, b"x" * 60_000)) < 120


@pytest.mark.parametrize(
    ("body", "encoding", "accepted"),
    [(GZIPPED, b"gzip", ()), (GZIPPED, b"gzip", ("deflate",)), (DEFLATED, b"deflate", ("gzip",))],
)
def test_a_coding_that_was_not_asked_for_is_refused(body, encoding, accepted):
    """Even one that we could read."""
    assert refusal(body, encoding, accepted).endswith("which was not asked for")


@pytest.mark.parametrize("encoding", [b"gzip, gzip", b"deflate,gzip", b"identity, gzip", b"gzip, chunked"])
def test_several_codings_are_refused(encoding):
    """Alternator applies one; a series of them is how bombs are nested."""
    assert "more than once" in refusal(gzip.compress(GZIPPED), encoding)


@pytest.mark.parametrize("encoding", BOTH)
def test_every_truncation_is_refused(encoding):
    """Wherever the end is missing, be it the last byte of the checksum."""
    packed = PACKED[encoding]
    for length in range(len(packed)):
        assert "incomplete" in refusal(packed[:length], encoding.encode())


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TEXT, b"gzip"),
        (TEXT, b"deflate"),
        (DEFLATED, b"gzip"),
        (GZIPPED, b"deflate"),
        (raw_deflate(TEXT), b"deflate"),
        (with_dictionary(TEXT), b"deflate"),
        (GZIPPED[:-8] + bytes(4) + GZIPPED[-4:], b"gzip"),
        (GZIPPED[:-4] + bytes(4), b"gzip"),
        (DEFLATED[:-4] + bytes(4), b"deflate"),
        (GZIPPED[:3] + b"\xe0" + GZIPPED[4:], b"gzip"),
    ],
    ids=[
        "plain as gzip",
        "plain as deflate",
        "deflate as gzip",
        "gzip as deflate",
        "bare deflate",
        "dictionary",
        "gzip's CRC",
        "gzip's length",
        "deflate's Adler-32",
        "gzip's reserved flags",
    ],
)
def test_corrupt_data_are_refused(body, encoding):
    """Another format, a wrong checksum, a wrong length."""
    assert "corrupt" in refusal(body, encoding)


@pytest.mark.parametrize("encoding", BOTH)
@pytest.mark.parametrize("rest", [b"\0", b"\n", b"{}", bytes(100_000)])
def test_trailing_data_are_refused(encoding, rest):
    """One body is one stream, with no padding after it, near or far."""
    assert "followed by other data" in refusal(PACKED[encoding] + rest, encoding.encode())


@pytest.mark.parametrize("rest", [GZIPPED, gzip.compress(b""), GZIPPED[:-1]])
def test_a_second_gzip_member_is_trailing_data(rest):
    """No server sends a series of members, and one cut off between two would look complete."""
    assert "followed by other data" in refusal(GZIPPED + rest, b"gzip")


def test_trailing_data_at_a_boundary_of_the_input_are_seen():
    """Data that end exactly where a slice of input ends are followed by other data all the same."""
    empty = gzip.compress(b"", mtime=0)
    name = b"n" * (16 * 1024 - len(empty) - 1) + b"\0"
    packed = empty[:3] + b"\x08" + empty[4:10] + name + empty[10:]
    assert len(packed) == 16 * 1024
    assert decompress(packed, b"gzip", BOTH, 0) == b""
    assert "followed by other data" in refusal(packed + b"x", b"gzip")


@pytest.mark.parametrize("encoding", BOTH)
def test_no_flipped_bit_gives_another_body(encoding):
    """A damaged body is refused, or (gzip's time, level and system say nothing) it is the body."""
    packed = int.from_bytes(PACKED[encoding])
    length = len(PACKED[encoding])
    for place in range(length * 8):
        damaged = (packed ^ 1 << place).to_bytes(length)
        with suppress(ContentError):
            assert decompress(damaged, encoding.encode(), BOTH, ENOUGH) == TEXT


@given(st.binary(max_size=200), st.sampled_from([b"gzip", b"deflate"]), st.integers(0, 100))
def test_any_bytes_give_a_body_or_a_content_error(body, encoding, max_bytes):
    """Nothing else is ever raised."""
    with suppress(ContentError):
        assert len(decompress(body, encoding, BOTH, max_bytes)) <= max_bytes


# The bound


@pytest.mark.parametrize("encoding", [None, *BOTH])
@pytest.mark.parametrize("size", [0, 1, 1000, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, MIB])
def test_the_bound_itself_is_allowed(encoding, size):
    """A body of exactly ``max_bytes`` is read, one byte more is not."""
    pack = {None: bytes, "gzip": gzip.compress, "deflate": zlib.compress}[encoding]
    header = None if encoding is None else encoding.encode()
    assert decompress(pack(bytes(size)), header, BOTH, size) == bytes(size)
    assert f"than {size} bytes" in refusal(pack(bytes(size + 1)), header, max_bytes=size)


def peak_of(call) -> int:
    """The most memory that the call held at once, in bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def endless(wbits: int) -> bytes:
    """The first 64 MiB of a stream that has no end, in 64 KiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, wbits)
    start = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    again = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return start + again * 63


BOUND = 4 * MIB
CHUNK = 256 * 1024
# A chunk as zlib gathers it and as it hands it over, a slice of the input, and zlib's own window.
OVERHEAD = 2 * CHUNK + 64 * 1024
BOMBS = {
    "gzip": lambda: gzip.compress(bytes(64 * MIB)),
    "deflate": lambda: zlib.compress(bytes(64 * MIB), 9),
    "gzip without an end": lambda: endless(31),
    "deflate without an end": lambda: endless(15),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_costs_no_more_than_the_bound(bomb):
    """A thousand to one, with or without an end: refused at the bound, in the bound's memory and an eighth."""
    packed = BOMBS[bomb]()
    assert len(packed) < 70 * 1024
    peak = peak_of(lambda: refusal(packed, bomb.split()[0].encode(), max_bytes=BOUND))
    assert peak <= BOUND + BOUND // 8 + OVERHEAD


@pytest.mark.parametrize("encoding", BOTH)
def test_an_honest_body_costs_no_more_than_itself(encoding):
    """What is allowed is held once: 64 MiB in 72 MiB, not in 128."""
    size = 64 * MIB
    packed = BOMBS[encoding]()
    peak = peak_of(lambda: decompress(packed, encoding.encode(), BOTH, size))
    assert peak <= size + size // 8 + OVERHEAD


def test_a_nested_bomb_is_unpacked_once():
    """The inner body stays packed: it is the caller's, who finds no JSON in it."""
    inner = gzip.compress(bytes(64 * MIB))
    outer = gzip.compress(inner)
    assert len(outer) < 1024
    results = []
    peak = peak_of(lambda: results.append(decompress(outer, b"gzip", BOTH, BOUND)))
    assert results == [inner]
    assert peak <= MIB


def test_a_large_head_of_gzip_costs_nothing():
    """A name of 8 MiB in gzip's head is passed over, slice by slice."""
    packed = GZIPPED[:3] + b"\x08" + GZIPPED[4:10] + b"n" * 8 * MIB + b"\0" + GZIPPED[10:]
    assert peak_of(lambda: decompress(packed, b"gzip", BOTH, BOUND)) <= MIB


def test_blocks_of_nothing_are_followed_to_their_end():
    """A body may hold any number of empty blocks; what it costs is its own length."""
    compressor = zlib.compressobj()
    packed = compressor.compress(TEXT) + compressor.flush(zlib.Z_SYNC_FLUSH) + b"\0\0\0\xff\xff" * 100_000
    packed += compressor.flush()
    assert decompress(packed, b"deflate", BOTH, len(TEXT)) == TEXT

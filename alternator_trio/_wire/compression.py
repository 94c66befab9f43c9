"""Bodies compressed and unpacked: gzip (RFC 1952) and deflate (zlib's format, RFC 1950).

Rules:

* Of a body and its compressed form the smaller one is sent. Equal bodies give equal bytes: gzip's time is always 0.
* What is unpacked is bounded while it is unpacked, by size and not by ratio, since honest pages reach hundreds to one:
  whatever comes, the memory taken is the bound, an eighth for growth, and one chunk.
* One coding, that was asked for, complete, and nothing after it; anything else is an error. A second gzip member is
  such a thing after it, although RFC 1952 has a series of them: no server sends one, and none would be missed when a
  connection breaks between two.
"""

from __future__ import annotations

import io
import zlib
from typing import Final

from alternator_trio.content import Encoding, RequestCompression, ResponseEncodings

__all__ = ["ContentError", "accept_encoding", "compress", "decompress"]

_WINDOW_BITS: Final[dict[Encoding, int]] = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_KNOWN: Final[dict[bytes, Encoding]] = {b"gzip": "gzip", b"x-gzip": "gzip", b"deflate": "deflate"}  # RFC 9110, 8.4.1
_NO_COMPRESSION: Final = 0
# A slice of input at a time, because zlib copies what it did not get to after each chunk of output.
_INPUT_BYTES: Final = 16 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_MAX_SHOWN: Final = 40


class ContentError(ValueError):
    """A body is not what its Content-Encoding says, or too large; the message says which."""


def compress(body: bytes, compression: RequestCompression | None) -> tuple[bytes, Encoding | None]:
    """A request's body as it is sent.

    Returns:
        The bytes, and their Content-Encoding; None when they are the body itself: it is below the threshold, or would
        not get smaller.

    Example:
        >>> compress(b"x" * 1023, RequestCompression.gzip())[1]
        >>> compress(b"x" * 1024, RequestCompression.gzip())[1]
        'gzip'
    """
    if compression is None or len(body) < compression.threshold_bytes or compression.level == _NO_COMPRESSION:
        return body, None
    packed = zlib.compress(body, compression.level, _WINDOW_BITS[compression.encoding])
    return (packed, compression.encoding) if len(packed) < len(body) else (body, None)


def accept_encoding(encodings: ResponseEncodings) -> bytes | None:
    """The Accept-Encoding that asks for these; None when none is asked for.

    No weights: of equals ScyllaDB takes the first.

    Example:
        >>> accept_encoding(("deflate", "gzip"))
        b'deflate, gzip'
    """
    return ", ".join(encodings).encode("ascii") or None


def decompress(body: bytes, content_encoding: bytes | None, accepted: ResponseEncodings, max_bytes: int) -> bytes:
    """An answer's body without its content coding.

    Args:
        body: The body as it came.
        content_encoding: The header's value, in any case; None when there was none.
        accepted: The encodings that were asked for.
        max_bytes: The largest acceptable result, 0 or more.

    Raises:
        ContentError: The coding is unknown or was not asked for, the data are corrupt, incomplete, or followed by
            others, or they unpack to more than ``max_bytes``.

    Example:
        >>> decompress(zlib.compress(b"{}"), b"deflate", ("gzip", "deflate"), 1024)
        b'{}'
    """
    encoding = None if content_encoding is None else _encoding(content_encoding, accepted)
    if encoding is not None:
        return _unpacked(body, encoding, max_bytes)
    if len(body) > max_bytes:
        raise ContentError(f"the body is larger than {max_bytes} bytes")
    return body


def _encoding(value: bytes, accepted: ResponseEncodings) -> Encoding | None:
    usual = _KNOWN.get(value)
    if usual in accepted:
        return usual
    tokens = [token for token in (part.strip(b" \t").lower() for part in value.split(b",")) if token]
    shown = repr(value.decode("latin-1")[:_MAX_SHOWN])
    if len(tokens) > 1:
        raise ContentError(f"the body is encoded more than once: Content-Encoding {shown}")
    if not tokens or tokens == [b"identity"]:
        return None
    encoding = _KNOWN.get(tokens[0])
    if encoding is None:
        raise ContentError(f"the body has Content-Encoding {shown}, which is unknown")
    if encoding not in accepted:
        raise ContentError(f"the body has Content-Encoding {shown}, which was not asked for")
    return encoding


def _unpacked(body: bytes, encoding: Encoding, max_bytes: int) -> bytes:
    decoder = zlib.decompressobj(_WINDOW_BITS[encoding])
    result = io.BytesIO()  # gives away what it holds without another copy
    view = memoryview(body)
    taken = 0
    while not decoder.eof:
        piece: bytes | memoryview = decoder.unconsumed_tail
        if not piece:
            if taken == len(body):
                raise ContentError(f"the {encoding} body is incomplete: its end is missing")
            piece = view[taken : taken + _INPUT_BYTES]
            taken += len(piece)
        room = max_bytes - result.tell()
        try:
            # One byte more than there is room for tells too much from just enough; and 0 would mean without a limit.
            chunk = decoder.decompress(piece, min(room + 1, _CHUNK_BYTES))
        except zlib.error as error:
            raise ContentError(f"the {encoding} body is corrupt: {error}") from error
        if len(chunk) > room:
            raise ContentError(f"the {encoding} body unpacks to more than {max_bytes} bytes")
        result.write(chunk)
    if decoder.unused_data or taken < len(body):
        raise ContentError(f"the {encoding} body is followed by other data")
    return result.getvalue()

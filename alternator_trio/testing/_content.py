"""Request bodies as Alternator takes them: plain, ``gzip`` or ``deflate`` (zlib), one token in lower case, bounded.

Decompression stops at the bound: a small body that unpacks to gigabytes costs one bound of memory.
"""

from __future__ import annotations

import zlib
from typing import Final

from alternator_trio.testing._http import REQUEST_LIMIT

_WINDOW_BITS: Final = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


class BodyTooLargeError(Exception):
    """The body unpacks to more than the bound."""


class BrokenBodyError(Exception):
    """The body is not what its Content-Encoding says, or the encoding is unknown."""


def decoded(body: bytes, encoding: bytes | None) -> bytes:
    """The body without its content coding.

    Raises:
        BodyTooLargeError: it unpacks to more than 16 MiB.
        BrokenBodyError: the encoding is unknown, or the data are corrupt or incomplete.
    """
    if encoding is None:
        return body
    window_bits = _WINDOW_BITS.get(encoding)
    if window_bits is None:
        raise BrokenBodyError(f"unsupported Content-Encoding {encoding.decode('latin-1')!r}")
    unpacked = b""
    rest = body
    while True:
        member = zlib.decompressobj(window_bits)
        try:
            unpacked += member.decompress(rest, REQUEST_LIMIT + 1 - len(unpacked))
        except zlib.error as error:
            raise BrokenBodyError(f"corrupt body: {error}") from error
        if len(unpacked) > REQUEST_LIMIT:
            raise BodyTooLargeError
        if not member.eof:
            raise BrokenBodyError("the compressed body is not complete")
        rest = member.unused_data
        if not rest:
            return unpacked
        if encoding != b"gzip":  # only gzip is a series of members (RFC 1952, section 2.2)
            raise BrokenBodyError("data after the compressed body")

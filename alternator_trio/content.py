"""What a user says about content: how bodies of requests are compressed, and which encodings an answer may come in.

Rules: frozen values, validated when they are built, each error naming its option; ``deflate`` is zlib's format
(RFC 1950), as HTTP has it, never the bare stream. ScyllaDB reads and writes both from version 2026.1 on, and no other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final, Literal, Self, TypeAlias, TypeGuard, cast

from alternator_trio.errors import ConfigurationError

__all__ = ["Encoding", "RequestCompression", "ResponseEncodings", "as_response_encodings"]

Encoding: TypeAlias = Literal["gzip", "deflate"]
"""A content coding by its name in HTTP."""

ResponseEncodings: TypeAlias = tuple[Encoding, ...]
"""The encodings that an answer may come in, the preferred one first; empty: answers come as they are."""

_MAX_LEVEL: Final = 9


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestCompression:
    """How the bodies of requests are compressed. Build one with `gzip` or `deflate`.

    A body is sent compressed only when that makes it smaller.

    Attributes:
        encoding: The Content-Encoding.
        level: 1 (fastest) to 9 (smallest). 0 means no compression: bodies go as they are.
        threshold_bytes: Bodies of this many bytes and more are compressed; 0: all of them.

    Raises:
        ConfigurationError: A value is wrong; the message names it.

    Example:
        >>> RequestCompression.gzip(level=1)
        RequestCompression(encoding='gzip', level=1, threshold_bytes=1024)
    """

    encoding: Encoding
    level: int = 6
    threshold_bytes: int = 1024

    def __post_init__(self) -> None:
        if not _is_encoding(self.encoding):
            raise ConfigurationError(f"request_compression.encoding: {self.encoding!r} is neither 'gzip' nor 'deflate'")
        if not _is_whole(self.level) or not 0 <= self.level <= _MAX_LEVEL:
            raise ConfigurationError(
                f"request_compression.level: {self.level!r} is no whole number from 0 to {_MAX_LEVEL}"
            )
        if not _is_whole(self.threshold_bytes) or self.threshold_bytes < 0:
            raise ConfigurationError(
                f"request_compression.threshold_bytes: {self.threshold_bytes!r} is no whole number, zero or more"
            )

    @classmethod
    def gzip(cls, *, level: int = 6, threshold_bytes: int = 1024) -> Self:
        """Compress with gzip (RFC 1952)."""
        return cls(encoding="gzip", level=level, threshold_bytes=threshold_bytes)

    @classmethod
    def deflate(cls, *, level: int = 6, threshold_bytes: int = 1024) -> Self:
        """Compress with deflate (zlib's format, RFC 1950): twelve bytes shorter than gzip."""
        return cls(encoding="deflate", level=level, threshold_bytes=threshold_bytes)


def as_response_encodings(value: object) -> ResponseEncodings:
    """The value of the option ``response_compression``, checked.

    Args:
        value: An iterable of ``"gzip"`` and ``"deflate"``, the preferred one first; empty: none is asked for.

    Raises:
        ConfigurationError: The value is something else; the message names what.

    Example:
        >>> as_response_encodings(["gzip", "deflate"])
        ('gzip', 'deflate')
        >>> as_response_encodings("gzip")
        Traceback (most recent call last):
        ...
        alternator_trio.errors.ConfigurationError: response_compression: 'gzip' is one string; write ('gzip',)
    """
    if isinstance(value, (str, bytes)):
        raise ConfigurationError(f"response_compression: {value!r} is one string; write ({value!r},)")
    if not isinstance(value, Iterable):
        raise ConfigurationError(f"response_compression: {value!r} is no tuple of 'gzip' and 'deflate'")
    encodings: list[Encoding] = []
    for encoding in cast("Iterable[object]", value):
        if not _is_encoding(encoding):
            raise ConfigurationError(f"response_compression: {encoding!r} is neither 'gzip' nor 'deflate'")
        if encoding in encodings:
            raise ConfigurationError(f"response_compression: {encoding!r} stands there twice")
        encodings.append(encoding)
    return tuple(encodings)


def _is_encoding(value: object) -> TypeGuard[Encoding]:
    return value in ("gzip", "deflate")  # no set: the value may be unhashable


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

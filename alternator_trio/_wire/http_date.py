"""Times in HTTP headers: a date, and how long a server asks to wait.

Rules: what comes from a network may be anything; a value that is neither of what RFC 9110 has is no value. The wall
clock is an argument.
"""

from __future__ import annotations

from datetime import UTC
from typing import Final

__all__ = ["parse_http_date", "retry_after"]

_MAX_LENGTH: Final = 64  # no date is longer
_MAX_DIGITS: Final = 9  # thirty years: who asks for more asks for nothing


def parse_http_date(value: bytes) -> float | None:
    """Seconds since the epoch of an HTTP date (RFC 9110, 5.6.7: any of its three forms); None for anything else.

    Example:
        >>> parse_http_date(b"Sun, 06 Nov 1994 08:49:37 GMT")
        784111777.0
    """
    if not value.isascii() or len(value) > _MAX_LENGTH:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  # few processes ever see such a header

    try:
        moment = parsedate_to_datetime(value.decode("ascii"))
        if moment.tzinfo is None:  # asctime's form names no zone, and means UTC
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).timestamp()  # which raises for what no calendar of ours can show
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def retry_after(value: bytes | None, now: float) -> float:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3), which has a number of seconds or a date.

    Args:
        value: The header's value; None when there is none.
        now: The wall clock, in seconds since the epoch.

    Returns:
        Zero or more; zero also for a date that has passed and for a value that is neither.

    Example:
        >>> retry_after(b"3", now=0.0), retry_after(b"soon", now=0.0), retry_after(None, now=0.0)
        (3.0, 0.0, 0.0)
    """
    if value is None:
        return 0.0
    value = value.strip(b" \t")
    if value.isdigit():
        return float(value) if len(value) <= _MAX_DIGITS else 0.0
    moment = parse_http_date(value)
    return 0.0 if moment is None else max(0.0, moment - now)

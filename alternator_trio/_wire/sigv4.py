"""AWS Signature Version 4 for ``POST /``, as far as DynamoDB and Alternator need it.

Rules: the smallest signed set, ``host;x-amz-date;x-amz-target`` and the session token when there is one; the payload
hash covers the bytes as they are sent, so what is signed is final; the clock is an argument. What a day, and what a
second, leaves unchanged is computed once: a signature is then two SHA-256 and two copied HMAC states. (A copied state
costs a third of ``hmac.digest``, which looks its algorithm up each time.)

Source: "Signature Version 4 signing process" in AWS's IAM guide; HMAC is RFC 2104.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from alternator_trio.credentials import Credentials

__all__ = ["Signer", "signing_key"]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_BLOCK: Final = 64  # bytes of a SHA-256 block; HMAC pads its key to it
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))
_MAX_KEPT: Final = 64  # credentials whose keys are kept: rotated secrets do not pile up


class Signer:
    """Signs the requests of one client.

    Args:
        region: The region in the credential scope; Alternator takes any.
        service: The service in the credential scope.

    Example:
        >>> signer = Signer("us-east-1")
        >>> role = Credentials("role", "salted_hash")
        >>> lines = signer.sign(
        ...     role, authority="10.0.0.1:8000", target="DynamoDB_20120810.ListTables", body=b"{}", now=1440938160.0
        ... )
        >>> lines.splitlines()[1]
        b'x-amz-date: 20150830T123600Z'
    """

    __slots__ = ("_latest", "_region", "_service", "_stamps")

    def __init__(self, region: str, service: str = "dynamodb") -> None:
        self._region = region
        self._service = service
        self._stamps: dict[Credentials, _Stamp] = {}
        self._latest: _Stamp | None = None

    def sign(self, credentials: Credentials, *, authority: str, target: str, body: bytes, now: float) -> bytes:
        """The header lines that make a request a signed one.

        Args:
            credentials: Whose signature it is.
            authority: The Host header's value, exactly as sent.
            target: The x-amz-target header's value, exactly as sent.
            body: The body as sent: compressed, when it goes compressed.
            now: Seconds since the epoch, on the wall clock.

        Returns:
            ``authorization``, ``x-amz-date`` and, with a session token, ``x-amz-security-token``: whole lines.
        """
        stamp = self._latest
        if stamp is None or stamp.second != int(now) or stamp.credentials is not credentials:
            stamp = self._latest = self._stamp(credentials, int(now))
        request = (
            f"POST\n/\n\nhost:{authority}\n{stamp.signed_lines}x-amz-target:{target}\n\n"
            f"{stamp.signed_names}\n{sha256(body).hexdigest()}"
        )
        inner = stamp.inner.copy()
        inner.update(sha256(request.encode()).hexdigest().encode())
        outer = stamp.outer.copy()
        outer.update(inner.digest())
        return f"{stamp.opening}{outer.hexdigest()}{stamp.closing}".encode()

    def is_new(self, credentials: Credentials, now: float, seconds: float) -> bool:
        """Whether the first signature by these credentials is not older than that."""
        stamp = self._stamps.get(credentials)
        return stamp is not None and abs(now - stamp.since) <= seconds

    def _stamp(self, credentials: Credentials, second: int) -> _Stamp:
        known = self._stamps.get(credentials)
        if known is not None and known.second == second:
            return known
        stamp = _Stamp(credentials, second, self._region, self._service, known)
        if known is None and len(self._stamps) >= _MAX_KEPT:
            del self._stamps[next(iter(self._stamps))]
        self._stamps[credentials] = stamp
        return stamp


class _Stamp:
    """What all signatures by one secret within one second have in common."""

    __slots__ = (
        "closing",
        "credentials",
        "day",
        "inner",
        "key",
        "opening",
        "outer",
        "second",
        "signed_lines",
        "signed_names",
        "since",
    )

    def __init__(
        self, credentials: Credentials, second: int, region: str, service: str, earlier: _Stamp | None
    ) -> None:
        date = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")
        day = date[:8]
        scope = f"{day}/{region}/{service}/aws4_request"
        token = credentials.session_token
        self.credentials = credentials
        self.second = second
        self.since: int = second if earlier is None else earlier.since
        self.day = day
        self.key: bytes = (
            earlier.key
            if earlier is not None and earlier.day == day
            else signing_key(credentials.secret_access_key, day, region, service)
        )
        padded = self.key.ljust(_BLOCK, b"\0")
        self.inner = sha256(padded.translate(_INNER_PAD) + f"{_ALGORITHM}\n{date}\n{scope}\n".encode())
        self.outer = sha256(padded.translate(_OUTER_PAD))
        self.signed_lines = f"x-amz-date:{date}\n" + (f"x-amz-security-token:{token}\n" if token else "")
        self.signed_names = f"host;x-amz-date;{'x-amz-security-token;' if token else ''}x-amz-target"
        self.opening = (
            f"authorization: {_ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={self.signed_names}, Signature="
        )
        self.closing = f"\r\nx-amz-date: {date}\r\n" + (f"x-amz-security-token: {token}\r\n" if token else "")


def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """The key that a secret gives for one day (``"20150830"``), region and service."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key

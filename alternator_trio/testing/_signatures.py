"""Signatures as Alternator verifies them when it enforces authorization: AWS Signature Version 4 of what came.

Rules:

* Region and service are whatever the credential says; the path is ``/`` and the query is empty.
* A signed header that the request has not counts as empty.
* The body is hashed as it came, before any decompression.
* A shard remembers a role's secret for a minute, or until a signature by it is wrong: the first request after a change
  is refused, and an old secret may still be taken.

It shares no code with the client: what both get wrong must not look right.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alternator_trio.testing._http import Request

ALGORITHM: Final = "AWS4-HMAC-SHA256"
ALLOWED_SKEW_SECONDS: Final = 15 * 60
KEPT_SECONDS: Final = 60.0
CREDENTIAL_PARTS: Final = 5

_SPACES: Final = re.compile(" +")


class SignatureRefusedError(Exception):
    """The request is not authenticated; `name` is the error's, without prefix."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


class Verifier:
    """Verifies the requests that one shard of a node receives.

    Args:
        roles: each role's name and its secret (in ScyllaDB its ``salted_hash``); it may change at any time.
        clock: the node's wall clock, in seconds since the epoch.
    """

    def __init__(self, roles: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._roles = roles
        self._clock = clock
        self._remembered: dict[str, tuple[str, float]] = {}

    def check(self, request: Request) -> str:
        """The role that signed a request.

        Raises:
            SignatureRefusedError: None did.
        """
        now = self._clock()
        claim = _claim_in(request)
        secret = self._secret(claim.role, now)
        date = _checked_date(claim, request, now)
        expected = _signature(claim, request, date, secret)
        if not hmac.compare_digest(expected.encode(), claim.signature.encode()):
            self._remembered.pop(claim.role, None)
            raise SignatureRefusedError("UnrecognizedClientException", "wrong signature")
        return claim.role

    def _secret(self, role: str, now: float) -> str:
        remembered = self._remembered.get(role)
        if remembered is not None and 0 <= now - remembered[1] < KEPT_SECONDS:
            return remembered[0]
        secret = self._roles.get(role)
        if secret is None:
            raise SignatureRefusedError("UnrecognizedClientException", f"User not found: {role}")
        self._remembered[role] = secret, now
        return secret


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What an Authorization header says."""

    role: str
    day: str
    region: str
    service: str
    signed_headers: str
    signature: str


def _claim_in(request: Request) -> _Claim:
    if b"host" not in request.fields:
        raise _invalid("Host header is mandatory for signature verification")
    header = request.fields.get(b"authorization")
    if header is None:
        raise SignatureRefusedError(
            "MissingAuthenticationTokenException", "Authorization header is mandatory for signature verification"
        )
    text = _text(header)
    algorithm, space, rest = text.partition(" ")
    if algorithm != ALGORITHM or not space:
        raise _invalid(f"Authorization header must use {ALGORITHM} algorithm: {text}")
    entries = [entry.split("=") for entry in rest.replace(",", " ").split(" ")]
    given = {entry[0]: entry[1] for entry in entries if len(entry) == 2}  # noqa: PLR2004  # a name and its value
    credential = given.get("Credential", "")
    parts = credential.split("/")
    if len(parts) != CREDENTIAL_PARTS:
        raise SignatureRefusedError("ValidationException", f"Incorrect credential information format: {credential}")
    role, day, region, service, _ = parts
    return _Claim(
        role=role.encode("latin-1").decode(errors="replace"),
        day=day,
        region=region,
        service=service,
        signed_headers=given.get("SignedHeaders", ""),
        signature=given.get("Signature", ""),
    )


def _checked_date(claim: _Claim, request: Request, now: float) -> str:
    """The request's own date, once it is near enough and of the credential's day."""
    if "x-amz-date" not in claim.signed_headers.split(";"):
        raise _unverified("X-Amz-Date header is mandatory for signature verification")
    date = _text(request.fields.get(b"x-amz-date", b""))
    # Compared as text, as the server does: a date that is none is too early or too late.
    earliest, latest = _stamp(now - ALLOWED_SKEW_SECONDS), _stamp(now + ALLOWED_SKEW_SECONDS)
    if date < earliest:
        raise _unverified(f"Signature expired: {date} is now earlier than {earliest} (current time - 15 min.)")
    if date > latest:
        raise _unverified(f"Signature not yet current: {date} is still later than {latest} (current time + 15 min.)")
    if date[:8] != claim.day:
        raise _unverified(
            f"X-Amz-Date date does not match the provided datestamp. Expected {claim.day}, got {date[:8]}"
        )
    return date


def _signature(claim: _Claim, request: Request, date: str, secret: str) -> str:
    names = sorted(set(claim.signed_headers.split(";")))
    values = [_text(request.fields.get(name.encode("latin-1"), b"")) for name in names]
    headers = "".join(f"{name}:{_SPACES.sub(' ', value)}\n" for name, value in zip(names, values, strict=True))
    body_hash = hashlib.sha256(request.body).hexdigest()
    canonical = f"{request.method}\n/\n\n{headers}\n{claim.signed_headers}\n{body_hash}"
    scope = [claim.day, claim.region, claim.service, "aws4_request"]
    canonical_hash = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    key = b"AWS4" + secret.encode()
    for part in (*scope, f"{ALGORITHM}\n{date}\n{'/'.join(scope)}\n{canonical_hash}"):
        key = hmac.new(key, part.encode("latin-1"), hashlib.sha256).digest()
    return key.hex()


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def _text(data: bytes) -> str:
    """Bytes as text and, by the same encoding, back: nothing is lost, whatever they are."""
    return data.decode("latin-1")


def _invalid(message: str) -> SignatureRefusedError:
    return SignatureRefusedError("InvalidSignatureException", message)


def _unverified(message: str) -> SignatureRefusedError:
    return _invalid(f"invalid signature: {message}")

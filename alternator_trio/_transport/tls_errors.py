"""What a failure of TLS means, in a sentence that keeps OpenSSL's words and codes.

Rules: which check failed comes first, what to do about it follows, OpenSSL's own words stand in parentheses; an alert
is the peer's word, anything else is ours.
"""

from __future__ import annotations

import re
import ssl
from typing import Final

__all__ = ["MAYBE_HTTPS", "alert_of", "describe", "is_refusal"]

# What many https ports do where plain http is spoken to them: they only end the connection.
MAYBE_HTTPS: Final = "; is it an https port?"
_ALERT: Final = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?(.+)")
_DECORATION: Final = re.compile(r"^\[[^\]]*\] | ?\(_ssl\.c:\d+\)$")

_UNKNOWN_ISSUER: Final = (
    "nobody trusted here has issued the certificate (an unknown CA), or the node leaves out an intermediate one"
)
# By X509_V_ERR_….
_CHECKS: Final = {
    2: _UNKNOWN_ISSUER,
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed, and not itself trusted",
    19: "the certificate's chain ends in a self-signed root that is not trusted",
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    23: "the certificate has been revoked",
    26: "the certificate is not meant for servers",
    62: "the certificate is for another name",
    64: "the certificate has no subject alternative name for this IP address; if it bears a name, give server_name",
    66: "the certificate's key is too weak",
    67: "a CA's key is too weak",
    68: "a CA's signature algorithm is too weak",
}
_REASONS: Final = {
    "WRONG_VERSION_NUMBER": "what answers there does not speak TLS; is it an http port?",
    "UNSUPPORTED_PROTOCOL": "the node speaks only protocol versions older than minimum_version",
}
_AT_ANY_TIME: Final = frozenset({"INTERNAL_ERROR", "USER_CANCELLED"})
_REFUSED: Final = "the node refuses the client certificate"
_ALERTS: Final = {
    "ACCESS_DENIED": f"{_REFUSED}: it has no access",
    "BAD_CERTIFICATE": f"{_REFUSED}: it is bad",
    "CERTIFICATE_EXPIRED": f"{_REFUSED}: it has expired",
    "CERTIFICATE_REQUIRED": "the node demands a client certificate: give cert_file",
    "CERTIFICATE_REVOKED": f"{_REFUSED}: it has been revoked",
    "CERTIFICATE_UNKNOWN": _REFUSED,
    "DECRYPT_ERROR": "the node finds a signature of the handshake wrong",
    "HANDSHAKE_FAILURE": "the node finds nothing to agree on; up to TLS 1.2 it may want a client certificate",
    "PROTOCOL_VERSION": "the node speaks no protocol version from minimum_version on",
    "UNKNOWN_CA": f"{_REFUSED}: it does not know its issuer",
    "UNRECOGNIZED_NAME": "the node has no certificate for the name that it was asked for",
    "UNSUPPORTED_CERTIFICATE": f"{_REFUSED}: it is of an unsupported kind",
}


def alert_of(error: BaseException | None) -> str | None:
    """The peer's alert by its name in RFC 8446, in capitals, such as ``"UNKNOWN_CA"``; None: there was none."""
    if not isinstance(error, ssl.SSLError):
        return None
    # OpenSSL's newer alerts have no name in older Pythons, only the text.
    reason: str | None = error.reason
    match = _ALERT.fullmatch(reason or _words(error).upper().replace(" ", "_"))
    return None if match is None else match[1]


def is_refusal(error: BaseException | None) -> bool:
    """Whether an alert that comes in place of a fresh connection's first answer says that nothing else was read.

    Under TLS 1.3 a node judges the client's certificate after the client has begun to send. "Internal error", however,
    may come of the request as well.
    """
    alert = alert_of(error)
    return alert is not None and alert not in _AT_ANY_TIME


def describe(error: OSError) -> str:
    """What went wrong.

    Example:
        >>> describe(ConnectionResetError(104, "Connection reset by peer"))
        'Connection reset by peer'
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification(error)
    if isinstance(error, ssl.SSLEOFError):
        return "the node ended the connection (EOF)"
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error) or type(error).__name__
    alert = alert_of(error)
    reason: str | None = error.reason
    meaning = _REASONS.get(reason or "") if alert is None else _ALERTS.get(alert)
    return _words(error) if meaning is None else f"{meaning} ({_words(error)})"


def _verification(error: ssl.SSLCertVerificationError) -> str:
    code: int | None = getattr(error, "verify_code", None)
    said = str(getattr(error, "verify_message", "")).removesuffix(".") or _words(error)
    meaning = _CHECKS.get(code or 0)
    words = f"certificate verify failed: {said}"
    return words if meaning is None else f"{meaning} ({words}; code {code})"


def _words(error: ssl.SSLError) -> str:
    return _DECORATION.sub("", _DECORATION.sub("", error.strerror or str(error)))

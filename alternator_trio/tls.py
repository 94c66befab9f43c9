"""What a user says about TLS: whom to trust, who the client is, and how strict to be.

Rules: a frozen value, its form validated when it is built; files are read when a client is opened, and again when they
have changed; no key and no password is ever shown. One policy holds for discovery and data alike.
"""

from __future__ import annotations

import dataclasses
import re
import ssl
from pathlib import PurePath
from typing import Final, Literal, TypeAlias

from alternator_trio.errors import ConfigurationError
from alternator_trio.nodes import canonical_host, host_problem

__all__ = ["Tls", "TlsVersion", "certificates_in", "check_tls"]

TlsVersion: TypeAlias = Literal["TLSv1.2", "TLSv1.3"]
"""A protocol version by its name in OpenSSL."""

_HIDDEN: Final = "…"
_PEM_CERTIFICATE: Final = re.compile(r"-----BEGIN ((?:X509 )?CERTIFICATE)-----[^-]+-----END \1-----")
_MAX_PASSWORD_BYTES: Final = 1024  # OpenSSL's own bound
_FILES: Final = ("ca_file", "cert_file", "key_file", "key_log_file")


class _Hidden(str):
    """Text that is not shown, not even by ``dataclasses.asdict``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(_HIDDEN)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How ``https`` nodes are verified, and what the client proves about itself.

    It pickles and copies whole, the password included: a pickle of it is as secret as the password.

    Attributes:
        ca_file: A PEM file with the certificates to trust, these alone; each is an end of trust, a root or not.
            None, and no ``ca_data``: the system's trust.
        ca_data: The same as PEM text, or bytes; what stands around the certificates is dropped.
        cert_file: The client's certificate (mutual TLS) with its chain, in PEM. The role is then the certificate's, and
            Alternator ignores signatures.
        key_file: Its private key in PEM; None: it stands in ``cert_file``.
        key_password: What the key is encrypted with; refused where it is not encrypted.
        server_name: The name, or address, that every node's certificate is verified for, in place of the node's own
            host; it is also sent as SNI. For nodes that are addressed by IP and have one certificate with a name.
        minimum_version: The oldest protocol version to speak.
        session_resumption: Whether a reconnect resumes the node's last session, which saves both sides the expensive
            part of the handshake. The node's certificate is then not looked at again.
        key_log_file: A file to append the sessions' secrets to, in NSS's format, which lets Wireshark read everything.
            ``$SSLKEYLOGFILE`` is not looked at; say ``key_log_file=os.environ.get("SSLKEYLOGFILE")`` where it is meant.
        insecure_skip_verification: True: any certificate will do, for any name. Whoever stands in the way can read and
            change everything. For tests; each client that is opened with it logs a warning.

    Raises:
        ConfigurationError: A value is wrong or contradicts another; the message names it.

    Example:
        >>> Tls(ca_file="ca.pem", cert_file="client.pem", key_file="client.key", key_password="secret")
        Tls(ca_file='ca.pem', ca_data=None, cert_file='client.pem', key_file='client.key', key_password='…', server_name=None, minimum_version='TLSv1.2', session_resumption=True, key_log_file=None, insecure_skip_verification=False)
    """  # noqa: E501  # a repr has one line

    ca_file: str | PurePath | None = None
    ca_data: str | bytes | None = None
    cert_file: str | PurePath | None = None
    key_file: str | PurePath | None = None
    key_password: str | None = None
    server_name: str | None = None
    minimum_version: TlsVersion = "TLSv1.2"
    session_resumption: bool = True
    key_log_file: str | PurePath | None = None
    insecure_skip_verification: bool = False

    def __post_init__(self) -> None:
        for name in _FILES:
            object.__setattr__(self, name, _as_path(name, getattr(self, name)))
        for name in ("session_resumption", "insecure_skip_verification"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"tls.{name}: {getattr(self, name)!r} is no bool")
        if self.minimum_version not in ("TLSv1.2", "TLSv1.3"):  # no set: the value may be unhashable
            raise ConfigurationError(
                f"tls.minimum_version: {self.minimum_version!r} is neither 'TLSv1.2' nor 'TLSv1.3'"
            )
        object.__setattr__(self, "ca_data", _as_certificates(self.ca_data))
        object.__setattr__(self, "server_name", _as_host(self.server_name))
        if self.key_password is not None:
            if not isinstance(self.key_password, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # what callers pass is not always what we ask for
                raise ConfigurationError(f"tls.key_password: {type(self.key_password).__name__} is no string")
            if not _is_password(self.key_password):
                raise ConfigurationError("tls.key_password: it is empty, longer than 1024 bytes, or no text")
            object.__setattr__(self, "key_password", _Hidden(self.key_password))
        self._check_together()

    @property
    def has_client_certificate(self) -> bool:
        """Whether the client proves who it is (mutual TLS)."""
        return self.cert_file is not None

    def _check_together(self) -> None:
        if self.ca_file is not None and self.ca_data is not None:
            raise ConfigurationError("tls.ca_data: ca_file is given as well; give one of the two")
        for name in ("ca_file", "ca_data"):
            if self.insecure_skip_verification and getattr(self, name) is not None:
                raise ConfigurationError(
                    f"tls.insecure_skip_verification: nothing is verified, so {name} would have no effect"
                )
        for name in ("key_file", "key_password"):
            if self.cert_file is None and getattr(self, name) is not None:
                raise ConfigurationError(f"tls.{name}: it goes with a certificate, and cert_file is not given")


def check_tls(value: object) -> None:
    """Raise unless it is a `Tls`, a client's `ssl.SSLContext`, or None.

    Raises:
        ConfigurationError: It is something else; or a server's context, with which every handshake would fail.
    """
    if not (value is None or isinstance(value, (Tls, ssl.SSLContext))):
        raise ConfigurationError(f"tls: {type(value).__name__} is neither a Tls nor an ssl.SSLContext")
    if isinstance(value, ssl.SSLContext) and value.protocol is ssl.PROTOCOL_TLS_SERVER:
        raise ConfigurationError("tls: the ssl.SSLContext is a server's; make one with ssl.create_default_context()")


def _as_path(name: str, value: object) -> str | None:
    if value is None:
        return None
    path = value.__fspath__() if isinstance(value, PurePath) else value
    if not isinstance(path, str):
        raise ConfigurationError(f"tls.{name}: {type(value).__name__} is no path; give a string or a Path")
    if not path or "\0" in path:
        raise ConfigurationError(f"tls.{name}: {path!r} is no path")
    return path


def certificates_in(text: str) -> str:
    """The certificates in PEM text alone: what else stands there, were it a private key, goes no further."""
    return "".join(f"{match.group()}\n" for match in _PEM_CERTIFICATE.finditer(text))


def _as_certificates(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        raise ConfigurationError(f"tls.ca_data: {type(value).__name__} is neither text nor bytes")
    certificates = certificates_in(value)
    if not certificates:
        raise ConfigurationError("tls.ca_data: there is no certificate in it; give PEM, not a path or DER")
    return _Hidden(certificates)


def _as_host(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"tls.server_name: {type(value).__name__} is no string")
    problem = host_problem(value)
    if problem is not None:
        raise ConfigurationError(f"tls.server_name: {value!r}: {problem}")
    return canonical_host(value).removesuffix(".")  # certificates never have the dot


def _is_password(text: str) -> bool:
    try:
        return 0 < len(text.encode()) <= _MAX_PASSWORD_BYTES
    except UnicodeEncodeError:  # a lone surrogate
        return False

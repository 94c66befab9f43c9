"""What connections are secured with: a context made of the user's choices, its sessions, both anew when files change.

Rules: what cannot work is a `ConfigurationError` that names the option, before anything is sent. A session belongs to
one node and one context, and goes with the context: resumed under another it would keep the old identity. Files are
looked at when a connection is made, never while one is used; when they cannot be read the old context stays.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import socket
import ssl
from pathlib import Path, PurePath
from typing import Final

from alternator_trio._transport.tls_errors import describe
from alternator_trio._transport.tls_wire import KeepSession, TlsWire
from alternator_trio.config import AlternatorConfig
from alternator_trio.errors import ConfigurationError
from alternator_trio.nodes import Node
from alternator_trio.tls import Tls, certificates_in

__all__ = ["TlsContexts", "check_files", "contexts_for"]

_MAX_SESSIONS: Final = 1024  # nodes come and go
_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_MINIMA: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}

_logger: Final = logging.getLogger("alternator_trio")

Stamp = tuple[int, int, int] | None
"""Of a file: when it was changed, its size, its inode; None when it cannot be looked at."""


class _InForce:
    """A context with what goes when it goes."""

    __slots__ = ("context", "sessions", "stamps")

    def __init__(self, context: ssl.SSLContext, stamps: tuple[Stamp, ...]) -> None:
        self.context = context
        self.stamps = stamps
        self.sessions: dict[Node, ssl.SSLSession] = {}


class TlsContexts:
    """Secures the connections of one client.

    Args:
        tls: The user's choices; or a context of the user's, which is used as it is: nothing about it is changed,
            watched or remembered, and so no session is resumed.

    Raises:
        ConfigurationError: A file is missing or is not what it is given for.
    """

    def __init__(self, tls: Tls | ssl.SSLContext) -> None:
        self._complaint: str | None = None
        self._tls: Tls | None = None
        if isinstance(tls, Tls):
            self._tls = tls
            stamps = _stamps(tls)  # before the files are read: what changes meanwhile is seen as a change
            self._in_force = _InForce(_make_context(tls), stamps)
            _warn(tls)
        else:
            self._in_force = _InForce(tls, ())

    def context(self) -> ssl.SSLContext:
        """The context for the next connection, its files being read again when they have changed (3 µs per file)."""
        tls = self._tls
        if tls is not None:
            stamps = _stamps(tls)
            if stamps != self._in_force.stamps:
                self._reload(tls, stamps)
        return self._in_force.context

    def server_name(self, host: str) -> str:
        """What the certificate of a node with this host is verified for."""
        given = None if self._tls is None else self._tls.server_name
        return given or host.removesuffix(".")

    def secure(self, node: Node, sock: socket.socket) -> TlsWire:
        """A wire over a socket that is connected to ``node``; its handshake is still to be made."""
        context, server_name = self.context(), self.server_name(node.host)
        if self._tls is None or not self._tls.session_resumption:
            return TlsWire(sock, context, server_name=server_name)
        sessions = self._in_force.sessions
        return TlsWire(sock, context, server_name=server_name, session=sessions.get(node), keep=_keeper(sessions, node))

    def forget_session(self, node: Node) -> None:
        """A handshake with ``node`` has failed: the next one starts afresh, were the session to blame."""
        self._in_force.sessions.pop(node, None)

    def _reload(self, tls: Tls, stamps: tuple[Stamp, ...]) -> None:
        try:
            context = _make_context(tls)
        except ConfigurationError as error:
            complaint = str(error)
            if complaint != self._complaint:
                self._complaint = complaint
                _logger.warning("the TLS files have changed, and the old ones stay in force: %s", complaint)
            return
        self._complaint = None
        self._in_force = _InForce(context, stamps)
        _logger.info("the TLS files have changed; new connections use the new ones")


def contexts_for(config: AlternatorConfig) -> TlsContexts | None:
    """What the nodes of a configuration are secured with; None where all of them speak plain http.

    Raises:
        ConfigurationError: See `TlsContexts`.
    """
    if all(node.scheme == "http" for node in config.seed_nodes):
        return None
    if config.credentials is not None and isinstance(config.tls, Tls) and config.tls.has_client_certificate:
        _logger.warning(
            "credentials beside tls.cert_file: Alternator takes the certificate's role, not the signature's"
        )
    return TlsContexts(config.tls or Tls())


def check_files(tls: Tls) -> None:
    """Read the files that are named, and change none: the log of keys, which opening a client creates, is left alone.

    Raises:
        ConfigurationError: See `TlsContexts`.
    """
    _make_context(dataclasses.replace(tls, key_log_file=None))


def _keeper(sessions: dict[Node, ssl.SSLSession], node: Node) -> KeepSession:
    def keep(session: ssl.SSLSession) -> None:
        sessions[node] = session
        if len(sessions) > _MAX_SESSIONS:
            del sessions[next(iter(sessions))]

    return keep


def _warn(tls: Tls) -> None:
    if tls.insecure_skip_verification:
        _logger.warning("tls.insecure_skip_verification: nodes are not verified; anybody in between can pose as one")
    if tls.key_log_file is not None:
        _logger.warning("tls.key_log_file: whoever reads %s can read all traffic", tls.key_log_file)


def _stamps(tls: Tls) -> tuple[Stamp, ...]:
    return tuple(_stamp(path) for path in (tls.ca_file, tls.cert_file, tls.key_file) if path is not None)


def _stamp(path: str | PurePath) -> Stamp:
    try:
        status = os.stat(path)  # noqa: PTH116  # half as dear without a Path
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _make_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _MINIMA[tls.minimum_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    # First: a certificate without its key is the likeliest thing to meet in the middle of a change.
    _prove(context, tls)
    _trust(context, tls)
    if tls.key_log_file is not None:
        _log_keys(context, tls.key_log_file)
    return context


def _trust(context: ssl.SSLContext, tls: Tls) -> None:
    if tls.insecure_skip_verification:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca_file is not None:
        certificates = certificates_in(_read("ca_file", tls.ca_file).decode("latin-1"))
        if not certificates:
            raise ConfigurationError(f"tls.ca_file: there is no certificate in {tls.ca_file}")
        _trust_only(context, "ca_file", certificates)
    elif tls.ca_data is not None:
        _trust_only(context, "ca_data", str(tls.ca_data))
    else:
        context.load_default_certs()


def _trust_only(context: ssl.SSLContext, name: str, certificates: str) -> None:
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=certificates)
    except ssl.SSLError as error:
        raise ConfigurationError(f"tls.{name}: a certificate cannot be read: {describe(error)}") from error


def _prove(context: ssl.SSLContext, tls: Tls) -> None:
    if tls.cert_file is None:
        return
    if not certificates_in(_read("cert_file", tls.cert_file).decode("latin-1")):
        raise ConfigurationError(f"tls.cert_file: there is no certificate in {tls.cert_file}")
    name, path = ("cert_file", tls.cert_file) if tls.key_file is None else ("key_file", tls.key_file)
    if not _PRIVATE_KEY.search(_read(name, path)):
        raise ConfigurationError(f"tls.{name}: there is no private key in {path}")
    was_asked = False

    def password() -> str:  # without one OpenSSL would ask at the terminal
        nonlocal was_asked
        was_asked = True
        return tls.key_password or ""

    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password)
    except OSError as error:
        if was_asked:
            problem = "needs a password" if tls.key_password is None else "cannot be decrypted with it"
            raise ConfigurationError(f"tls.key_password: the key in {path} {problem}") from error
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigurationError(
                f"tls.{name}: the key in {path} is not the key of the certificate in {tls.cert_file}"
            ) from error
        raise ConfigurationError(f"tls.cert_file: it cannot be used with its key: {describe(error)}") from error
    if tls.key_password is not None and not was_asked:
        raise ConfigurationError(f"tls.key_password: it has no effect, because the key in {path} is not encrypted")


def _read(name: str, path: str | PurePath) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"tls.{name}: cannot read {path}: {error.strerror}") from error


def _log_keys(context: ssl.SSLContext, path: str | PurePath) -> None:
    try:
        # OpenSSL would make it readable for everybody.
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        context.keylog_filename = os.fspath(path)
    except OSError as error:
        raise ConfigurationError(f"tls.key_log_file: cannot write {path}: {error.strerror}") from error

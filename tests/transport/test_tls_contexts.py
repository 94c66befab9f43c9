"""What TLS contexts are made of: files that are wrong, files that change, sessions and their secrets."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trustme
from cryptography.hazmat.primitives import serialization

from alternator_trio._transport.dialing import TcpDialer
from alternator_trio._transport.tls_contexts import TlsContexts, check_files
from alternator_trio._transport.tls_wire import TlsWire
from alternator_trio.errors import ConfigurationError, TlsError
from alternator_trio.nodes import Node
from alternator_trio.tls import Tls
from tests.certificates import client_context, server_context
from tests.transport.peers import ANSWER, REQUEST, read_request

PASSWORD = "correct horse"
CA = trustme.CA()
OTHER_CA = trustme.CA()
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def encrypted(key: bytes) -> bytes:
    """A private key, locked."""
    return serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSWORD.encode()),
    )


class Files:
    """A client's files."""

    def __init__(self, directory: Path) -> None:
        self.ca = directory / "ca.pem"
        self.cert = directory / "client.pem"
        self.key = directory / "client.key"
        self.locked = directory / "locked.key"
        self.text = directory / "text"
        self.log = directory / "keys.log"
        self.missing = directory / "missing"
        self.directory = directory
        self.trust(CA)
        self.prove("first@example")
        self.text.write_text("no certificate and no key")

    def trust(self, authority: trustme.CA) -> None:
        self.ca.write_bytes(authority.cert_pem.bytes())

    def prove(self, name: str) -> None:
        leaf = CA.issue_cert(name)
        self.key.write_bytes(leaf.private_key_pem.bytes())
        self.locked.write_bytes(encrypted(leaf.private_key_pem.bytes()))
        self.cert.write_bytes(leaf.cert_chain_pems[0].bytes())


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path)


# Files that are wrong


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"ca_file": "missing"}, r"ca_file: cannot read .*missing: No such file"),
        ({"ca_file": "directory"}, r"ca_file: cannot read .*: Is a directory"),
        ({"ca_file": "text"}, r"ca_file: there is no certificate in .*text"),
        ({"ca_file": "key"}, r"ca_file: there is no certificate in .*client\.key"),
        ({"cert_file": "missing"}, r"cert_file: cannot read .*missing: No such file"),
        ({"cert_file": "text"}, r"cert_file: there is no certificate in .*text"),
        ({"cert_file": "cert"}, r"cert_file: there is no private key in .*client\.pem"),
        ({"cert_file": "cert", "key_file": "missing"}, r"key_file: cannot read .*missing: No such file"),
        ({"cert_file": "cert", "key_file": "cert"}, r"key_file: there is no private key in .*client\.pem"),
        ({"cert_file": "ca", "key_file": "key"}, r"key_file: .* is not the key of the certificate in .*ca\.pem"),
        ({"cert_file": "cert", "key_file": "locked"}, r"key_password: the key in .*locked\.key needs a password"),
        (
            {"cert_file": "cert", "key_file": "locked", "key_password": None},
            r"key_password: the key in .*locked\.key needs a password",
        ),
        ({"key_log_file": "directory"}, r"key_log_file: cannot write .*: Is a directory"),
    ],
)
def test_a_file_that_does_not_do_is_refused_by_its_option(files, options, reason):
    """When the client is opened; the message names option and file."""
    with pytest.raises(ConfigurationError, match=rf"^tls\.{reason}"):
        TlsContexts(Tls(**{name: file and getattr(files, file) for name, file in options.items()}))


def test_a_password_that_nothing_is_locked_with_is_refused(files):
    """Whoever gives one believes that the key is encrypted; OpenSSL would not say that it is not."""
    reason = r"^tls\.key_password: it has no effect, because the key in .*client\.key is not encrypted$"
    with pytest.raises(ConfigurationError, match=reason):
        TlsContexts(Tls(cert_file=files.cert, key_file=files.key, key_password=PASSWORD))


def test_a_look_at_the_files_changes_none(files):
    """The log of keys is not created; what is wrong with the others is said."""
    check_files(Tls(ca_file=files.ca, key_log_file=files.log))
    assert not files.log.exists()
    with pytest.raises(ConfigurationError, match=r"^tls\.ca_file: "):
        check_files(Tls(ca_file=files.text, key_log_file=files.log))


def test_a_wrong_password_is_refused_and_not_shown(files):
    """By its option, and in no part of the error's chain."""
    with pytest.raises(ConfigurationError, match=r"^tls\.key_password: .* cannot be decrypted") as caught:
        TlsContexts(Tls(cert_file=files.cert, key_file=files.locked, key_password="battery staple"))
    error: BaseException | None = caught.value
    while error is not None:
        assert "battery" not in f"{error!r} {error} {error.args}"
        error = error.__cause__ or error.__context__


def test_damaged_certificates_are_refused(files):
    """What says that it is a certificate and is none."""
    damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with pytest.raises(ConfigurationError, match=r"^tls\.ca_data: a certificate cannot be read"):
        TlsContexts(Tls(ca_data=damaged))
    files.cert.write_text(damaged)
    with pytest.raises(ConfigurationError, match=r"^tls\.cert_file: it cannot be used"):
        TlsContexts(Tls(cert_file=files.cert, key_file=files.key))


# A node that tells whom it sees


class Server:
    """Answers every request.

    Attributes:
        context: Its own.
        hangs_up: Whether it closes connections at once.
        clients: The name in each client's certificate, by connection; None without one.
        resumed: Whether each connection resumed a session.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.hangs_up = False
        self.clients: list[str | None] = []
        self.resumed: list[bool] = []
        self.node = Node("https", "127.0.0.1", 1)

    async def serve(self, stream: trio.SocketStream) -> None:
        secured = trio.SSLStream(stream, self.context, server_side=True, https_compatible=True)
        try:
            if self.hangs_up:
                return
            await secured.do_handshake()
            certificate = secured.getpeercert()
            self.clients.append(certificate["subjectAltName"][0][1] if certificate else None)
            self.resumed.append(secured.session_reused)
            while await read_request(secured):
                await secured.send_all(ANSWER)
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def serving(
    version: ssl.TLSVersion = TLS_1_3, *, name: str = "127.0.0.1", demands: bool = False
) -> AsyncGenerator[Server]:
    context = server_context(CA, name)
    context.minimum_version = context.maximum_version = version
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
        CA.configure_trust(context)
    server = Server(context)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server.node = Node("https", "127.0.0.1", listener.socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.serve, [listener])
        yield server
        nursery.cancel_scope.cancel()


async def connected(contexts: TlsContexts, node: Node) -> TlsWire:
    """A connection that has served."""
    wire = await TcpDialer(2.0, contexts)(node)
    assert isinstance(wire, TlsWire)
    await exchange(wire)
    return wire


async def exchange(wire: TlsWire) -> None:
    await wire.send(REQUEST)
    assert await wire.receive() == ANSWER


async def connect_once(contexts: TlsContexts, server: Server) -> None:
    (await connected(contexts, server.node)).close()


# Sessions


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLS 1.2", "TLS 1.3"])
async def test_a_reconnect_resumes_the_nodes_session(files, version):
    """The server says so, for each connection after the first."""
    contexts = TlsContexts(Tls(ca_file=files.ca))
    async with serving(version) as server:
        for _ in range(3):
            await connect_once(contexts, server)
    assert server.resumed == [False, True, True]


async def test_a_session_is_one_nodes(files):
    """Another node's handshake knows nothing of it."""
    contexts = TlsContexts(Tls(ca_file=files.ca))
    async with serving() as server, serving() as other:
        await connect_once(contexts, server)
        await connect_once(contexts, other)
    assert (server.resumed, other.resumed) == ([False], [False])


async def test_resumption_can_be_switched_off(files):
    """Each connection is a new session."""
    contexts = TlsContexts(Tls(ca_file=files.ca, session_resumption=False))
    async with serving() as server:
        for _ in range(2):
            await connect_once(contexts, server)
    assert server.resumed == [False, False]


async def test_a_users_context_is_used_as_it_is():
    """Its sessions are the user's, who may give it another identity at any time."""
    context = client_context(CA)
    contexts = TlsContexts(context)
    assert contexts.context() is context
    async with serving() as server:
        for _ in range(2):
            await connect_once(contexts, server)
    assert server.resumed == [False, False]


async def test_a_failed_handshake_forgets_the_session(files):
    """Were the session to blame, every reconnect would fail as this one did."""
    contexts = TlsContexts(Tls(ca_file=files.ca))
    async with serving() as server:
        await connect_once(contexts, server)
        server.hangs_up = True
        with pytest.raises(TlsError, match=r"EOF|reset"):
            await connect_once(contexts, server)
        server.hangs_up = False
        await connect_once(contexts, server)
    assert server.resumed == [False, False]


async def test_sessions_of_nodes_that_are_gone_are_bounded(files, monkeypatch):
    """The oldest goes first, and the latest stays."""
    monkeypatch.setattr("alternator_trio._transport.tls_contexts._MAX_SESSIONS", 1)
    contexts = TlsContexts(Tls(ca_file=files.ca))
    async with serving() as server, serving() as other:
        for which in (server, other, server, server):
            await connect_once(contexts, which)
    assert server.resumed == [False, False, True]


# Files that change


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLS 1.2", "TLS 1.3"])
async def test_a_replaced_certificate_is_shown_by_the_next_connection(files, version, caplog):
    """A new identity and a new session; the connection that is open stays, and goes on."""
    caplog.set_level(logging.INFO, "alternator_trio")
    contexts = TlsContexts(Tls(ca_file=files.ca, cert_file=files.cert, key_file=files.key))
    async with serving(version, demands=True) as server:
        old = await connected(contexts, server.node)
        await connect_once(contexts, server)
        files.prove("second@example")
        for _ in range(2):
            await connect_once(contexts, server)
        await exchange(old)
        old.close()
    assert server.clients == ["first@example", "first@example", "second@example", "second@example"]
    assert server.resumed == [False, True, False, True]
    assert [record.levelname for record in caplog.records] == ["INFO"]


async def test_an_old_connections_session_is_not_kept_under_a_new_context(files):
    """It was dialled before the change and answers after it."""
    contexts = TlsContexts(Tls(ca_file=files.ca, cert_file=files.cert, key_file=files.key))
    async with serving(demands=True) as server:
        wire = await TcpDialer(2.0, contexts)(server.node)
        files.prove("second@example")
        contexts.context()
        await exchange(wire)
        wire.close()
        await connect_once(contexts, server)
    assert server.resumed == [False, False]


async def test_files_in_the_middle_of_a_change_leave_the_old_context(files, caplog):
    """A certificate whose key is still the old one: logged once, tried again at the next connection."""
    contexts = TlsContexts(Tls(ca_file=files.ca, cert_file=files.cert, key_file=files.key))
    old_key = files.key.read_bytes()
    async with serving(demands=True) as server:
        files.prove("second@example")
        new_key = files.key.read_bytes()
        files.key.write_bytes(old_key)
        for _ in range(2):
            await connect_once(contexts, server)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "is not the key of the certificate" in caplog.text
        files.key.write_bytes(new_key)
        await connect_once(contexts, server)
    assert server.clients == ["first@example", "first@example", "second@example"]


async def test_a_file_that_has_gone_leaves_the_old_context(files, caplog):
    """As in the moment between a removal and a creation."""
    contexts = TlsContexts(Tls(ca_file=files.ca))
    context = contexts.context()
    files.ca.unlink()
    assert contexts.context() is context
    assert "ca_file: cannot read" in caplog.text
    files.trust(CA)
    assert contexts.context() is not context


async def test_trust_that_is_withdrawn_holds_for_the_next_connection(files):
    """No session of the old context gets around the check."""
    contexts = TlsContexts(Tls(ca_file=files.ca))
    async with serving() as server:
        await connect_once(contexts, server)
        files.trust(OTHER_CA)
        with pytest.raises(TlsError, match="nobody trusted here"):
            await connect_once(contexts, server)


def test_files_that_stay_are_read_once(files):
    """The same context for ever."""
    contexts = TlsContexts(Tls(ca_file=files.ca, cert_file=files.cert, key_file=files.key))
    assert contexts.context() is contexts.context()


# What is trusted, what is shown, what is logged


async def test_a_ca_that_is_given_is_the_only_one(files, monkeypatch):
    """The system's trust is not asked besides."""
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
    files.trust(CA)
    async with serving() as server:
        await connect_once(TlsContexts(Tls()), server)
        with pytest.raises(TlsError, match="nobody trusted here"):
            await connect_once(TlsContexts(Tls(ca_data=OTHER_CA.cert_pem.bytes())), server)


async def test_an_intermediate_ca_is_an_end_of_trust():
    """Who trusts an issuer alone need not have its root."""
    intermediate = CA.create_child_ca()
    async with serving() as server:
        server.context = server_context(intermediate)
        await connect_once(TlsContexts(Tls(ca_data=intermediate.cert_pem.bytes())), server)


async def test_an_encrypted_key_is_opened_with_its_password(files):
    """And proves the client."""
    tls = Tls(ca_file=files.ca, cert_file=files.cert, key_file=files.locked, key_password=PASSWORD)
    async with serving(demands=True) as server:
        await connect_once(TlsContexts(tls), server)
    assert server.clients == ["first@example"]


async def test_the_given_name_is_verified_and_sent(files):
    """As SNI, which an address never is."""
    asked: list[str | None] = []
    async with serving(name="node.example") as server:
        server.context.sni_callback = lambda _, name, __: asked.append(name)
        await connect_once(TlsContexts(Tls(ca_file=files.ca, server_name="node.example")), server)
        with pytest.raises(TlsError, match=r"not valid for '127\.0\.0\.1'"):
            await connect_once(TlsContexts(Tls(ca_file=files.ca)), server)
    assert asked == ["node.example", None]


async def test_keys_are_logged_where_that_is_asked(files, monkeypatch, caplog):
    """In NSS's format, for the owner's eyes alone, with a warning; the environment's file is not touched."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(files.missing))
    async with serving() as server:
        await connect_once(TlsContexts(Tls(ca_file=files.ca, key_log_file=files.log)), server)
    assert "CLIENT_TRAFFIC_SECRET_0 " in files.log.read_text()
    assert os.stat(files.log).st_mode & 0o777 == 0o600
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not files.missing.exists()


async def test_without_verification_anybody_will_do_and_the_log_says_so(caplog):
    """One warning when the client is opened, none for each connection."""
    contexts = TlsContexts(Tls(insecure_skip_verification=True))
    async with serving(name="other.example") as server:
        for _ in range(2):
            await connect_once(contexts, server)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "insecure_skip_verification" in caplog.text

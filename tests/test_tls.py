"""The TLS choices as a value: what is refused, what is shown, and what goes with what."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import ssl
from pathlib import Path

import pytest
import trustme

from alternator_trio import AlternatorConfig, ConfigurationError, Credentials, Tls, load_config, open_alternator

SECRET = "correct horse"
SEED = "https://127.0.0.1:1"  # where nobody listens
CA = trustme.CA()
PEM = CA.cert_pem.bytes()


def full() -> Tls:
    return Tls(
        ca_data=PEM,
        cert_file=Path("client.pem"),
        key_file="client.key",
        key_password=SECRET,
        server_name="Node.Example.",
        minimum_version="TLSv1.3",
        session_resumption=False,
        key_log_file="keys.log",
    )


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda tls: pickle.loads(pickle.dumps(tls))])
def test_it_copies_and_pickles_whole(copied):
    """Equal to the original, the password included, and as silent about it."""
    tls = copied(full())
    assert tls == full()
    assert hash(tls) == hash(full())
    assert str(tls.key_password) == SECRET
    assert SECRET not in repr(tls)


def test_no_password_is_shown():
    """By no repr, not even of the configuration taken apart."""
    config = AlternatorConfig(seeds=[SEED], tls=full())
    for shown in (repr(full()), str(full()), repr(config), repr(dataclasses.asdict(config))):
        assert SECRET not in shown
        assert "key_password" in shown


def test_only_the_certificates_of_given_data_are_kept():
    """A private key that stands beside them goes no further; text and bytes are the same."""
    data = b"Gr\xc3\xbc\xc3\x9fe\n" + CA.private_key_pem.bytes() + PEM
    assert str(Tls(ca_data=data).ca_data).split() == PEM.decode().split()
    assert Tls(ca_data=data) == Tls(ca_data=PEM.decode())


@pytest.mark.parametrize("name", ["ca_file", "cert_file", "key_file", "key_log_file"])
@pytest.mark.parametrize("value", ["", b"ca.pem", 7, "null\0", True], ids=repr)
def test_a_path_that_is_none_is_refused(name, value):
    """By the option's name."""
    with pytest.raises(ConfigurationError, match=rf"^tls\.{name}: "):
        Tls(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ca_data", "ca.pem"),
        ("ca_data", b"\x30\x82\x01"),
        ("ca_data", 7),
        ("server_name", ""),
        ("server_name", "*.example"),
        ("server_name", "two words"),
        ("server_name", "https://node.example"),
        ("server_name", b"node"),
        ("minimum_version", "TLSv1.1"),
        ("minimum_version", 1.2),
        ("minimum_version", ["TLSv1.2"]),
        ("session_resumption", None),
        ("insecure_skip_verification", 1),
    ],
)
def test_a_wrong_value_is_refused(name, value):
    """By the option's name."""
    with pytest.raises(ConfigurationError, match=rf"^tls\.{name}: "):
        Tls(**{name: value})


@pytest.mark.parametrize("password", ["", "x" * 1025, "\udc80", b"bytes", 7], ids=repr)
def test_a_wrong_password_is_refused_and_not_shown(password):
    """By the option's name alone."""
    with pytest.raises(ConfigurationError, match=r"^tls\.key_password: ") as caught:
        Tls(cert_file="client.pem", key_password=password)
    assert not password or str(password) not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"ca_file": "ca.pem", "ca_data": PEM}, "ca_data"),
        ({"insecure_skip_verification": True, "ca_file": "ca.pem"}, "insecure_skip_verification"),
        ({"insecure_skip_verification": True, "ca_data": PEM}, "insecure_skip_verification"),
        ({"key_file": "client.key"}, "key_file"),
        ({"key_password": SECRET}, "key_password"),
    ],
)
def test_what_contradicts_or_has_no_effect_is_refused(options, name):
    """By the name of the option that is one too many."""
    with pytest.raises(ConfigurationError, match=rf"^tls\.{name}: "):
        Tls(**options)


@pytest.mark.parametrize("tls", [Tls(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)], ids=["Tls", "SSLContext"])
def test_choices_without_an_https_seed_are_refused(tls):
    """They would have no effect, and the user believes they have."""
    assert AlternatorConfig(seeds=[SEED], tls=tls).tls is tls
    with pytest.raises(ConfigurationError, match=r"^tls: .*no seed is https"):
        AlternatorConfig(seeds=["http://127.0.0.1:1"], tls=tls)


# Mutual TLS and signatures


@pytest.fixture
def mutual(tmp_path) -> Tls:
    path = tmp_path / "client.pem"
    CA.issue_cert("role@example").private_key_and_cert_chain_pem.write_to_path(str(path))
    return Tls(ca_data=PEM, cert_file=path)


async def test_credentials_of_an_operation_beside_a_client_certificate_are_refused(mutual):
    """The server takes the certificate's role: the operation would silently run as somebody else."""
    async with open_alternator(SEED, tls=mutual, discovery=False) as client:
        with pytest.raises(ConfigurationError, match=r"^credentials: .*tls\.cert_file"):
            client.with_options(credentials=Credentials("other", "secret"))
        client.with_options(credentials=None)


async def test_credentials_of_the_client_beside_a_client_certificate_are_warned_of(mutual, caplog):
    """They are ignored by Alternator, but may be wanted by what stands before it."""
    async with open_alternator(SEED, tls=mutual, credentials=Credentials("role", "secret"), discovery=False):
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "takes the certificate's role" in caplog.text
        assert "secret" not in caplog.text


# From a file


def loaded(tmp_path, tls, **environ):
    file = tmp_path / "app.toml"
    file.write_text(f'[alternator]\nseeds = ["{SEED}"]\ntls = {tls}\n')
    return load_config(file=file, environ=environ).tls


def test_a_table_of_a_file_has_the_same_options(tmp_path):
    """Its paths begin at the file's directory."""
    text = (
        '{ ca_file = "ca.pem", cert_file = "/etc/client.pem", minimum_version = "TLSv1.3", session_resumption = false }'
    )
    assert loaded(tmp_path, text) == Tls(
        ca_file=tmp_path / "ca.pem",
        cert_file="/etc/client.pem",
        minimum_version="TLSv1.3",
        session_resumption=False,
    )


def test_the_password_may_stand_elsewhere(tmp_path):
    """In the file, in a file of its own, or in a variable."""
    (tmp_path / "password").write_text(f"{SECRET}\n")
    expected = Tls(cert_file="/etc/client.pem", key_password=SECRET)
    for where in ('_variable = "KEY_1"', '_file = "password"', f' = "{SECRET}"'):
        text = f'{{ cert_file = "/etc/client.pem", key_password{where} }}'
        assert loaded(tmp_path, text, KEY_1=SECRET) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('"ca.pem"', r"tls: .* is not a table"),
        ('{ cafile = "ca.pem" }', r"tls: unknown key 'cafile'; did you mean 'ca_file'"),
        ("{ ca_file = 7 }", r"tls: ca_file: 7 is no text"),
        ('{ key_file = "client.key" }', r"tls\.key_file: it goes with a certificate"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, reason):
    """By option and key."""
    with pytest.raises(ConfigurationError, match=reason):
        loaded(tmp_path, text)


def test_a_servers_context_is_refused() -> None:
    """Every handshake with it would fail, and each would blame a node."""
    with pytest.raises(ConfigurationError, match="is a server's"):
        AlternatorConfig(seeds=["https://a:8043"], tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

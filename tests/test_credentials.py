"""Credentials: what they take, where they come from, and that nothing shows them."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import pprint
import traceback
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio.credentials import Credentials, CredentialsProvider
from alternator_trio.errors import ConfigurationError

SECRET = "$6$x7%(a)s$Fq3/+="
EXPIRY = datetime(2030, 1, 1, tzinfo=UTC)
FULL = Credentials("role", SECRET, "token-of-role", expires_at=EXPIRY)
FILE = f"""\
[default]
aws_access_key_id = role
aws_secret_access_key = {SECRET}

# a comment
[orders]
aws_access_key_id=orders
aws_secret_access_key=other
aws_session_token=token
region=eu-central-1
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "credentials"
    path.write_text(FILE)
    return path


def everything_said(error: BaseException | None) -> str:
    """An error, what it was raised from and what it hides, in every form in which it may end up in a log."""
    said = []
    while error is not None:
        said += [str(error), repr(error), repr(error.args), repr(vars(error)), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(said)


def test_the_parts_are_given_by_position():
    """As in ``Credentials("role", "salted_hash")``."""
    plain = Credentials("role", SECRET)
    assert (plain.access_key_id, plain.secret_access_key) == ("role", SECRET)
    assert (plain.session_token, plain.expires_at) == (None, None)


@pytest.mark.parametrize("show", [repr, str, "{}".format, pprint.pformat, lambda value: repr({value: [value]})])
def test_nothing_secret_is_shown(show):
    """The key id is shown, the secret and the token are not."""
    shown = show(FULL)
    assert "role" in shown
    assert SECRET not in shown
    assert "token-of-role" not in shown


def test_a_token_that_is_there_is_seen_to_be_there():
    """Which parts were given is no secret."""
    assert repr(Credentials("role", SECRET)) == "Credentials('role', '…')"
    assert repr(Credentials("role", SECRET, "token")) == "Credentials('role', '…', '…')"


def test_a_configuration_taken_apart_does_not_show_them():
    """``dataclasses.asdict`` keeps them whole."""

    @dataclasses.dataclass
    class Holder:
        credentials: Credentials

    assert SECRET not in repr(dataclasses.asdict(Holder(FULL)))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_they_copy_and_pickle_whole(again):
    """A configuration can go to another process, with all that it needs there."""
    assert again(FULL) == FULL
    assert again(FULL).secret_access_key == SECRET
    assert again(FULL).session_token == "token-of-role"


@pytest.mark.parametrize(
    "other",
    [
        Credentials("other", SECRET, "token-of-role", expires_at=EXPIRY),
        Credentials("role", "other", "token-of-role", expires_at=EXPIRY),
        Credentials("role", SECRET, expires_at=EXPIRY),
        Credentials("role", SECRET, "token-of-role"),
        ("role", SECRET, "token-of-role", EXPIRY),
    ],
)
def test_they_compare_by_all_parts(other):
    """One part that differs is another value."""
    assert other != FULL
    assert Credentials("role", SECRET, "token-of-role", expires_at=EXPIRY) == FULL
    assert hash(Credentials("role", SECRET, "token-of-role", expires_at=EXPIRY)) == hash(FULL)


@pytest.mark.parametrize("name", ["access_key_id", "secret_access_key", "session_token", "expires_at", "new"])
def test_they_cannot_be_changed(name):
    """A value that keys are cached by stays what it is."""
    with pytest.raises(AttributeError, match="cannot be changed"):
        setattr(FULL, name, "other")
    with pytest.raises(AttributeError, match="cannot be changed"):
        delattr(FULL, name)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (("", SECRET), "access_key_id: it is empty"),
        ((None, SECRET), "access_key_id: NoneType is no string"),
        (("ro le", SECRET), "access_key_id: it has white space or"),
        (("rôle", SECRET), "access_key_id: it has white space or characters outside of printable ASCII"),
        (("role/admin", SECRET), "access_key_id: '/' in it cannot be sent"),
        (("a,b", SECRET), "access_key_id: ',' in it cannot be sent"),
        (("a=b", SECRET), "access_key_id: '=' in it cannot be sent"),
        (("role", ""), "secret_access_key: it is empty"),
        (("role", SECRET.encode()), "secret_access_key: bytes is no string"),
        (("role", SECRET + "\n"), "secret_access_key: it begins or ends with white space"),
        (("role", "a\nb"), "secret_access_key: it has characters that cannot be printed"),
        (("role", "a\ud800b"), "secret_access_key: it has characters that cannot be printed"),
        (("role", SECRET, ""), "session_token: it is empty"),
        (("role", SECRET, "a\r\nx-evil: 1"), "session_token: it has white space or"),
    ],
)
def test_what_cannot_be_signed_or_sent_is_refused(parts, why):
    """The error names the part and what is wrong with it."""
    with pytest.raises(ConfigurationError) as raised:
        Credentials(*parts)
    assert str(raised.value).startswith(why)


@pytest.mark.parametrize("value", [datetime(2030, 1, 1), 1.9e9])  # noqa: DTZ001  # that is the point
def test_an_expiry_without_a_time_zone_is_refused(value):
    """A naive time means another moment on every machine."""
    with pytest.raises(ConfigurationError, match="expires_at: "):
        Credentials("role", SECRET, expires_at=value)


LEAKY = st.text(min_size=1).map(lambda text: f"hush{text}hush")
BROKEN = st.sampled_from(["\n", " ", "\0", "\r\n"])


@given(id_=LEAKY, secret=LEAKY, token=st.none() | LEAKY, end=BROKEN)
def test_no_error_shows_a_part(id_, secret, token, end):
    """Not even that which was refused: people mix up the order."""
    with pytest.raises(ConfigurationError) as raised:
        Credentials(id_, secret + end, token)
    assert "hush" not in "".join(map(str, raised.value.args)) + str(raised.value) + repr(raised.value)


class TestEnvironment:
    def test_the_three_variables_are_read(self):
        """Those that AWS's tools read."""
        environ = {"AWS_ACCESS_KEY_ID": "role", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": "token"}
        assert Credentials.from_environment(environ) == Credentials("role", SECRET, "token")

    @pytest.mark.parametrize("token", [{}, {"AWS_SESSION_TOKEN": ""}])
    def test_the_token_may_be_missing_or_empty(self, token):
        """Shells make it hard to unset a variable for one command."""
        environ = {"AWS_ACCESS_KEY_ID": "role", "AWS_SECRET_ACCESS_KEY": SECRET, **token}
        assert Credentials.from_environment(environ) == Credentials("role", SECRET)

    def test_the_process_environment_is_the_default(self, monkeypatch):
        """Read at the moment of the call."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "role")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        assert Credentials.from_environment() == Credentials("role", SECRET)

    @pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    @pytest.mark.parametrize(("value", "why"), [(None, "not set"), ("", "empty")])
    def test_a_missing_variable_is_named(self, name, value, why):
        """Missing and empty are told apart."""
        environ = {"AWS_ACCESS_KEY_ID": "role", "AWS_SECRET_ACCESS_KEY": SECRET, name: value}
        environ = {key: given for key, given in environ.items() if given is not None}
        with pytest.raises(ConfigurationError, match=f"{name} is {why}"):
            Credentials.from_environment(environ)

    def test_an_unusable_variable_is_not_shown(self):
        """The newline that a secret manager adds is said, the secret is not."""
        environ = {"AWS_ACCESS_KEY_ID": "role", "AWS_SECRET_ACCESS_KEY": SECRET + "\n"}
        with pytest.raises(ConfigurationError, match="environment variables: secret_access_key: it begins") as raised:
            Credentials.from_environment(environ)
        assert SECRET not in everything_said(raised.value)


class TestSharedFile:
    def test_the_default_profile(self, file):
        """With a per cent sign in the secret, which means nothing."""
        assert Credentials.from_shared_file(path=file, environ={}) == Credentials("role", SECRET)

    def test_a_named_profile(self, file):
        """With its token; other options are not ours."""
        assert Credentials.from_shared_file("orders", file) == Credentials("orders", "other", "token")

    def test_the_environment_names_file_and_profile(self, file):
        """As AWS's tools have it."""
        environ = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "orders"}
        assert Credentials.from_shared_file(environ=environ).access_key_id == "orders"

    def test_arguments_win_over_the_environment(self, file):
        """What is said in code is meant."""
        environ = {"AWS_SHARED_CREDENTIALS_FILE": "/absent", "AWS_PROFILE": "absent"}
        assert Credentials.from_shared_file("default", file, environ).access_key_id == "role"

    def test_the_home_directory_has_the_default_file(self, file, monkeypatch):
        """``~/.aws/credentials``, for whoever it is."""
        home = file.parent / ".aws"
        home.mkdir()
        file.rename(home / "credentials")
        monkeypatch.setenv("HOME", str(file.parent))
        assert Credentials.from_shared_file(environ={}).access_key_id == "role"

    def test_a_missing_file_is_named(self, tmp_path):
        """With the system's reason."""
        with pytest.raises(ConfigurationError, match="absent: No such file or directory"):
            Credentials.from_shared_file(path=tmp_path / "absent")

    def test_a_missing_profile_is_named_with_the_nearest(self, file):
        """A slip of the finger is found at once."""
        with pytest.raises(ConfigurationError, match=r"no profile 'order'; did you mean 'orders'\?"):
            Credentials.from_shared_file("order", file)

    @pytest.mark.parametrize("name", ["aws_access_key_id", "aws_secret_access_key"])
    @pytest.mark.parametrize("rest", ["", "{} =\n"])
    def test_a_missing_key_is_named(self, file, name, rest):
        """Missing or empty."""
        kept = [line for line in FILE.splitlines(keepends=True)[:3] if not line.startswith(name)]
        file.write_text("".join(kept) + rest.format(name))
        with pytest.raises(ConfigurationError, match=f"profile 'default' has no {name}"):
            Credentials.from_shared_file("default", file)

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (f"aws_secret_access_key = {SECRET}\n", "line 1 comes before any"),
            (f"[default]\n{SECRET.replace('=', '')}\n", "line 2 is neither"),
            (f"[default]\nx = {SECRET}\nx = {SECRET}\n", "line 3 says again"),
            (f"[default]\nx = {SECRET}\n[default]\n", "line 3 says again"),
            (f"[default]\naws_access_key_id = role\naws_secret_access_key = {SECRET}\n  {SECRET}\n", "cannot be print"),
        ],
    )
    def test_a_broken_file_is_not_quoted(self, file, text, why):
        """The line's number is said, not the line: it may be the secret."""
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=why) as raised:
            Credentials.from_shared_file("default", file)
        assert SECRET.replace("=", "") not in everything_said(raised.value)

    def test_bytes_that_are_no_text_are_not_quoted(self, file):
        """A decoding error would carry the whole file."""
        file.write_bytes(FILE.encode() + b"\xff")
        with pytest.raises(ConfigurationError, match="it is not UTF-8 text") as raised:
            Credentials.from_shared_file("default", file)
        assert SECRET not in everything_said(raised.value)


async def test_any_async_callable_is_a_provider():
    """A provider needs no class of ours."""

    async def from_vault() -> Credentials:
        return FULL

    provider: CredentialsProvider = from_vault
    assert await provider() is FULL

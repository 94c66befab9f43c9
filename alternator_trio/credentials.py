"""Who the client is: the key id and the secret that requests are signed with, and where they come from.

Rules: no secret and no token is ever shown, by ``repr``, ``str``, an error or what an error was raised from; what
cannot stand in a signed request is refused when the value is made; the environment and files are read when that is
asked for, never later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, final

from alternator_trio.errors import ConfigurationError

if TYPE_CHECKING:
    from configparser import RawConfigParser

__all__ = ["Credentials", "CredentialsProvider", "credentials_problem", "provider_name"]

_HIDDEN: Final = "…"
# What separates the parts of an Authorization header, where nothing can be quoted.
_SEPARATORS: Final = frozenset("/,=")


@final
class Credentials:
    """An access key: for Alternator a role's name and its ``salted_hash``, for AWS a key id and its secret.

    Immutable; compares by value. It pickles and copies whole, secret included: a pickle of it, or of a configuration
    that holds it, is as secret as the secret. (It is no dataclass, because ``dataclasses.asdict`` of a configuration
    would take it apart and show what ``repr`` hides.)

    Attributes:
        access_key_id: The key id; for Alternator the role's name. Not a secret.
        secret_access_key: The secret; for Alternator the role's ``salted_hash`` from ``system.roles``.
        session_token: What goes with temporary credentials, as ``x-amz-security-token``; None without one.
        expires_at: When a provider must be asked again, an aware datetime; None: they hold until they are replaced.

    Raises:
        ConfigurationError: A part is empty, or has characters that cannot be signed or sent. The message names the part
            and never shows it.

    Example:
        >>> Credentials("role", "$6$x7$Fq3")
        Credentials('role', '…')
        >>> Credentials("role/admin", "$6$x7$Fq3")
        Traceback (most recent call last):
        ...
        alternator_trio.errors.ConfigurationError: access_key_id: '/' in it cannot be sent in a signed request
    """

    __slots__ = ("_hash", "access_key_id", "expires_at", "secret_access_key", "session_token")

    def __init__(
        self,
        access_key_id: str,
        secret_access_key: str,
        session_token: str | None = None,
        *,
        expires_at: datetime | None = None,
    ) -> None:
        _check("access_key_id", access_key_id, _id_problem)
        _check("secret_access_key", secret_access_key, _secret_problem)
        if session_token is not None:
            _check("session_token", session_token, _header_problem)
        _check_time(expires_at)
        self.access_key_id: Final = access_key_id
        self.secret_access_key: Final = secret_access_key
        self.session_token: Final = session_token
        self.expires_at: Final = expires_at
        # Signing keys are cached by credentials, on every request's way: hash once.
        self._hash: Final = hash(self._parts())

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Credentials:
        """What AWS's tools read: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN``.

        Args:
            environ: The variables; None: those of this process, now.

        Raises:
            ConfigurationError: A variable is missing, empty or unusable; the message names it.

        Example:
            >>> Credentials.from_environment({"AWS_ACCESS_KEY_ID": "role", "AWS_SECRET_ACCESS_KEY": "$6$x7$Fq3"})
            Credentials('role', '…')
        """
        variables = os.environ if environ is None else environ
        key_id = _variable(variables, "AWS_ACCESS_KEY_ID")
        secret = _variable(variables, "AWS_SECRET_ACCESS_KEY")
        try:
            return cls(key_id, secret, variables.get("AWS_SESSION_TOKEN") or None)
        except ConfigurationError as error:
            raise ConfigurationError(f"the AWS_… environment variables: {error}") from error

    @classmethod
    def from_shared_file(
        cls,
        profile: str | None = None,
        path: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Credentials:
        """One profile of the file that AWS's tools share: ``aws_access_key_id`` and so on under ``[profile]``.

        It reads the file in place, so call it before the work begins, or in a thread.

        Args:
            profile: The section; None: ``$AWS_PROFILE``, else ``default``.
            path: The file; None: ``$AWS_SHARED_CREDENTIALS_FILE``, else ``~/.aws/credentials``.
            environ: The variables; None: those of this process, now.

        Raises:
            ConfigurationError: The file cannot be read, has no such profile, or the profile lacks a key or has an
                unusable one; the message names file and profile.

        Example:
            ``Credentials.from_shared_file(profile="orders")``
        """
        variables = os.environ if environ is None else environ
        section = profile or variables.get("AWS_PROFILE") or "default"
        file = Path(path or variables.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
        options = _read_profile(file, section)
        for name in ("aws_access_key_id", "aws_secret_access_key"):
            if not options.get(name):
                raise ConfigurationError(f"{file}: profile {section!r} has no {name}")
        key_id, secret = options["aws_access_key_id"], options["aws_secret_access_key"]
        try:
            return cls(key_id, secret, options.get("aws_session_token") or None)
        except ConfigurationError as error:
            raise ConfigurationError(f"{file}: profile {section!r}: {error}") from error

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, "_hash"):  # set last, in the constructor
            raise AttributeError(f"credentials cannot be changed: {name}")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"credentials cannot be changed: {name}")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return self._parts() == other._parts() if isinstance(other, Credentials) else NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        token = "" if self.session_token is None else f", {_HIDDEN!r}"
        expiry = "" if self.expires_at is None else f", expires_at={self.expires_at!r}"
        return f"Credentials({self.access_key_id!r}, {_HIDDEN!r}{token}{expiry})"

    def __reduce__(self) -> tuple[Callable[..., Credentials], tuple[str, str, str | None, datetime | None]]:
        return _rebuild, self._parts()

    def _parts(self) -> tuple[str, str, str | None, datetime | None]:
        return self.access_key_id, self.secret_access_key, self.session_token, self.expires_at


class CredentialsProvider(Protocol):
    """Gives credentials whenever they are needed anew: any async callable without arguments.

    It is called in a task of the client's own, inside of the client's block, with the context variables of whoever
    opened the client: the cancellation of an operation that waits does not reach it, the end of the block cancels it.
    Two that compare equal are one provider; a bound method of an object equals itself.

    Example:
        ::

            async def from_vault() -> Credentials:
                lease = await vault.read("alternator/orders")
                return Credentials(lease.user, lease.secret, expires_at=lease.expires_at)
    """

    async def __call__(self) -> Credentials:
        """The credentials that hold now; ``expires_at`` says for how long. What it raises fails the operation."""
        ...

    def __hash__(self) -> int: ...


def credentials_problem(value: object) -> str | None:
    """Why something cannot stand for credentials or their provider; None when it can. Shows nothing of it."""
    if isinstance(value, Credentials):
        return None
    if isinstance(value, type) or not callable(value):
        shown = f"the class {value.__qualname__}" if isinstance(value, type) else type(value).__name__
        return f"{shown} is no Credentials, nor an async callable that gives them"
    try:
        hash(value)
    except TypeError:
        return f"{provider_name(value)} cannot be hashed, by which providers are told apart; give a bound method of it"
    return None


def provider_name(provider: object) -> str:
    """A provider's name for errors and logs. Not its ``repr``, which may show what it was made with."""
    name: object = getattr(provider, "__qualname__", None)
    return name if isinstance(name, str) else type(provider).__qualname__


def _rebuild(key_id: str, secret: str, token: str | None, expires_at: datetime | None) -> Credentials:
    return Credentials(key_id, secret, token, expires_at=expires_at)


def _check(name: str, value: object, problem_of: Callable[[str], str | None]) -> None:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: {type(value).__name__} is no string")
    problem = problem_of(value) if value else "it is empty"
    if problem is not None:
        raise ConfigurationError(f"{name}: {problem}")


def _check_time(value: object) -> None:
    if value is None:
        return
    if not isinstance(value, datetime):
        raise ConfigurationError(f"expires_at: {type(value).__name__} is no datetime")
    if value.utcoffset() is None:
        raise ConfigurationError(f"expires_at: {value} says no time zone; make it aware, as in datetime.now(UTC)")


def _id_problem(text: str) -> str | None:
    problem = _header_problem(text)
    separators = sorted(_SEPARATORS.intersection(text))
    if problem is None and separators:
        return f"{separators[0]!r} in it cannot be sent in a signed request"
    return problem


def _header_problem(text: str) -> str | None:
    if all("!" <= character <= "~" for character in text):
        return None
    return "it has white space or characters outside of printable ASCII"


def _secret_problem(text: str) -> str | None:
    """A secret is never sent, so it may be any text; but the newline after it in a file is not meant."""
    if text != text.strip():
        return "it begins or ends with white space"
    if not text.isprintable():  # lone surrogates are not printable either, and could not be encoded
        return "it has characters that cannot be printed"
    return None


def _variable(variables: Mapping[str, str], name: str) -> str:
    value = variables.get(name)
    if not value:
        raise ConfigurationError(f"environment variable {name} is {'not set' if value is None else 'empty'}")
    return value


def _read_profile(file: Path, section: str) -> Mapping[str, str]:
    from configparser import RawConfigParser  # noqa: PLC0415  # most clients read no file

    # No interpolation and no inherited section: a secret may hold '%', and AWS's [default] is a profile like others.
    parser = RawConfigParser(default_section="", interpolation=None)
    problem = _read_into(parser, file)
    if problem is not None:  # raised here, outside of the handlers: their errors quote the file's lines, even in chains
        raise ConfigurationError(f"{file}: {problem}")
    if not parser.has_section(section):
        import difflib  # noqa: PLC0415  # only for an error message

        near = difflib.get_close_matches(section, parser.sections(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(f"{file}: there is no profile {section!r}{hint}")
    return parser[section]


def _read_into(parser: RawConfigParser, file: Path) -> str | None:
    """Read a file; why it cannot be read, in words that quote nothing of it."""
    import configparser  # noqa: PLC0415  # as above

    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except OSError as error:
        return error.strerror or type(error).__name__
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    except configparser.MissingSectionHeaderError as error:
        return f"line {error.lineno} comes before any [profile]"
    except configparser.ParsingError as error:
        # Python 3.13's error about a continued line has a number of its own in place of the list.
        listed: list[tuple[int, str]] = getattr(error, "errors", None) or [(getattr(error, "lineno", 0), "")]
        return f"line {listed[0][0]} is neither [profile] nor 'name = value'"
    except (configparser.DuplicateSectionError, configparser.DuplicateOptionError) as error:
        return f"line {error.lineno} says again what an earlier one says"
    return None

"""Options as TOML has them, made into the values that `AlternatorConfig` takes.

Rules: one reader per option whose value is no plain one; a reader checks the shape and the names, the value's own class
checks the rest; an error names the option and the key, and shows nothing of a secret; ``"none"`` is None everywhere.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, TypeAlias, cast

from alternator_trio._checks import check_names, shown
from alternator_trio.config import RetryPolicy
from alternator_trio.content import RequestCompression
from alternator_trio.credentials import Credentials
from alternator_trio.errors import ConfigurationError
from alternator_trio.instruments import Instrument
from alternator_trio.routing import AffinityMode, KeyRouteAffinity, NodeHealth, RoutingScope
from alternator_trio.tls import Tls
from alternator_trio.transports import HttpxTransport

__all__ = ["Place", "read_value"]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """What a value refers to.

    Attributes:
        directory: Where relative paths begin.
        environ: The environment variables.
    """

    directory: Path
    environ: Mapping[str, str]


def read_value(option: str, value: object, place: Place) -> object:
    """The value of an option.

    Args:
        option: Its name.
        value: What TOML makes of it, or a text.
        place: What it refers to.

    Raises:
        ConfigurationError: The shape is wrong, or what it refers to is not there. The message begins with the option.

    Example:
        >>> read_value("key_route_affinity", {"mode": "rmw"}, Place(Path(), {}))
        KeyRouteAffinity.rmw(partition_keys={})
        >>> read_value("retry", {"max_attempt": 3}, Place(Path(), {}))
        Traceback (most recent call last):
        ...
        alternator_trio.errors.ConfigurationError: retry: unknown key 'max_attempt'; did you mean 'max_attempts'?
    """
    if value == "none":
        return () if option == "response_compression" else None
    reader = _READERS.get(option)
    if reader is None:
        return value  # plain: what is wrong with it, AlternatorConfig says
    try:
        return reader(value, place)
    except ConfigurationError as error:
        if error.message.startswith(option):
            raise
        raise ConfigurationError(f"{option}: {error.message}") from error


def _retry(value: object, place: Place) -> object:
    del place
    return _record(RetryPolicy, value)


def _node_health(value: object, place: Place) -> object:
    del place
    return _record(NodeHealth, value)


def _request_compression(value: object, place: Place) -> object:
    del place
    return _record(RequestCompression, {"encoding": value} if isinstance(value, str) else value)


def _transport(value: object, place: Place) -> object:
    del place
    return value if isinstance(value, str) else _record(HttpxTransport, value)


def _routing_scope(value: object, place: Place) -> object:
    del place
    if not isinstance(value, list):
        return _scope(value)
    scopes = [_scope(each) for each in cast("list[object]", value)]
    if not scopes:
        raise ConfigurationError("an empty list is no chain of scopes")
    return scopes[0].with_fallback(*scopes[1:])


def _scope(value: object) -> RoutingScope:
    if value == "cluster":
        return RoutingScope.cluster()
    names = _table(
        value, ("datacenter", "rack"), '"cluster", or a table such as { datacenter = "dc1", rack = "rack1" }'
    )
    if "datacenter" not in names:
        raise ConfigurationError("a scope needs its 'datacenter', or is \"cluster\"")
    return RoutingScope(cast("str", names["datacenter"]), cast("str | None", names.get("rack")))


def _key_route_affinity(value: object, place: Place) -> object:
    del place
    table = _table(
        {"mode": value} if isinstance(value, str) else value, ("mode", "partition_keys"), '"rmw", or a table'
    )
    modes = {mode.value: mode for mode in AffinityMode}
    mode = table.get("mode")
    if not isinstance(mode, str) or mode not in modes:
        raise ConfigurationError(f"mode: {mode!r} is none of {', '.join(modes)}")
    return KeyRouteAffinity(modes[mode], cast("Mapping[str, str]", table.get("partition_keys", {})))


def _names(value: object, place: Place) -> object:
    """A list, which a text gives with commas."""
    del place
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _credentials(value: object, place: Place) -> object:
    if value == "environment":
        return Credentials.from_environment(place.environ)
    parts = ("access_key_id", "secret_access_key", "session_token")
    secrets = [f"{part}{source}" for part in parts[1:] for source in ("", "_file", "_variable")]
    table = _table(value, ("profile", "file", parts[0], *secrets), '"environment", or a table')
    if "profile" in table or "file" in table:
        _check_alone(table, ("profile", "file"))
        file = None if "file" not in table else place.directory / Path(_text("file", table["file"])).expanduser()
        profile = None if "profile" not in table else _text("profile", table["profile"])
        return Credentials.from_shared_file(profile, file, place.environ)
    key_id, secret, token = (_secret(table, part, place) for part in parts)
    return Credentials(cast("str", key_id), cast("str", secret), token)


def _secret(table: Mapping[str, object], name: str, place: Place) -> str | None:
    """A text that stands in the table, in a file, or in an environment variable; None when it is not given."""
    given = [each for each in (name, f"{name}_file", f"{name}_variable") if each in table]
    if not given:
        return None
    if len(given) > 1:
        raise ConfigurationError(f"{given[1]}: {given[0]} is given as well; give one of the two")
    text = _text(given[0], table[given[0]])
    if given[0].endswith("_variable"):
        if not place.environ.get(text):
            raise ConfigurationError(f"{given[0]}: environment variable {text} is not set, or empty")
        return place.environ[text]
    return _contents(given[0], place.directory / Path(text).expanduser()) if given[0].endswith("_file") else text


def _contents(key: str, file: Path) -> str:
    problem = "it is not UTF-8 text"  # raised outside of the handler: that error quotes bytes of the file
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        pass
    raise ConfigurationError(f"{key}: {file}: {problem}")


def _tls(value: object, place: Place) -> object:
    fields = [field.name for field in dataclasses.fields(Tls)]
    table = dict(_table(value, (*fields, "key_password_file", "key_password_variable"), "a table"))
    password = _secret(table, "key_password", place)
    choices: dict[str, object] = {name: each for name, each in table.items() if not name.startswith("key_password")}
    for name, each in choices.items():
        if name.endswith("_file"):
            choices[name] = place.directory / Path(_text(name, each)).expanduser()
    return _record(Tls, {**choices, "key_password": password})


def _address_translator(value: object, place: Place) -> object:
    del place
    return _imported(value) if isinstance(value, str) else _texts(value)


def _instruments(value: object, place: Place) -> object:
    references = cast("list[object]", value if isinstance(value, list) else _names(value, place))
    return [_instrument(_imported(_text("instruments", each))) for each in references]


def _instrument(found: object) -> object:
    """An instrument as it is, or one made of its class."""
    if isinstance(found, type) and issubclass(found, Instrument):
        return found()
    return found  # pyright: ignore[reportUnknownVariableType]  # narrowed to a class of nobody knows what


def _imported(reference: str) -> object:
    """What ``package.module:name`` refers to."""
    module, colon, name = reference.partition(":")
    if not (module and colon and name):
        raise ConfigurationError(f"{reference!r} is no reference, such as 'package.module:name'")
    try:
        found: object = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise ConfigurationError(f"{reference!r} cannot be imported: {error!r}") from error
    return found


def _record(kind: Callable[..., object], value: object) -> object:
    """A table with the fields of a dataclass."""
    fields = dataclasses.fields(cast("type[RetryPolicy]", kind))
    table = _table(value, [field.name for field in fields], "a table")
    for field in fields:
        if field.name not in table and field.default is dataclasses.MISSING:
            raise ConfigurationError(f"it needs {field.name!r}")
    return kind(**table)


def _table(value: object, known: Collection[str], wanted: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{shown(value)} is not {wanted}")
    table = cast("Mapping[str, object]", value)
    check_names(table, known, "key")
    return table


def _texts(value: object) -> Mapping[str, str]:
    table = _table(value, cast("Collection[str]", value), "a table")
    return {key: _text(key, text) for key, text in table.items()}


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{key}: {shown(value)} is no text")
    return value


def _check_alone(table: Mapping[str, object], allowed: Collection[str]) -> None:
    for name in table:
        if name not in allowed:
            raise ConfigurationError(f"{name}: it does not go with {' and '.join(allowed)}")


_Reader: TypeAlias = Callable[[object, Place], object]
_READERS: Final[Mapping[str, _Reader]] = {
    "seeds": _names,
    "retry": _retry,
    "node_health": _node_health,
    "routing_scope": _routing_scope,
    "key_route_affinity": _key_route_affinity,
    "address_translator": _address_translator,
    "instruments": _instruments,
    "credentials": _credentials,
    "request_compression": _request_compression,
    "response_compression": _names,
    "tls": _tls,
    "transport": _transport,
}

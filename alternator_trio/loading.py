"""A configuration from outside of the program: a TOML table and environment variables, beside arguments.

Rules: arguments win over the environment, the environment over the file, the file over the defaults, option by option;
an error names where the value stands; an unknown key is refused with the nearest valid one. It reads in place, so load
before the Trio run begins, or in a thread.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Unpack, cast

from alternator_trio._checks import check_names, nearest
from alternator_trio._toml_values import Place, read_value
from alternator_trio.config import AlternatorConfig, Options
from alternator_trio.errors import ConfigurationError

__all__ = ["Loaded", "load", "load_config"]

_PREFIX: Final = "ALTERNATOR_"
_OPTIONS: Final = tuple(field.name for field in dataclasses.fields(AlternatorConfig) if field.init)
_VARIABLES: Final = {_PREFIX + name.upper(): name for name in _OPTIONS}
_TEXTS: Final = frozenset({"region", "user_agent"})  # never read as numbers
# A misspelt variable is refused; one that only begins like ours belongs to somebody else. (Kubernetes sets
# ALTERNATOR_PORT and ALTERNATOR_SERVICE_HOST for a service of this name.)
_MISSPELT: Final = 0.9


def load_config(
    *seeds: str,
    file: str | os.PathLike[str] | None = None,
    table: str = "alternator",
    environ: Mapping[str, str] | None = None,
    **options: Unpack[Options],
) -> AlternatorConfig:
    """A configuration from arguments, environment variables ``ALTERNATOR_…``, and a TOML file, in this order.

    Args:
        seeds: As `open_alternator` takes them; none: those of the environment or of the file.
        file: A TOML file; None: none is read.
        table: The table in it; ``"tool.orders"`` is a table in a table.
        environ: The variables; None: those of this process, now; ``{}``: none.
        options: As `open_alternator` takes them.

    Raises:
        ConfigurationError: A value is wrong, a key is unknown, or the file cannot be read. The message names the file or
            the variable, and the key.

    Example:
        >>> environ = {"ALTERNATOR_SEEDS": "http://10.0.0.1:8000", "ALTERNATOR_RETRY": "{ max_attempts = 2 }"}
        >>> load_config(environ=environ, attempt_timeout=3.0).retry.max_attempts
        2
        >>> load_config(environ={**environ, "ALTERNATOR_IDLE_INTERVALS": "5"})
        Traceback (most recent call last):
        ...
        alternator_trio.errors.ConfigurationError: environment variable ALTERNATOR_IDLE_INTERVALS: there is no such option; did you mean 'ALTERNATOR_IDLE_INTERVAL'?
    """  # noqa: E501  # a message has one line
    return load(seeds, file=file, table=table, environ=environ, options=options).config


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and where its values come from.

    Attributes:
        config: The configuration.
        origins: For each option that is not at its default the place where its value stands.
    """

    config: AlternatorConfig
    origins: Mapping[str, str]


def load(
    seeds: Sequence[str],
    *,
    file: str | os.PathLike[str] | None,
    table: str,
    environ: Mapping[str, str] | None,
    options: Options,
) -> Loaded:
    """As `load_config`, with the origins."""
    check_names(options, set(_OPTIONS) - {"seeds"})
    variables = os.environ if environ is None else environ
    chosen: dict[str, tuple[object, str]] = {}
    if file is not None:
        chosen |= _from_file(Path(file).expanduser(), table, variables)
    chosen |= _from_environment(variables)
    chosen |= {name: (value, "argument") for name, value in options.items()}
    if seeds:
        chosen["seeds"] = seeds, "argument"
    if "seeds" not in chosen:
        raise ConfigurationError(f"no seed given: name one as an argument, in {_PREFIX}SEEDS, or as seeds in the file")
    origins = {name: origin for name, (_, origin) in chosen.items()}
    return Loaded(_built({name: value for name, (value, _) in chosen.items()}, origins), origins)


def _built(values: Mapping[str, object], origins: Mapping[str, str]) -> AlternatorConfig:
    try:
        return AlternatorConfig(**cast("dict[str, Any]", values))
    except ConfigurationError as error:
        option = re.match(r"[a-z_]*", error.message)
        name = "" if option is None else option[0]
        origin = origins.get("seeds" if name == "seed" else name)
        if origin in (None, "argument"):
            raise
        raise ConfigurationError(f"{origin}: {error.message}") from error


def _from_file(file: Path, table: str, environ: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    found = _document(file)
    for name in table.split("."):
        if name not in found:
            hint = nearest(name, found) or "; the options stand in it"
            raise ConfigurationError(f"{file}: there is no table [{table}]{hint}")
        inside = found[name]
        if not isinstance(inside, Mapping):
            raise ConfigurationError(f"{file}: {name} is no table")
        found = cast("Mapping[str, object]", inside)
    origin = f"{file} [{table}]"
    place = Place(file.parent, environ)
    return _read(((name, value, origin) for name, value in found.items()), place)


def _document(file: Path) -> Mapping[str, object]:
    import tomllib  # noqa: PLC0415  # most clients read no file

    problem = "it is not UTF-8 text"  # raised outside of the handlers: such errors can quote the file, and its secrets
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        pass
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at .*\)$", str(error))
        problem = "it is not TOML" if place is None else f"it is not TOML {place[0]}"
    raise ConfigurationError(f"{file}: {problem}")


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    given: list[tuple[str, object, str]] = []
    for variable in sorted(each for each in environ if each.startswith(_PREFIX)):
        name, text = _VARIABLES.get(variable), environ[variable]
        origin = f"environment variable {variable}"
        if name is not None and text:
            given.append((name, _value_of(name, text), origin))
        elif name is None and (hint := nearest(variable, _VARIABLES, _MISSPELT)):
            raise ConfigurationError(f"{origin}: there is no such option{hint}")
    return _read(given, Place(Path(), environ))


def _value_of(name: str, text: str) -> object:
    """A variable's text as TOML has it behind an equals sign; what is no TOML is the text that it is."""
    import tomllib  # noqa: PLC0415  # as above

    text = text.strip()
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value: object = document["value"]
    is_other = name in _TEXTS and not isinstance(value, str)
    return text if is_other or len(document) > 1 else value  # more than one: the text goes on in lines of its own


def _read(given: Iterable[tuple[str, object, str]], place: Place) -> dict[str, tuple[object, str]]:
    values: dict[str, tuple[object, str]] = {}
    for name, value, origin in given:
        try:
            check_names([name], _OPTIONS)
            values[name] = read_value(name, value, place), origin
        except ConfigurationError as error:
            raise ConfigurationError(f"{origin}: {error.message}") from error
    return values

"""The configuration in force, option by option, each with its origin.

Rules: what is shown is what `open_alternator` would be given and would take, the files of ``tls`` included; a value is
shown by its ``repr``, which hides secrets; nothing is sent.
"""

from __future__ import annotations

import dataclasses
from typing import TextIO

from alternator_trio._transport.tls_contexts import check_files
from alternator_trio.cli.arguments import ConfigWanted
from alternator_trio.cli.exits import EXIT_OK
from alternator_trio.errors import ConfigurationError
from alternator_trio.loading import Loaded, load
from alternator_trio.tls import Tls

__all__ = ["show_configuration"]


def show_configuration(wanted: ConfigWanted, out: TextIO) -> int:
    """Load the configuration and print it.

    Returns:
        The exit status.

    Raises:
        ConfigurationError: An option is wrong, or a file that it names.
    """
    loaded = load(wanted.seeds, file=wanted.file, table=wanted.table, environ=None, options={})
    _check_tls_files(loaded)
    out.writelines(f"{line}\n" for line in _lines(loaded))
    return EXIT_OK


def _check_tls_files(loaded: Loaded) -> None:
    tls = loaded.config.tls
    if isinstance(tls, Tls):
        try:
            check_files(tls)
        except ConfigurationError as error:
            raise ConfigurationError(f"{loaded.origins['tls']}: {error.message}") from error


def _lines(loaded: Loaded) -> list[str]:
    rows = [
        (field.name, repr(getattr(loaded.config, field.name)), loaded.origins.get(field.name, "default"))
        for field in dataclasses.fields(loaded.config)
        if field.init
    ]
    name_width = max(len(name) for name, _, _ in rows)
    origin_width = max(len(origin) for _, _, origin in rows)
    return [f"{name:{name_width}}  {origin:{origin_width}}  {value}" for name, value, origin in rows]

"""The configuration in force, option by option, each with its origin.

Rules: what is shown is what `open_alternator` would be given; a value is shown by its ``repr``, which hides secrets;
nothing is sent.
"""

from __future__ import annotations

import dataclasses
from typing import TextIO

from alternator_trio.cli.arguments import ConfigWanted
from alternator_trio.cli.exits import EXIT_OK
from alternator_trio.loading import Loaded, load

__all__ = ["show_configuration"]


def show_configuration(wanted: ConfigWanted, out: TextIO) -> int:
    """Load the configuration and print it.

    Returns:
        The exit status.

    Raises:
        ConfigurationError: An option is wrong.
    """
    loaded = load(wanted.seeds, file=wanted.file, table=wanted.table, environ=None, options={})
    out.writelines(f"{line}\n" for line in _lines(loaded))
    return EXIT_OK


def _lines(loaded: Loaded) -> list[str]:
    rows = [
        (field.name, repr(getattr(loaded.config, field.name)), loaded.origins.get(field.name, "default"))
        for field in dataclasses.fields(loaded.config)
        if field.init
    ]
    name_width = max(len(name) for name, _, _ in rows)
    origin_width = max(len(origin) for _, _, origin in rows)
    return [f"{name:{name_width}}  {origin:{origin_width}}  {value}" for name, value, origin in rows]

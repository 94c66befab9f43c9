"""What may stand on the command line.

Rules: a wrong option is one line on stderr and exit status 2, as a bad value is.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Final, NoReturn

from alternator_trio._version import __version__
from alternator_trio.cli.exits import EXIT_USAGE
from alternator_trio.cli.settings import Settings
from alternator_trio.errors import ConfigurationError

__all__ = ["NAME", "ConfigWanted", "DemoWanted", "parse_arguments"]

NAME: Final = "alternator-trio"
_DEMO: Final = """\
Start a cluster of three nodes on this machine, run a mixed load on it, kill a node in the middle, start it again, and
read everything back. With --seed, do the same on a cluster that runs elsewhere, and kill nothing."""
_STATUS: Final = """\
exit status: 0 when every acknowledged write was read back and the application saw no error, 1 when not, 2 for a wrong
option or a missing extra, 130 when interrupted."""


_CONFIG: Final = """\
Show the configuration in force: each option, its value, and where the value comes from. Arguments win over environment
variables (ALTERNATOR_SEEDS, ALTERNATOR_REGION and so on), these over the file, and the file over the defaults. The TLS
files that it names are read. Nothing is sent; secrets are not shown."""
_CONFIG_STATUS: Final = "exit status: 0, or 2 when an option is wrong or a file that it names cannot be used."
_DEFAULT_TABLE: Final = "alternator"

_DEFAULTS: Final = Settings()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DemoWanted:
    """``demo``.

    Attributes:
        settings: What the demo is asked to do.
        as_json: Whether its report is to be JSON.
    """

    settings: Settings
    as_json: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConfigWanted:
    """``config``.

    Attributes:
        seeds: Those that stand on the command line.
        file: The TOML file; None: there is none.
        table: The table in it.
    """

    seeds: tuple[str, ...]
    file: str | None
    table: str


def parse_arguments(arguments: Sequence[str] | None) -> DemoWanted | ConfigWanted:
    """Read a command line.

    Args:
        arguments: What stands behind the command's name; None: this process's.

    Returns:
        What is asked for.

    Raises:
        ConfigurationError: A value is wrong.
        SystemExit: An option is unknown, or asks for help or for the version.
    """
    parsed = _parser().parse_args(arguments)
    if parsed.command == "config":
        return _config_wanted(tuple(parsed.seeds), parsed.file, parsed.table)
    settings = _settings(parsed.seconds, parsed.concurrency, parsed.nodes, tuple(parsed.seed))
    return DemoWanted(settings=settings, as_json=parsed.json)


def _config_wanted(seeds: tuple[str, ...], file: str | None, table: str | None) -> ConfigWanted:
    if table is not None and file is None:
        raise ConfigurationError("--table: it has no effect without --file")
    return ConfigWanted(seeds=seeds, file=file, table=_DEFAULT_TABLE if table is None else table)


def _settings(seconds: float, concurrency: int, nodes: int | None, seeds: tuple[str, ...]) -> Settings:
    if nodes is None:
        nodes = _DEFAULTS.nodes
    elif seeds:
        raise ConfigurationError("--nodes: a cluster given by --seed has the nodes that it has")
    return Settings(seconds=seconds, concurrency=concurrency, nodes=nodes, seeds=seeds)


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=NAME, description="A client for ScyllaDB Alternator, built on Trio: its command.")
    parser.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    _fill_demo(
        commands.add_parser("demo", help="watch the client while a node dies", description=_DEMO, epilog=_STATUS)
    )
    _fill_config(
        commands.add_parser(
            "config", help="show the configuration in force", description=_CONFIG, epilog=_CONFIG_STATUS
        )
    )
    return parser


def _fill_demo(demo: argparse.ArgumentParser) -> None:
    demo.add_argument(
        "--seconds", type=float, default=_DEFAULTS.seconds, help="how long the load runs (default: %(default)g)"
    )
    demo.add_argument(
        "--concurrency", type=int, default=_DEFAULTS.concurrency, help="operations in flight (default: %(default)s)"
    )
    demo.add_argument("--nodes", type=int, help=f"nodes of the embedded cluster (default: {_DEFAULTS.nodes})")
    demo.add_argument(
        "--seed",
        action="append",
        default=[],
        metavar="URL",
        help="a node of a cluster that runs elsewhere, such as http://10.0.0.1:8000; may be repeated",
    )
    demo.add_argument("--json", action="store_true", help="print the report as JSON, and nothing else, to stdout")


def _fill_config(config: argparse.ArgumentParser) -> None:
    config.add_argument("seeds", nargs="*", metavar="SEED", help="a node, such as http://10.0.0.1:8000")
    config.add_argument("--file", help="a TOML file")
    config.add_argument("--table", help=f"the table in it (default: {_DEFAULT_TABLE})")

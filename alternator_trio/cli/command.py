"""The command line: what is asked for, who carries it out, and what is printed.

Rules: results go to stdout, everything on the way to them goes to stderr; a mistake of the user's is one line and exit
status 2; rich is imported only where something is drawn with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import os
import signal
import sys
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import trio

from alternator_trio.cli.arguments import NAME, ConfigWanted, parse_arguments
from alternator_trio.cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE
from alternator_trio.cli.settings import Settings
from alternator_trio.cli.shown_configuration import show_configuration
from alternator_trio.errors import AlternatorError, ConfigurationError

if TYPE_CHECKING:
    from alternator_trio.cli.demo import Demo
    from alternator_trio.cli.progress import Progress
    from alternator_trio.cli.report import Report

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The command line behind the command's name; None: this process's.

    Returns:
        The exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a report is worth more than a character that the terminal lacks
    try:
        wanted = parse_arguments(arguments)
        if isinstance(wanted, ConfigWanted):
            return show_configuration(wanted, sys.stdout)
        _check_extras(wanted.settings, as_json=wanted.as_json)
        return _run_demo(wanted.settings, as_json=wanted.as_json)
    except ConfigurationError as error:
        return _complain(error.message, EXIT_USAGE)
    except KeyboardInterrupt:  # before the demo began, or in the middle of its report
        return EXIT_INTERRUPTED


def _check_extras(settings: Settings, *, as_json: bool) -> None:
    needed = {} if as_json else {"cli": "rich"}
    if settings.is_embedded:
        needed["local"] = "ministack"
    missing = [extra for extra, package in needed.items() if importlib.util.find_spec(package) is None]
    if missing:
        what = " and ".join(needed[extra] for extra in missing)
        raise ConfigurationError(f"the demo needs {what}: in a clone, pip install '.[{','.join(missing)}]'")


def _run_demo(settings: Settings, *, as_json: bool) -> int:
    # The cluster, the engine and rich are imported when they are needed: --help is to be quick.
    from alternator_trio.cli.demo import Demo  # noqa: PLC0415

    demo = Demo(settings, _progress())
    ending: _Ending = _Interrupted()
    try:
        with _only_errors_logged():  # what the client says of nodes, the timeline says
            ending = trio.run(_ending_of, demo)
    except* KeyboardInterrupt:  # the second Ctrl-C, from within Trio perhaps in a group
        pass
    if isinstance(ending, AlternatorError):
        return _complain(f"the demo cannot run: {ending}", EXIT_FAILED)
    if isinstance(ending, (OSError, ImportError)):
        return _complain(f"the embedded cluster cannot start: {ending}", EXIT_USAGE)
    report = demo.report(interrupted=isinstance(ending, _Interrupted))
    _print_report(report, as_json=as_json)
    return report.exit_status


@contextlib.contextmanager
def _only_errors_logged() -> Generator[None, None, None]:
    logger = logging.getLogger("alternator_trio")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _complain(message: str, status: int) -> int:
    sys.stderr.write(f"{NAME}: {message}\n")
    return status


class _Interrupted:
    """Ctrl-C ended the run."""


_Ending: TypeAlias = AlternatorError | OSError | ImportError | _Interrupted | None


async def _ending_of(demo: Demo) -> _Ending:
    """Run a demo; what ended it early, None if nothing did."""
    ending: _Ending = None
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on_interrupt, scope)
            try:
                await demo.run()
            except (AlternatorError, OSError, ImportError) as error:  # raised, it would leave the nursery in a group
                ending = error
            nursery.cancel_scope.cancel()
    return _Interrupted() if scope.cancelled_caught else ending


async def _cancel_on_interrupt(scope: trio.CancelScope) -> None:
    """Cancel on the first Ctrl-C; the second one is Python's own again, for whoever cannot wait."""
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


def _progress() -> Progress:
    from alternator_trio.cli.progress import PlainProgress  # noqa: PLC0415 - as above

    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        from rich.console import Console  # noqa: PLC0415 - as above

        from alternator_trio.cli.live import LiveProgress  # noqa: PLC0415 - as above

        console = Console(stderr=True)
        if console.is_interactive:
            return LiveProgress(console)
    return PlainProgress(sys.stderr)


def _print_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        _print_json(report)
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    from alternator_trio.cli.render import render  # noqa: PLC0415 - as above

    render(report, Console())


def _print_json(report: Report) -> None:
    try:
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough. The interpreter flushes once more when it ends: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""One client at one hostile server after another: ``python clients ADAPTER``, with a line of JSON for each server.

Rules: the client is imported once, and each server gets a fork of this process, which may hang, swell or crash.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable

from cell import Cell, report


def main() -> None:
    """Serve the lines of the standard input."""
    drive = importlib.import_module(f"with_{sys.argv[1]}").drive
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _meet(drive, json.loads(line))
        report(step="child", pid=child)
        os.waitpid(child, 0)
        report(step="end")


def _meet(drive: Callable[[Cell], None], task: dict[str, object]) -> None:
    try:
        drive(Cell(**task))
    except Exception as error:  # noqa: BLE001  # it is reported, and the process ends
        report(step="crash", why=traceback.format_exception_only(error)[-1].strip())
    finally:
        os._exit(0)


main()

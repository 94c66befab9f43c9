"""An environment for each client that is compared: their dependencies exclude one another."""

from __future__ import annotations

import subprocess
import sys
import venv
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CLIENTS: Final = {
    "alternator_trio": "",  # where this program runs
    "boto3": "boto3",
    "aiobotocore": "aiobotocore",
    "aiodynamo": "aiodynamo[aiohttp]",
    "alternator_client": "alternator-client",
}


def prepare(clients: Iterable[str], home: Path) -> dict[str, str]:
    """The interpreter of each client, its environment made where there is none yet."""
    return {client: _interpreter(client, home / client) for client in clients}


def _interpreter(client: str, place: Path) -> str:
    if not CLIENTS[client]:
        return sys.executable
    python = place / "bin" / "python"
    if not (place / "installed").exists():
        print(f"installing {CLIENTS[client]} …", flush=True)
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", CLIENTS[client]], check=True)
        (place / "installed").touch()
    return str(python)

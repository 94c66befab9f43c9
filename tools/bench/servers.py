"""The server at the other end: nginx with fixed answers, or a small one of our own where nginx is missing.

Either is one process on a core of its own, started for the run and stopped after it, as an ordinary user. What it
answers never depends on what it was sent, beyond the path and the operation's name: it is there to be fast.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from payloads import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["nginx", "builtin"]

START_SECONDS = 5.0
STOP_SECONDS = 5.0
INSTALL_NGINX = "apt-get install nginx-light"

NGINX_CONFIGURATION = """
daemon off;
# One process, no master: an ordinary user can run it, and its CPU is the server's CPU.
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{
    worker_connections 8192;
    multi_accept on;
}}
http {{
    access_log off;
    server_tokens off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    default_type application/x-amz-json-1.0;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    scgi_temp_path {directory}/scgi;
    uwsgi_temp_path {directory}/uwsgi;
    map $http_x_amz_target $answer {{
{answers}
    }}
    server {{
{listens}
        # From a file: a text in this configuration may have no more than 4096 bytes, and a list of nodes has more.
        location = /localnodes {{ alias {directory}/localnodes; }}
        # `return` reads a request's body to its end and drops it, so that the connection stays in step.
        location = / {{ return 200 $answer; }}
    }}
}}
"""


class ServerError(Exception):
    """The server is not installed or did not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server."""

    kind: Kind
    version: str
    pid: int
    addresses: Sequence[str]
    port: int
    core: int | None

    @property
    def url(self) -> str:
        """The one seed that clients are given."""
        return f"http://{self.addresses[0]}:{self.port}"


@contextmanager
def running_server(kind: Kind, *, nodes: int, core: int | None) -> Iterator[Server]:
    """Run a server that plays ``nodes`` nodes, 127.0.0.1 and following, on one port and one core."""
    addresses = [f"127.0.{number // 250}.{number % 250 + 1}" for number in range(nodes)]
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="alternator-bench-") as name:
        directory = Path(name)
        command = (_nginx_command if kind == "nginx" else _builtin_command)(directory, addresses, port)
        with (directory / "output").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            _wait_until_it_listens(process, addresses, port, directory / "output")
            version = nginx_version() if kind == "nginx" else "(ours)"
            yield Server(kind=kind, version=version, pid=process.pid, addresses=addresses, port=port, core=core)
        finally:
            _stop(process)


def find_nginx() -> str | None:
    """Find nginx where Debian puts it, which is not on an ordinary user's path."""
    return shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))


def nginx_version() -> str:
    """Say which nginx it is, as in ``1.22.1``."""
    nginx = find_nginx()
    if nginx is None:
        raise ServerError(f"nginx is not installed: {INSTALL_NGINX}")
    told = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    return told.rpartition("/")[2].strip()


def _nginx_command(directory: Path, addresses: Sequence[str], port: int) -> list[str]:
    nginx = find_nginx()
    if nginx is None:
        raise ServerError(f"nginx is not installed: {INSTALL_NGINX}")
    answers = (f"        DynamoDB_20120810.{name} '{operation.answer_text}';" for name, operation in OPERATIONS.items())
    listens = (f"        listen {address}:{port} backlog=1024;" for address in addresses)
    (directory / "localnodes").write_text(localnodes(addresses), encoding="ascii")
    configuration = directory / "nginx.conf"
    configuration.write_text(
        NGINX_CONFIGURATION.format(
            directory=directory,
            answers="\n".join(answers),
            listens="\n".join(listens),
        ),
        encoding="utf-8",
    )
    # Before it has read its configuration, nginx logs to a file that only root may write, unless told otherwise.
    return [nginx, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(configuration)]


def _builtin_command(_directory: Path, addresses: Sequence[str], port: int) -> list[str]:
    script = Path(__file__).with_name("builtin_server.py")
    return [sys.executable, str(script), str(port), *addresses]


def localnodes(addresses: Sequence[str]) -> str:
    """Spell the answer to ``GET /localnodes``."""
    return "[" + ",".join(f'"{address}"' for address in addresses) + "]"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_listens(process: subprocess.Popen[bytes], addresses: Sequence[str], port: int, output: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while not all(_listens(address, port) for address in addresses):
        if process.poll() is not None or time.monotonic() > give_up_at:
            errors = "".join(
                path.read_text(errors="replace") for path in (output, output.with_name("error.log")) if path.exists()
            )
            raise ServerError(f"the server did not start: {errors.strip() or 'it said nothing'}")
        time.sleep(0.02)


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

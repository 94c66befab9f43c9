"""One client at one hostile server: the server here, the client in a process of its own, and what came of it.

Rules: a process has ten seconds from the moment that its client is ready, and three GiB; what it did not report, it did
not get to.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from tests.hostile.server import HostileServer, NodeOnSocket

if TYPE_CHECKING:
    import ssl

    from tests.hostile.rows import Row

PATIENCE: Final = 10.0
TURN: Final = 1.2  # seconds; within them every client asks for the list
START: Final = 60.0  # seconds for an interpreter to import its client, on a machine under load
WORKER: Final = Path(__file__).parent / "clients"

Report: TypeAlias = dict[str, Any]


@dataclasses.dataclass(kw_only=True)
class Outcome:
    """What came of one cell.

    Attributes:
        reports: What the client's process said, by step: child, ready, first, second, nodes, crash, end.
        hung: Whether it had to be killed.
        trapped: Whether it went where a redirect sent it.
        reused: Whether the request after the hostile one came over a connection of before.
        left_open: Connections to nodes that had left the list, at the end of the last turn.
    """

    reports: dict[str, Report] = dataclasses.field(default_factory=dict)
    hung: bool = False
    trapped: bool = False
    reused: bool = False
    left_open: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Certificates:
    """The CA's file, and what a server presents."""

    ca: Path
    served: ssl.SSLContext


class Client:
    """One client, imported: meets one server after another, each in a fork of its process."""

    def __init__(self, name: str, process: trio.Process) -> None:
        self.name = name
        self._process = process
        self._lines: list[bytes] = []
        self._rest = b""

    async def measure(self, row: Row, certificates: Certificates) -> Outcome:
        """Meet one server."""
        outcome = Outcome()
        async with trio.open_nursery() as nursery:
            trap = await _listen(nursery, partial(_spring, outcome))
            server = HostileServer(row, f"127.0.0.1:{trap}")
            port = await _listen(nursery, partial(_serve, server, certificates), row.hosts)
            nursery.start_soon(_take_turns, server, outcome)
            control = await _listen(nursery, partial(_calm, server, outcome))
            task = {
                "scheme": "https" if row.kind == "tls" else "http",
                "port": port,
                "control": control,
                "ca": str(certificates.ca),
                "kind": row.kind,
            }
            await self._run(outcome, task)
            nursery.cancel_scope.cancel()
        return outcome

    async def _run(self, outcome: Outcome, task: Report) -> None:
        assert self._process.stdin is not None  # noqa: S101  # piped
        await self._process.stdin.send_all(json.dumps(task).encode() + b"\n")
        with trio.CancelScope(deadline=trio.current_time() + START) as scope:
            while "end" not in outcome.reports:
                report = await self._next_report()
                outcome.reports[report["step"]] = report
                if report["step"] == "ready":
                    scope.deadline = trio.current_time() + PATIENCE
        outcome.hung = scope.cancelled_caught
        if outcome.hung:
            os.kill(outcome.reports["child"]["pid"], signal.SIGKILL)
            while (await self._next_report())["step"] != "end":
                pass

    async def _next_report(self) -> Report:
        assert self._process.stdout is not None  # noqa: S101  # piped
        while not self._lines:
            part = await self._process.stdout.receive_some()
            if not part:
                raise RuntimeError(f"the process of {self.name} has ended")
            *self._lines, self._rest = (self._rest + part).split(b"\n")
        return json.loads(self._lines.pop(0))


@asynccontextmanager
async def open_client(name: str, python: str) -> AsyncGenerator[Client]:
    """The process of one client."""
    process = await trio.lowlevel.open_process(
        [python, str(WORKER), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield Client(name, process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _listen(nursery: trio.Nursery, serve: object, hosts: Sequence[str] = ("127.0.0.1",)) -> int:
    port = 0
    for host in hosts:  # all at one port, as nodes are
        listeners = await nursery.start(partial(trio.serve_tcp, serve, port, host=host))
        port = listeners[0].socket.getsockname()[1]
    return port


async def _serve(server: HostileServer, certificates: Certificates, stream: trio.SocketStream) -> None:
    is_secured = server.row.kind == "tls" and server.row.handshake
    host = stream.socket.getsockname()[0]
    await server.serve(NodeOnSocket(stream, certificates.served if is_secured else None), host)


async def _take_turns(server: HostileServer, outcome: Outcome) -> None:
    while True:
        await trio.sleep(TURN)
        outcome.left_open = server.left_open()
        server.turn += 1


async def _spring(outcome: Outcome, stream: trio.SocketStream) -> None:
    outcome.trapped = True
    await stream.aclose()


async def _calm(server: HostileServer, outcome: Outcome, stream: trio.SocketStream) -> None:
    with trio.move_on_after(1):
        await server.played()
    server.calm = True
    before = {seen.connection for seen in server.operations()}

    def note() -> None:
        outcome.reused = bool(server.operations()) and server.operations()[-1].connection in before

    server.on_request = note
    with contextlib.suppress(trio.BrokenResourceError):
        await stream.send_all(b"k")
    await stream.aclose()

"""The cluster process as the run sees it: started, ordered about, looked at, ended."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from soon import answers_yes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from weather import Fault

PROGRAM = Path(__file__).with_name("cluster_process.py")
PATIENCE = 60.0
"""Seconds for any answer of the process, its start included; a machine may be busy with something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteNode:
    """One node: its endpoint at the proxy, and the rack that it stands in as ``dc1/rack1``."""

    url: str
    rack: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the process told after an order, and how many seconds the answer took."""

    at: float
    connects: int
    disconnects: int
    open_at_nodes: int
    took: float

    @property
    def open_connections(self) -> int:
        """Connections that the client holds open at the proxy."""
        return self.connects - self.disconnects


class RemoteCluster:
    """A running cluster process; one order at a time."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._received = b""
        self._turn = trio.Lock()
        self.nodes: tuple[RemoteNode, ...] = ()

    async def meet(self) -> None:
        """Learn which nodes there are."""
        told = await self._answer()
        self.nodes = tuple(RemoteNode(**node) for node in told["nodes"])

    async def begin(self, fault: Fault) -> Look:
        """Let a fault begin."""
        return await self._order({"do": "begin", **dataclasses.asdict(fault)})

    async def end(self, fault: Fault) -> Look:
        """Let it pass."""
        return await self._order({"do": "end", "kind": fault.kind, "node": fault.node})

    async def heal(self) -> Look:
        """Let everything pass."""
        return await self._order({"do": "heal"})

    async def look(self) -> Look:
        """Only look."""
        return await self._order({"do": "look"})

    async def has_connections(self, count: int) -> bool:
        """Whether the clients soon hold so many connections."""

        async def is_so() -> bool:
            return (await self.look()).open_connections == count

        return await answers_yes(is_so)

    async def _order(self, order: dict[str, object]) -> Look:
        assert self._process.stdin is not None  # noqa: S101 - opened with a pipe
        async with self._turn:
            began = time.monotonic()
            # An order and its answer belong together, whoever is cancelled meanwhile.
            with trio.CancelScope(shield=True):
                await self._process.stdin.send_all(json.dumps(order).encode() + b"\n")
                answer = await self._answer()
            return Look(**answer, took=time.monotonic() - began)

    async def _answer(self) -> dict[str, object]:
        assert self._process.stdout is not None  # noqa: S101 - opened with a pipe
        with trio.fail_after(PATIENCE):
            while b"\n" not in self._received:
                data = await self._process.stdout.receive_some()
                if not data:
                    raise RuntimeError("the cluster's process has ended; see above")
                self._received += data
        line, _, self._received = self._received.partition(b"\n")
        answer: dict[str, object] = json.loads(line)
        return answer


@asynccontextmanager
async def running_cluster(
    topology: Mapping[str, Mapping[str, int]], credentials: Mapping[str, str] | None
) -> AsyncIterator[RemoteCluster]:
    """Run a cluster and its proxy for the length of the block."""
    command = [sys.executable, str(PROGRAM), json.dumps(topology), json.dumps(credentials)]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        cluster = RemoteCluster(process)
        await cluster.meet()
        yield cluster
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + PATIENCE):
            process.terminate()
            await process.wait()

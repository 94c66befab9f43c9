"""The cluster process as its client sees it: started, ordered about, ended."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

PROGRAM = Path(__file__).with_name("cluster_process.py")
PATIENCE = 15.0
"""Seconds for any answer of the process, its start included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteNode:
    """One node: its endpoint, and the rack that it stands in as ``dc1/rack1``."""

    number: int
    url: str
    rack: str


class RemoteCluster:
    """A running cluster process."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._received = b""
        self.nodes: tuple[RemoteNode, ...] = ()

    @property
    def seeds(self) -> tuple[str, ...]:
        """The nodes' endpoints."""
        return tuple(node.url for node in self.nodes)

    def in_rack(self, rack: str) -> tuple[RemoteNode, ...]:
        """Its nodes."""
        return tuple(node for node in self.nodes if node.rack == rack)

    async def meet(self) -> None:
        """Learn which nodes there are."""
        told = await self._answer()
        nodes = told["nodes"]
        assert isinstance(nodes, list)  # noqa: S101 - the program's first line
        self.nodes = tuple(RemoteNode(number=number, **node) for number, node in enumerate(nodes))

    async def order(self, what: str, nodes: Sequence[RemoteNode]) -> float:
        """Have it done, and say when it was done (``time.monotonic``)."""
        assert self._process.stdin is not None  # noqa: S101 - opened with a pipe
        order = {"do": what, "nodes": [node.number for node in nodes]}
        await self._process.stdin.send_all(json.dumps(order).encode() + b"\n")
        return float(str((await self._answer())["at"]))

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
async def running_cluster(topology: Mapping[str, Mapping[str, int]]) -> AsyncIterator[RemoteCluster]:
    """Run a cluster for the length of the block."""
    command = [sys.executable, str(PROGRAM), json.dumps(topology)]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        cluster = RemoteCluster(process)
        await cluster.meet()
        yield cluster
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + PATIENCE):
            process.terminate()
            await process.wait()

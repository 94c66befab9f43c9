"""A cluster in a process of its own, as its client's process sees it: started, ordered about, ended.

Rules: the process says first which nodes there are; an order is a line of JSON and so is its answer; one order at a
time; an order and its answer belong together, whoever is cancelled meanwhile. `taking_orders` is the other side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

PATIENCE = 60.0
"""Seconds for any answer of the process, its start included; a machine may be busy with something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteNode:
    """One node: its endpoint as clients dial it, and the rack that it stands in as ``dc1/rack1``."""

    number: int
    url: str
    rack: str


class OrderedCluster:
    """A running cluster process; whoever gives it orders puts them into words in a class derived from this one."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._received = b""
        self._turn = trio.Lock()
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
        self.nodes = tuple(RemoteNode(number=number, **node) for number, node in enumerate(told["nodes"]))

    async def order(self, order: Mapping[str, object]) -> dict[str, Any]:
        """Have it carried out; the answer, and in ``took`` how many seconds it took."""
        assert self._process.stdin is not None  # noqa: S101 - opened with a pipe
        async with self._turn:
            began = time.monotonic()
            with trio.CancelScope(shield=True):
                await self._process.stdin.send_all(json.dumps(order).encode() + b"\n")
                answer = await self._answer()
            return {**answer, "took": time.monotonic() - began}

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - opened with a pipe
        with trio.fail_after(PATIENCE):
            while b"\n" not in self._received:
                data = await self._process.stdout.receive_some()
                if not data:
                    raise RuntimeError("the cluster's process has ended; see above")
                self._received += data
        line, _, self._received = self._received.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


C = TypeVar("C", bound=OrderedCluster)


@asynccontextmanager
async def running(kind: type[C], program: Path, *arguments: object) -> AsyncIterator[C]:
    """Run a cluster program for the length of the block; it imports from where this process does."""
    process = await trio.lowlevel.open_process(
        [sys.executable, str(program), *(json.dumps(argument) for argument in arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        cluster = kind(process)
        await cluster.meet()
        yield cluster
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + PATIENCE):
            process.terminate()
            await process.wait()

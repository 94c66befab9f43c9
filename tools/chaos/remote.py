"""The cluster process of this tool: the faults that it is ordered to commit, and what it tells of itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from apart.remote_cluster import OrderedCluster, running
from soon import answers_yes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from weather import Fault

PROGRAM = Path(__file__).with_name("cluster_process.py")


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


class RemoteCluster(OrderedCluster):
    """A running cluster process with its proxy, where its nodes' endpoints are."""

    async def begin(self, fault: Fault) -> Look:
        """Let a fault begin."""
        return Look(**await self.order({"do": "begin", **dataclasses.asdict(fault)}))

    async def end(self, fault: Fault) -> Look:
        """Let it pass."""
        return Look(**await self.order({"do": "end", "kind": fault.kind, "node": fault.node}))

    async def heal(self) -> Look:
        """Let everything pass."""
        return Look(**await self.order({"do": "heal"}))

    async def look(self) -> Look:
        """Only look."""
        return Look(**await self.order({"do": "look"}))

    async def has_connections(self, count: int) -> bool:
        """Whether the clients soon hold so many connections."""

        async def is_so() -> bool:
            return (await self.look()).open_connections == count

        return await answers_yes(is_so)


def running_cluster(
    topology: Mapping[str, Mapping[str, int]], credentials: Mapping[str, str] | None
) -> AbstractAsyncContextManager[RemoteCluster]:
    """Run a cluster and its proxy for the length of the block."""
    return running(RemoteCluster, PROGRAM, topology, credentials)

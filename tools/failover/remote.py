"""The cluster process of this tool, and the orders that it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from apart.remote_cluster import OrderedCluster, running

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from apart.remote_cluster import RemoteNode

PROGRAM = Path(__file__).with_name("cluster_process.py")


class RemoteCluster(OrderedCluster):
    """A running cluster process."""

    async def do(self, what: str, nodes: Sequence[RemoteNode]) -> float:
        """Have it done to each of the nodes, and say when it was done (``time.monotonic``)."""
        answer = await self.order({"do": what, "nodes": [node.number for node in nodes]})
        return float(answer["at"])


def running_cluster(topology: Mapping[str, Mapping[str, int]]) -> AbstractAsyncContextManager[RemoteCluster]:
    """Run a cluster for the length of the block."""
    return running(RemoteCluster, PROGRAM, topology)

"""The nodes of a simulated cluster, and which of them each lists: membership, partitions between nodes, gossip.

Rules: names and addresses are given out once and in order; a node that does not run sees nobody, and sees everybody
that runs when it comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from alternator_trio.testing.simulation.gossip import CONVICTION_SECONDS, Gossip
from alternator_trio.testing.simulation.history import History
from alternator_trio.testing.simulation.node import SimulatedNode

__all__ = ["Membership"]

MakeNode = Callable[[str, str, str, str], SimulatedNode]
"""Makes a node of a name, an address, a datacenter and a rack."""


class Membership:
    """The nodes and their views of one another.

    Args:
        history: Where things are written down.
        make_node: Makes a node.

    Attributes:
        nodes: The nodes that there are, running or not, the oldest first.
    """

    def __init__(self, history: History, make_node: MakeNode) -> None:
        self.nodes: list[SimulatedNode] = []
        self._history = history
        self._make_node = make_node
        self._gossip = Gossip()
        self._apart: set[str] = set()
        self._made = 0

    def make(self, datacenter: str, rack: str) -> SimulatedNode:
        """Another node, which does not run yet."""
        self._made += 1
        node = self._make_node(f"n{self._made}", f"10.0.{self._made // 256}.{self._made % 256}", datacenter, rack)
        self.nodes.append(node)
        return node

    def begin(self) -> None:
        """Let all nodes run, and list one another from the beginning."""
        for node in self.nodes:
            node.start()
        for observer in self.nodes:
            for subject in self.nodes:
                self._gossip.knows(observer.name, subject.name)

    def remove(self, node: SimulatedNode) -> None:
        """Take a node out for good."""
        node.stop()
        self._gossip.forget(node.name)
        self.nodes.remove(node)

    def split(self, nodes: Iterable[SimulatedNode]) -> None:
        """Let these nodes and the others lose sight of each other."""
        self._apart = {node.name for node in nodes}
        self._look(CONVICTION_SECONDS)

    # What a node has from its cluster.

    def comes(self, node: SimulatedNode) -> None:
        """The node runs from now on."""
        now = trio.current_time()
        for other in self.nodes:
            if other.is_running and self._connected(node, other):
                self._gossip.sees(other.name, node.name, now)
                self._gossip.knows(node.name, other.name)

    def goes(self, node: SimulatedNode, *, convicted_after: float) -> None:
        """The node does not run any more."""
        now = trio.current_time()
        for other in self.nodes:
            self._gossip.loses(other.name, node.name, now, convicted_after=convicted_after)

    def lists(self, node: SimulatedNode, datacenter: str | None, rack: str | None) -> list[str]:
        """The addresses that a node lists for a datacenter, its own unless another is named, or for a rack of it."""
        now = trio.current_time()
        return [
            other.address
            for other in self.nodes
            if other.datacenter == (datacenter or node.datacenter)
            and rack in {None, other.rack}
            and self._gossip.is_listed(node.name, other.name, now)
        ]

    def record(self, kind: str, *facts: str | float | None) -> None:
        """Write something down."""
        self._history.record(kind, *facts)

    # Below: the parts of the above.

    def _connected(self, one: SimulatedNode, other: SimulatedNode) -> bool:
        return (one.name in self._apart) == (other.name in self._apart)

    def _look(self, convicted_after: float) -> None:
        """Let every node that runs see who is to be seen."""
        now = trio.current_time()
        running = [node for node in self.nodes if node.is_running]
        for observer in running:
            for subject in running:
                if self._connected(observer, subject):
                    self._gossip.sees(observer.name, subject.name, now)
                else:
                    self._gossip.loses(observer.name, subject.name, now, convicted_after=convicted_after)

"""The snapshot that requests are routed by.

Rules: immutable; replaced as a whole by the NodeRegistry; the ring is sorted by canonical endpoint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from alternator_trio.nodes import Node

__all__ = ["LiveNodes"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LiveNodes:
    """Which nodes there are.

    Attributes:
        ring: The nodes, sorted by canonical endpoint; never empty.
        discovered: False as long as the seeds stand in for a node list that no node has given yet.
    """

    ring: tuple[Node, ...]
    discovered: bool = False

    @classmethod
    def from_seeds(cls, seeds: Iterable[Node], *, discovered: bool) -> LiveNodes:
        """The first snapshot: before the first answer the seeds are the node list."""
        return cls(ring=tuple(sorted(set(seeds))), discovered=discovered)

    def with_ring(self, nodes: Iterable[Node]) -> LiveNodes:
        """The snapshot after a valid answer; this one itself when the answer changes nothing."""
        ring = tuple(sorted(set(nodes)))
        if ring == self.ring and self.discovered:
            return self
        return LiveNodes(ring=ring, discovered=True)

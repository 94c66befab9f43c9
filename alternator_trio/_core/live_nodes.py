"""The snapshot that requests are routed by.

Rules: immutable; replaced as a whole by the NodeRegistry; the ring is sorted by canonical endpoint. Health decides who
is eligible, never who is in the ring: an affinity plan's order must not change with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from alternator_trio._core.health import NodeState, Standing
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

__all__ = ["HEALTHY", "LiveNodes"]

HEALTHY = Standing(state=NodeState.ACTIVE)
"""Of a node about which there is nothing to note; also of every node where health is switched off."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LiveNodes:
    """Which nodes there are.

    Attributes:
        ring: The nodes of the scope in force, sorted by canonical endpoint; never empty.
        eligible: Those of the ring that are active; if none is, those in quarantine; empty when all are down.
        scope: The scope in force.
        position: Its place in the chain; 0 is the preferred one.
        crosses_datacenters: Whether the scope in force leaves the preferred one's datacenter.
        discovered: False as long as the seeds stand in for a node list that no node has given yet.
        known: All nodes of all scopes that have been listed.
        standings: The health of known nodes; a missing one is `HEALTHY`.
        watched: Nodes whose successes matter: not active, or with failures to forget.
    """

    ring: tuple[Node, ...]
    eligible: tuple[Node, ...]
    scope: RoutingScope
    position: int = 0
    crosses_datacenters: bool = False
    discovered: bool = False
    known: tuple[Node, ...] = ()
    standings: Mapping[Node, Standing] = dataclasses.field(default_factory=dict[Node, Standing])
    watched: frozenset[Node] = frozenset()

    def state_of(self, node: Node) -> NodeState:
        """The node's state; of an unknown one: active, as there is nothing against it."""
        standing = self.standings.get(node)
        return NodeState.ACTIVE if standing is None else standing.state

    def generation_of(self, node: Node) -> int:
        """Which life of the node an attempt that begins now belongs to."""
        standing = self.standings.get(node)
        return 0 if standing is None else standing.generation

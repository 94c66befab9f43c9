"""The router: which plan a request gets, and what its attempts say about the nodes.

Rules: a plan is made from the snapshots of this moment, without waiting; health is asked at the last moment; of the
observations only those are told that can change something, each with the generation under which its attempt began.
"""

from __future__ import annotations

import itertools
import random
from typing import Final

from alternator_trio._actors.messages import AttemptSettled, NodeRegistryMessage
from alternator_trio._core.health import NodeState
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._core.query_plan import QueryPlan, RoundRobinPlan
from alternator_trio._request import Request
from alternator_trio._supervision import Inbox, Published
from alternator_trio._transport.connection import Connection, Ending
from alternator_trio.nodes import Node

__all__ = ["Router"]

# They say that the node is there, and that something behind it is not: neither a failure nor a success of the node.
_NEUTRAL: Final = frozenset({500, 502, 503, 504})


class Router:
    """Makes plans and reports attempts.

    Args:
        live: The node list in force.
        registry: Who is told how attempts end.
        rng: For the first turn and the order of retries.
    """

    def __init__(self, live: Published[LiveNodes], registry: Inbox[NodeRegistryMessage], rng: random.Random) -> None:
        self._live = live
        self._registry = registry
        self._rng = rng
        # From a random offset, so that clients that start together do not walk in step.
        self._turns = itertools.count(rng.randrange(2**32))

    def plan_for(self, request: Request, tried_last: Node | None = None) -> QueryPlan:
        """A plan over the nodes of this moment.

        Args:
            request: What is to be sent.
            tried_last: The node that the request has just failed on.
        """
        del request
        live = self._live.value
        return RoundRobinPlan(live.eligible, live.ring, next(self._turns), self._rng, self._state_of, tried_last)

    def answered(self, node: Node, live: LiveNodes, status: int) -> None:
        """Note a final answer of ``node`` to an attempt that began under the snapshot ``live``."""
        watched = self._live.value.watched
        if watched and node in watched and status not in _NEUTRAL:
            self._registry.tell(AttemptSettled(node=node, generation=live.generation_of(node), successes=1))

    def failed(self, lease: Connection, live: LiveNodes) -> None:
        """Note an attempt without a complete answer that began under the snapshot ``live``."""
        node = lease.node
        if lease.status:
            self.answered(node, live, lease.status)
        elif lease.ending is Ending.TIMED_OUT or (lease.ending is None and not lease.was_stale):
            self._registry.tell(AttemptSettled(node=node, generation=live.generation_of(node), failures=1))

    def _state_of(self, node: Node) -> NodeState:
        return self._live.value.state_of(node)

"""The router: which plan a request gets, and what its attempts say about the nodes.

Rules: a plan is made from the snapshots of this moment, without waiting; health is asked at the last moment; of the
observations only those are told that can change something, each with the generation under which its attempt began.
"""

from __future__ import annotations

import itertools
import random
from typing import Final, assert_never

import trio

from alternator_trio._actors.messages import (
    AttemptSettled,
    KeyDoubted,
    KeyNames,
    KeyResolverMessage,
    KeyWanted,
    NodeRegistryMessage,
    TableChanged,
)
from alternator_trio._core.affinity import Batch, Keyed, KeyMissing, NotAffine, batch_order, route
from alternator_trio._core.health import NodeState
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._core.query_plan import QueryPlan, RoundRobinPlan, preferred_plan, seeded_plan
from alternator_trio._request import Request
from alternator_trio._supervision import Inbox, Published
from alternator_trio._transport.connection import Connection, Ending
from alternator_trio.config import AlternatorConfig
from alternator_trio.errors import AlternatorError, NoLiveNodesError, ServiceError
from alternator_trio.nodes import Node
from alternator_trio.routing import KeyRouteAffinity

__all__ = ["Router"]

# They say that the node is there, and that something behind it is not: neither a failure nor a success of the node.
_NEUTRAL: Final = frozenset({500, 502, 503, 504})
_KEY_CHANGES: Final = frozenset({"CreateTable", "DeleteTable"})
_INVALID: Final = "ValidationException"
_EXISTS: Final = "ResourceInUseException"


class Router:
    """Makes plans and reports attempts.

    Args:
        config: Which writes have affinity, and whether they may leave the datacenter.
        live: The node list in force.
        key_names: The partition keys that are known.
        registry: Who is told how attempts end.
        keys: Who is told what key is missing, or in doubt.
        rng: For the first turn and the order of retries.
    """

    def __init__(
        self,
        config: AlternatorConfig,
        *,
        live: Published[LiveNodes],
        key_names: Published[KeyNames],
        registry: Inbox[NodeRegistryMessage],
        keys: Inbox[KeyResolverMessage],
        rng: random.Random,
    ) -> None:
        self._affinity = config.key_route_affinity
        self._writes_cross = config.writes_cross_datacenter
        self._live = live
        self._key_names = key_names
        self._registry = registry
        self._keys = keys
        self._rng = rng
        # From a random offset, so that clients that start together do not walk in step.
        self._turns = itertools.count(rng.randrange(2**32))

    def plan_for(self, request: Request, tried_last: Node | None = None) -> QueryPlan:
        """A plan over the nodes of this moment.

        Args:
            request: What is to be sent.
            tried_last: The node that the request has just failed on; affinity keeps to its order all the same.

        Raises:
            NoLiveNodesError: It is a write, which may not leave the datacenter, and the scope in force does.
        """
        live = self._live.value
        if not self._writes_cross and not request.is_read:
            if self.must_know_nodes(request):
                raise NoLiveNodesError(f"writes stay in the preferred datacenter, and no node of {live.scope} is known")
            if live.crosses_datacenters:
                raise NoLiveNodesError(f"writes stay in the preferred datacenter, and {live.scope} is in force")
        affinity = request.config.key_route_affinity
        plan = None if affinity is None else self._affine_plan(request, affinity, live)
        if plan is not None:
            return plan
        return RoundRobinPlan(live.eligible, live.ring, next(self._turns), self._rng, self._state_of, tried_last)

    def must_know_nodes(self, request: Request) -> bool:
        """Whether the request may not go to a seed that stands in for a node list, whose datacenter nobody knows."""
        live = self._live.value
        if live.discovered or self._writes_cross:
            return False
        return not live.scope.is_cluster and not request.is_read

    def answered(self, node: Node, live: LiveNodes, status: int) -> None:
        """Note a final answer of ``node`` to an attempt that began under the snapshot ``live``."""
        if node in self._live.value.watched and status not in _NEUTRAL:
            self._registry.tell(AttemptSettled(node=node, generation=live.generation_of(node), successes=1))

    def failed(self, lease: Connection, live: LiveNodes, error: AlternatorError) -> None:
        """Note an attempt without a complete answer that began under the snapshot ``live``."""
        node = lease.node
        if lease.status:
            self.answered(node, live, lease.status)
        elif lease.ending is Ending.TIMED_OUT or (lease.ending is None and not lease.was_stale):
            generation = live.generation_of(node)
            self._registry.tell(AttemptSettled(node=node, generation=generation, failures=1, reason=error.message))

    def schema_changed(self, request: Request) -> None:
        """Note a schema change that has happened, or may have: a new table has another key, one that is gone none."""
        table = request.parameters.get("TableName")
        if request.operation in _KEY_CHANGES and isinstance(table, str):
            self._keys.tell(TableChanged(table=table))

    def went_wrong(self, request: Request, error: AlternatorError) -> None:
        """Note a failure: one as invalid may come from a key that the table has no more."""
        if isinstance(error, ServiceError):
            if request.keyed_table is not None and error.code == _INVALID:
                self._keys.tell(KeyDoubted(table=request.keyed_table))
            if error.code == _EXISTS or error.status in _NEUTRAL:
                self.schema_changed(request)
        elif error.may_have_happened:
            self.schema_changed(request)

    def _affine_plan(self, request: Request, affinity: KeyRouteAffinity, live: LiveNodes) -> QueryPlan | None:
        names = self._key_names.value.names
        if affinity is not self._affinity and affinity.partition_keys:
            names = {**names, **affinity.partition_keys}  # an operation's own choice names keys of its own
        way = route(affinity.mode, request.operation, request.parameters, names)
        match way:
            case Keyed(seed=seed, table=table):
                request.keyed_table = table
                return seeded_plan(live.ring, seed, self._state_of)
            case NotAffine(doubted=table):
                if table is not None:
                    self._keys.tell(KeyDoubted(table=table))
                return None
            case Batch(votes=votes, missing=missing):
                self._want(missing)
                return preferred_plan(batch_order(votes, live.ring), live.ring, self._state_of)
            case KeyMissing(tables=tables):
                self._want(tables)
                return None
            case _:
                assert_never(way)

    def _want(self, tables: tuple[str, ...]) -> None:
        now = trio.current_time()
        known = self._key_names.value
        for table in tables:
            if known.is_wanted(table, now):
                self._keys.tell(KeyWanted(table=table))

    def _state_of(self, node: Node) -> NodeState:
        return self._live.value.state_of(node)

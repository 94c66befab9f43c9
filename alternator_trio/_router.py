"""The router: which plan a request gets, and what its attempts say about the nodes.

Rules: a plan is made from the snapshots of this moment, without waiting; health is asked at the last moment; of the
observations only those are told that can change something, each with the generation under which its attempt began.
"""

from __future__ import annotations

import itertools
import random
from typing import Final

from alternator_trio._actors.messages import AttemptSettled, KeyNames, KeyResolverMessage, KeyWanted, NodeRegistryMessage
from alternator_trio._core.affinity import BatchVotes, KeyMissing, Keyed, NotAffine, batch_plan, route
from alternator_trio._core.health import NodeState
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._core.query_plan import QueryPlan, RoundRobinPlan, SeededPlan
from alternator_trio._request import Request
from alternator_trio._supervision import Inbox, Published
from alternator_trio._transport.connection import Connection, Ending
from alternator_trio.errors import TransportError
from alternator_trio.nodes import Node
from alternator_trio.routing import KeyRouteAffinity

__all__ = ["Router"]

# They say that the node is there, and that something behind it is not: neither a failure nor a success of the node.
_NEUTRAL: Final = frozenset({500, 502, 503, 504})


class Router:
    """Makes plans and reports attempts.

"""The synchronous steps that routing adds to a request, each done many times in a slice.

They are the client's own objects, put together as its composition root does it, in rings of any size.
"""

from __future__ import annotations

import itertools
import math
import random
import time
from functools import partial
from typing import TYPE_CHECKING

import trio
import trio.testing
from _memory import PORT, addresses
from _slices import Cost

from alternator_trio import AlternatorConfig, KeyRouteAffinity, Node, RoutingScope
from alternator_trio._actors.messages import AttemptSettled, KeyNames
from alternator_trio._actors.node_registry import NodeRegistry
from alternator_trio._core.health import NodeState, Standing
from alternator_trio._core.live_nodes import HEALTHY, LiveNodes
from alternator_trio._core.query_plan import seeded_plan
from alternator_trio._core.scopes import ScopeList, snapshot
from alternator_trio._request import Request
from alternator_trio._router import Router
from alternator_trio._supervision import Inbox, Published
from alternator_trio._transport.connection import Connection
from alternator_trio.errors import ConnectionLostError
from alternator_trio.instruments import Notifier
from alternator_trio.routing import NodeHealth

if TYPE_CHECKING:
    from collections.abc import Callable

    from _slices import Work

    from alternator_trio._actors.messages import NodeRegistryMessage

REPETITIONS = 300
INBOXES = 200
KEYS = 64
TABLE = "users"
PLAIN = AlternatorConfig(seeds=["http://a"])
LOST = ConnectionLostError("Connection reset by peer")
AFFINE = AlternatorConfig(
    seeds=["http://a"], key_route_affinity=KeyRouteAffinity.any_write(partition_keys={TABLE: "id"})
)


def steps(nodes: int, readers: trio.Nursery) -> list[tuple[Cost, Work]]:
    """Everything that is measured in a ring of so many nodes; ``readers`` is where inboxes are read."""
    live = snapshot_of(nodes)
    watched = snapshot_of(nodes, failures_of_first=1)
    puts = itertools.cycle([_put(f"user-{number}") for number in range(KEYS)])
    seeds = itertools.cycle([random.Random(number).getrandbits(63) for number in range(KEYS)])  # noqa: S311 - no secret
    key: dict[str, object] = {"TableName": TABLE, "Key": {"id": {"S": "ada"}}}
    get, keyed_get = (Request("GetItem", key, config, b"", b"") for config in (PLAIN, AFFINE))
    plain, keyed = _router(live), _router(live, config=AFFINE)
    healthy, ailing = _router(live), _router(watched)
    node, lease = live.ring[0], _lost(live.ring[0])
    state_of = live.state_of

    loops: dict[str, Callable[[], object]] = {
        "seeded plan alone, first pick": lambda: seeded_plan(live.ring, next(seeds), state_of).next_node(),
        "write with affinity: key hashed, plan, first pick": lambda: keyed.plan_for(next(puts)).next_node(),
        "read while affinity is on: plan, first pick": lambda: keyed.plan_for(keyed_get).next_node(),
        "round robin: plan, first pick": lambda: plain.plan_for(get).next_node(),
        "settling a success": lambda: healthy.answered(node, live, 200),
        "settling a success of a node in doubt": lambda: ailing.answered(node, watched, 200),
        "settling a failure": lambda: healthy.failed(lease, live, LOST),
    }
    found: list[tuple[Cost, Work]] = [
        (Cost(name=name, nodes=nodes), partial(_timed, loop)) for name, loop in loops.items()
    ]
    found.append((Cost(name="settling a failure, the registry asleep", nodes=nodes), _waking(live, readers)))
    found.append((Cost(name="(the registry's own work on it)", nodes=nodes), partial(_timed, _registry_work(live), 10)))
    return found


def snapshot_of(nodes: int, *, failures_of_first: int = 0) -> LiveNodes:
    """A ring in which all nodes are active; the first one may have failed just now."""
    ring = sorted(Node("http", address, PORT) for address in addresses(nodes))
    standings = dict.fromkeys(ring, HEALTHY)
    standings[ring[0]] = Standing(state=NodeState.ACTIVE, failures=failures_of_first)
    scopes = (RoutingScope.cluster(),)
    lists = (ScopeList(nodes=tuple(ring)),)
    return snapshot(ring=ring, chain=scopes, position=0, lists=lists, discovered=True, standings=standings)


async def _timed(loop: Callable[[], object], repetitions: int = REPETITIONS) -> float:
    await trio.lowlevel.checkpoint()
    began = time.process_time_ns()
    for _ in range(repetitions):
        loop()
    return (time.process_time_ns() - began) / 1e3 / repetitions


def _waking(live: LiveNodes, readers: trio.Nursery) -> Work:
    """Each repetition has an inbox of its own, whose reader sleeps until then."""
    inboxes: list[Inbox[NodeRegistryMessage]] = [Inbox("NodeRegistry") for _ in range(INBOXES)]
    routers = [_router(live, registry=inbox) for inbox in inboxes]
    lease = _lost(live.ring[0])
    for inbox in inboxes:
        readers.start_soon(_read, inbox)

    async def work() -> float:
        await trio.testing.wait_all_tasks_blocked()
        began = time.process_time_ns()
        for router in routers:
            router.failed(lease, live, LOST)
        us = (time.process_time_ns() - began) / 1e3 / INBOXES
        await trio.testing.wait_all_tasks_blocked()
        return us

    return work


async def _read(inbox: Inbox[NodeRegistryMessage]) -> None:
    while True:
        await inbox.receive()


def _registry_work(live: LiveNodes) -> Callable[[], object]:
    registry = NodeRegistry(
        Inbox("NodeRegistry"),
        Published(live),
        Inbox("Dispatcher"),
        Inbox("Discovery"),
        chain=(RoutingScope.cluster(),),
        health=NodeHealth(),
        notifier=Notifier(()),
    )
    state, _ = registry.started(registry.state, 0.0)
    state = state._replace(lists=(ScopeList(nodes=live.ring),), position=0)
    failure = AttemptSettled(node=live.ring[0], generation=0, failures=1)
    return lambda: registry.decide(state, failure, 1.0)


def _router(
    live: LiveNodes, *, config: AlternatorConfig = PLAIN, registry: Inbox[NodeRegistryMessage] | None = None
) -> Router:
    return Router(
        config,
        live=Published(live),
        key_names=Published(KeyNames(names={TABLE: "id"})),
        registry=Inbox("NodeRegistry") if registry is None else registry,
        keys=Inbox("KeyResolver"),
        rng=random.Random(1),  # noqa: S311 - no secret
    )


def _put(key: str) -> Request:
    item = {"id": {"S": key}, "born": {"N": "1815"}}
    return Request("PutItem", {"TableName": TABLE, "Item": item}, AFFINE, b"", b"")


def _lost(node: Node) -> Connection:
    """A connection on which an attempt has failed."""
    lease = Connection(node, math.inf)
    lease.exchanges = 1
    return lease

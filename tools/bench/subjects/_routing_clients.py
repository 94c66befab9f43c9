"""Whole operations through whole clients over wires in memory, 32 in flight: what the ring's length and options cost.

The node list is not refreshed while they run, and refreshes are measured by themselves: they come once a second
whatever the load, so that they are no part of an operation's cost.
"""

from __future__ import annotations

import itertools
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import trio
from _memory import MemoryCluster
from _slices import Cost, in_tasks

from alternator_trio import AlternatorConfig, Client, KeyRouteAffinity
from alternator_trio._runtime import open_runtime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from _slices import Work

    from alternator_trio.types import AttributeValue

OPERATIONS_PER_TASK = 12
NEVER = 1e6
PATIENCE = 120.0
FEW = 10
KEYS = 64
TABLE = "users"
ANSWERS = {"GetItem": {"Item": {"id": {"S": "ada"}, "born": {"N": "1815"}}}, "PutItem": {}}
AFFINITY = KeyRouteAffinity.any_write(partition_keys={TABLE: "id"})

GET = "GetItem"
PUT = "PutItem with affinity"
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "GetItem, default": ("get", {}),
    "GetItem, no health": ("get", {"node_health": None}),
    "PutItem, default": ("put", {}),
    "PutItem, no health": ("put", {"node_health": None}),
    "PutItem, affinity": ("put", {"key_route_affinity": AFFINITY}),
    "PutItem, affinity and an operation timeout": ("put", {"key_route_affinity": AFFINITY, "operation_timeout": 10.0}),
}


class Clients:
    """The clients of a run; they live as long as the stack."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.starts: list[Cost] = []
        """From opening until all nodes are active."""
        self.refreshes: list[tuple[Cost, Work]] = []

    async def by_ring(self, sizes: Sequence[int]) -> list[tuple[Cost, Work]]:
        """A GetItem, and a PutItem with affinity, in rings of several lengths."""
        works: list[tuple[Cost, Work]] = []
        for nodes in sizes:
            client = await self._open(nodes, {"key_route_affinity": AFFINITY}, is_start=True)
            works.append((Cost(name=GET, nodes=nodes), _operations(_get(client))))
            works.append((Cost(name=PUT, nodes=nodes), _operations(_put(client))))
            self.refreshes.append((Cost(name="refreshing the node list", nodes=nodes), partial(_refresh, client)))
        return works

    async def by_option(self) -> list[tuple[Cost, Work]]:
        """The same operation with an option and without."""
        works: list[tuple[Cost, Work]] = []
        for name, (operation, options) in VARIANTS.items():
            client = await self._open(FEW, options)
            works.append(
                (Cost(name=name, nodes=FEW), _operations(_get(client) if operation == "get" else _put(client)))
            )
        return works

    async def _open(self, nodes: int, options: dict[str, object], *, is_start: bool = False) -> Client:
        cluster = MemoryCluster(nodes, ANSWERS)
        config = AlternatorConfig(seeds=[cluster.seed], active_interval=NEVER, idle_interval=NEVER, **options)  # type: ignore[arg-type] # as the user writes them
        began = time.process_time_ns()
        runtime = await self._stack.enter_async_context(open_runtime(config, dial=cluster.dial))
        client = Client(runtime)
        await client.refresh()
        with trio.fail_after(PATIENCE):
            while len((live := runtime.live.value).eligible) < nodes:
                await runtime.live.wait_change(live)
        if is_start:
            us = (time.process_time_ns() - began) / 1e3
            self.starts.append(Cost(name="opening, until all nodes are active", nodes=nodes, us=[us]))
        return client


def _operations(call: Callable[[], Awaitable[object]]) -> Work:
    async def repeat() -> None:
        for _ in range(OPERATIONS_PER_TASK):
            await call()

    return partial(in_tasks, repeat, OPERATIONS_PER_TASK)


def _get(client: Client) -> Callable[[], Awaitable[object]]:
    return partial(client.get_item, TableName=TABLE, Key={"id": {"S": "ada"}})


def _put(client: Client) -> Callable[[], Awaitable[object]]:
    items: itertools.cycle[dict[str, AttributeValue]] = itertools.cycle(
        [{"id": {"S": f"user-{number}"}, "born": {"N": "1815"}} for number in range(KEYS)]
    )
    return lambda: client.put_item(TableName=TABLE, Item=next(items))


async def _refresh(client: Client) -> float:
    began = time.process_time_ns()
    await client.refresh()
    return (time.process_time_ns() - began) / 1e3

"""What must hold of a client whenever nothing moves, and what must be gone when its block has been left.

Rules: the slots that are counted are the connections that there are and those being dialled; within the bounds; whoever
waits for a connection waits for want of one; one refresh, one lookup per table and one probe per node at a time; no
actor has crashed, no message was dropped.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

import trio

from alternator_trio import Client
from alternator_trio._core.retry import QUOTA_TOKENS
from alternator_trio.testing import SimulatedCluster

__all__ = ["nothing_is_left", "wrong_now"]

ONE_AT_A_TIME = ("Discovery refresh", "Discovery probes ", "KeyResolver looks up ")
OURS = ("NodeRegistry", "Dispatcher", "KeyResolver", "Discovery")


def wrong_now(client: Client, cluster: SimulatedCluster, name: str) -> Iterator[str]:
    """What is against the rules."""
    yield from _wrong_counts(client, cluster, name)
    yield from _wrong_line(client)
    tasks = collections.Counter(task.name for task in _tasks() if task.name.startswith(ONE_AT_A_TIME))
    yield from (f"{count} tasks at a time: {each}" for each, count in tasks.items() if count > 1)


def nothing_is_left(cluster: SimulatedCluster, name: str) -> Iterator[str]:
    """What is left of a client."""
    network = cluster.network
    if network.open_ends[name] or network.dialling[name]:
        yield f"connections are left: {len(network.open_ends[name])}, and {network.dialling[name]} dials"
    yield from (f"a task is left: {task.name}" for task in _tasks() if task.name.startswith(OURS))


def _wrong_counts(client: Client, cluster: SimulatedCluster, name: str) -> Iterator[str]:
    runtime, network, now = client._runtime, cluster.network, client.statistics()
    config = runtime.config
    counted, there = now.connections_idle + now.connections_leased, len(network.open_ends[name])
    if not runtime.pools.used == counted == there + network.dialling[name]:
        yield f"{runtime.pools.used} slots, {counted} counted, {there} open, {network.dialling[name]} being dialled"
    if counted > config.max_connections:
        yield f"{counted} connections"
    at_nodes = now.connections_by_node.items()
    yield from (f"{count} connections to {node}" for node, count in at_nodes if count > config.max_connections_per_node)
    if not 0 <= now.retry_tokens <= QUOTA_TOKENS:
        yield f"{now.retry_tokens} retry tokens"
    if now.crashes or now.dropped_messages:
        yield f"{now}"


def _wrong_line(client: Client) -> Iterator[str]:
    pools = client._runtime.pools
    for waiter in pools._line.all():
        nodes = [waiter.node] if waiter.node is not None else [each for each in waiter.ring if waiter.will_do(each)]
        free = [str(node) for node in nodes if pools.could_take(node)]
        if free:
            yield f"{waiter.task.name} waits while it could have {free}"


def _tasks() -> list[trio.lowlevel.Task]:
    root = trio.lowlevel.current_root_task()
    tasks = [] if root is None else [root]
    for task in tasks:  # grows as it is read
        for nursery in task.child_nurseries:
            tasks += nursery.child_tasks
    return tasks

"""Whether leases add up, and bounds hold, at moments when nothing moves.

Rules: connections that the client counts are those that the network sees, and those being dialled; pools stay within
their bounds, and what is kept beside them within its own (`tests.sim.check_kept`); inboxes are read, and no actor
crashes but those that are made to. Whoever waits for a connection waits for want of one; none is kept idle to a node
that has left; a node list, once there, is never empty; and when nothing is under way no connection is leased.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import trio
import trio.testing

from alternator_trio import Client
from alternator_trio.testing import SimulatedCluster
from tests.sim.check_kept import Kept, inboxes_of, living_tasks

__all__ = ["BoundsWatch", "check_nothing_left"]

ACTORS = ("NodeRegistry", "Dispatcher", "KeyResolver", "Discovery")
QUOTA = 500
RESTARTED_AFTER = 10.0  # seconds after a crash; a few in a row double the pause
REST_SECONDS = 30.0


class BoundsWatch:
    """Looks at one client now and then.

    Args:
        cluster: What the network sees.
        client: The client.
        name: Its name there.

    Attributes:
        violations: What was against the rules.
        looks: How often it was looked at.
        crashes: How often an actor was made to crash.
        crashed_at: When one was last (Trio's clock): one that is about to run again does not read.
    """

    def __init__(self, cluster: SimulatedCluster, client: Client, name: str) -> None:
        self.violations: list[str] = []
        self.looks = 0
        self.crashes = 0
        self.crashed_at = -math.inf
        self._cluster = cluster
        self._client = client
        self._name = name
        self._kept = Kept(client)

    async def run(self, interval: float) -> None:
        """Look, until cancelled."""
        while True:
            await trio.sleep(interval)
            await trio.testing.wait_all_tasks_blocked()
            self.looks += 1
            self.violations += [f"at {trio.current_time():.4f}: {each}" for each in self.look()]
            if len(self.violations) > 5:
                return

    def look(self) -> Iterator[str]:
        """Look once, when nothing moves."""
        runtime, network, seen = self._client._runtime, self._cluster.network, self._client.statistics()
        config, name = runtime.config, self._name
        counted = seen.connections_idle + seen.connections_leased
        there = len(network.open_ends[name]) + network.dialling[name]
        if counted != there or runtime.pools.used != counted:
            yield f"{name} counts {counted} connections and {runtime.pools.used} slots, the network {there}"
        if counted > config.max_connections:
            yield f"{name} has {counted} connections"
        for node, count in seen.connections_by_node.items():
            if count > config.max_connections_per_node:
                yield f"{name} has {count} connections to {node}"
        all_run = trio.current_time() > self.crashed_at + RESTARTED_AFTER
        for inbox in inboxes_of(self._client):
            if inbox.statistics().pending and all_run:
                yield f"{inbox.name} does not read"
        if seen.crashes > self.crashes:
            yield f"{seen.crashes} crash(es) of actors, {self.crashes} of them made"
        if not 0 <= seen.retry_tokens <= QUOTA:
            yield f"{seen.retry_tokens} retry tokens"
        if not runtime.live.value.ring:
            yield "the node list is empty"
        yield from self._idle_to_nobody()
        yield from self._wrong_line()
        yield from self._kept.look(all_run=all_run)

    async def end(self) -> None:
        """Look whether all leases come back, when nobody asks for anything any more."""
        with trio.move_on_after(REST_SECONDS):
            while self._client.statistics().connections_leased:
                await trio.sleep(0.1)
            return
        self.violations.append(f"leased when nothing is under way: {self._client.statistics()}")

    def _idle_to_nobody(self) -> Iterator[str]:
        runtime = self._client._runtime
        kept = {*runtime.live.value.known, *runtime.config.seed_nodes}
        left = [str(node) for node, idle in runtime.pools._idle.items() if idle and node not in kept]
        if left and runtime.live.value.discovered and trio.current_time() > self.crashed_at + RESTARTED_AFTER:
            yield f"{self._name} keeps connections to {left}, which have left"

    def _wrong_line(self) -> Iterator[str]:
        pools = self._client._runtime.pools
        for waiter in pools._line.all():
            nodes = [waiter.node] if waiter.node is not None else [each for each in waiter.ring if waiter.will_do(each)]
            free = [str(node) for node in nodes if pools.could_take(node)]
            if free:
                yield f"{waiter.task.name} waits while it could have {free}"


def check_nothing_left(cluster: SimulatedCluster, name: str) -> Iterator[str]:
    """After a client's block: no connection, no dial, no task."""
    if cluster.network.open_ends[name] or cluster.network.dialling[name]:
        yield f"{name} has left {len(cluster.network.open_ends[name])} connections"
    left = (task for task in living_tasks() if task.name.startswith(ACTORS))
    yield from (f"{name} has left the task {task.name}" for task in left)

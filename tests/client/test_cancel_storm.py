"""Cancellation by the thousand, over real sockets and few connections: the client is as good as new afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import trio

from alternator_trio import Client, Statistics, open_alternator
from alternator_trio.testing import LocalCluster
from tests.client.conftest import create_table
from tests.users import KEY

ROUNDS = 50
TASKS = 200
GROUPS = 10
CONNECTIONS = 10


async def settled(is_so: Callable[[], bool]) -> bool:
    """Whether it comes true within a second: the server learns a little later what was closed."""
    with trio.move_on_after(1):
        while not is_so():
            await trio.sleep(0.005)
    return is_so()


def is_at_rest(statistics: Statistics) -> bool:
    return (statistics.connections_leased, statistics.waiting) == (0, 0)


class Storm:
    """Rounds of tasks, cancelled group by group, each group in one tick."""

    def __init__(self, client: Client, seed: int) -> None:
        self.client = client
        self.rng = random.Random(seed)
        self.succeeded = 0
        self.cancelled = 0

    async def round(self) -> None:
        """Start all tasks, then cancel groups after random times, measured in ticks; two groups in ten live."""
        scopes = [[trio.CancelScope() for _ in range(TASKS // GROUPS)] for _ in range(GROUPS)]
        async with trio.open_nursery() as nursery:
            for scope in self.rng.sample([scope for group in scopes for scope in group], TASKS):
                nursery.start_soon(self._one, scope)
            for group in self.rng.sample(scopes, GROUPS - 2):
                for _ in range(self.rng.choice([0, 1, 2, 3, 10, 30])):
                    await trio.lowlevel.checkpoint()
                for scope in group:
                    scope.cancel()

    async def _one(self, scope: trio.CancelScope) -> None:
        with scope:
            key = {"id": {"S": f"user-{self.rng.randrange(10)}"}}
            if self.rng.random() < 0.5:
                await self.client.get_item(TableName="users", Key=key)
            else:
                await self.client.put_item(TableName="users", Item=key)
            self.succeeded += 1
        self.cancelled += scope.cancelled_caught


async def cancel_in_ticks(client: Client, when: Iterable[int]) -> None:
    """Fifty tasks, all cancelled in that tick of their way, for each of these; then 20 requests one after another."""
    for ticks in when:
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(_get, client)
            for _ in range(ticks):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert await settled(lambda: is_at_rest(client.statistics()))
    with trio.fail_after(5):
        for _ in range(20):
            await _get(client)


async def test_ten_thousand_cancelled_tasks_cost_no_connection() -> None:
    """Afterwards 20 of 20 requests succeed, the counts add up, and the nodes hold what the client says it holds."""
    async with LocalCluster(nodes=3, record_requests=False) as cluster:
        async with open_alternator(*cluster.seeds, max_connections=CONNECTIONS) as client:
            await create_table(client)
            await client.refresh()
            storm = Storm(client, seed=1)
            for _ in range(ROUNDS):
                await storm.round()
                assert await settled(lambda: is_at_rest(client.statistics()))
                now = client.statistics()
                assert sum(now.connections_by_node.values()) == now.connections_idle <= CONNECTIONS

            with trio.fail_after(5):
                for turn in range(20):
                    await client.put_item(TableName="users", Item={"id": {"S": f"after-{turn}"}})
            held = client.statistics().connections_idle
            assert await settled(lambda: sum(node.open_connections for node in cluster.nodes) == held)

        assert storm.succeeded + storm.cancelled == ROUNDS * TASKS
        assert storm.cancelled > ROUNDS * TASKS // 10  # a storm it was,
        assert storm.succeeded > ROUNDS * TASKS // 10  # and the client worked through it
        assert await settled(lambda: not any(node.open_connections for node in cluster.nodes))


async def test_all_at_once_cancelled_in_every_tick_of_their_way() -> None:
    """Fifty tasks on ten connections, all cancelled in the n-th tick, for every n until all were faster."""
    async with LocalCluster(nodes=3, record_requests=False) as cluster:
        async with open_alternator(*cluster.seeds, max_connections=CONNECTIONS) as client:
            await create_table(client)
            await client.refresh()
            await cancel_in_ticks(client, range(60))
        assert await settled(lambda: not any(node.open_connections for node in cluster.nodes))


async def _get(client: Client) -> None:
    await client.get_item(TableName="users", Key=KEY)

"""Any sequence of what callers and the Dispatcher do with pools, several things in one tick, against what must hold.

What must hold, at every step: counts are those of the connections that there are; no bound is exceeded; nobody is
overtaken by somebody who came later; nobody waits for what is to be had. In the end everything is closed.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Collection

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from alternator_trio._transport.connection import Connection, Ending
from alternator_trio._transport.pools import Pools
from alternator_trio._transport.wires import Peek
from alternator_trio.errors import ClientClosedError, PoolTimeoutError
from alternator_trio.nodes import Node
from tests.transport.pool_world import RING, SEED, PoolWorld

IDLE_LIFETIME = 3.0
MAX_AGE = 20.0
ACQUIRE_TIMEOUT = 5.0

ALL = (*RING, SEED)
NODES = st.sampled_from(ALL)
ACTIONS = st.one_of(
    st.tuples(st.just("ask"), st.none(), st.lists(NODES, max_size=2, unique=True)),
    st.tuples(st.just("ask"), st.none() | NODES, st.just([])),
    st.tuples(st.sampled_from(["give_back", "give_back", "discard", "cancel", "begin"]), st.integers(0, 20)),
    st.tuples(st.just("spoil"), st.integers(0, 20), st.sampled_from([Peek.ENDED, Peek.STRAY])),
    st.tuples(st.just("doubt"), NODES),
    st.tuples(st.just("keep_only"), st.sets(NODES, min_size=1)),
    st.tuples(st.just("open_epoch")),
)
TICKS = st.lists(
    st.tuples(
        st.lists(ACTIONS, min_size=1, max_size=5),
        st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.3, 1.1, 3.3]),  # seconds that pass after it
    ),
    max_size=15,
)


class Callers:
    """Tasks that ask for leases, wait for them, hold them, and are cancelled, one for each ask."""

    def __init__(self, world: PoolWorld, nursery: trio.Nursery) -> None:
        self.world = world
        self.pools = world.pools
        self.nursery = nursery
        self.held: list[Connection] = []
        self.scopes: list[trio.CancelScope] = []
        self.errors: list[Exception] = []

    async def call(self, scope: trio.CancelScope, node: Node | None, refused: Collection[Node]) -> None:
        first = node or next(other for other in RING if other not in refused)
        with scope:
            try:
                lease = self.pools.take(first, trio.current_time())
                if lease is None:
                    lease = await self.pools.wait(node, RING, refused)
            except (PoolTimeoutError, ClientClosedError) as error:
                self.errors.append(error)
            else:
                await self.use(lease)
        self.scopes.remove(scope)

    async def use(self, lease: Connection) -> None:
        """As an attempt does: dial, and give back when cancelled before anything was sent."""
        try:
            await lease.dial(self.world.dial)
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            self.pools.give_back(lease, trio.current_time())
            raise
        self.held.append(lease)

    async def do(self, name: str, *arguments: object) -> None:
        """One action; no checkpoint."""
        now = trio.current_time()
        match name, *arguments:
            case "ask", node, refused:
                scope = trio.CancelScope()
                self.scopes.append(scope)
                self.nursery.start_soon(self.call, scope, node, refused)
            case (("give_back" | "discard"), int(index)) if self.held:
                lease = self.held.pop(index % len(self.held))
                (self.pools.give_back(lease, now) if name == "give_back" else self.pools.discard(lease))
            case "cancel", int(index) if self.scopes:
                self.scopes[index % len(self.scopes)].cancel()
            case "begin", int(index) if self.held:
                self.pools.begin(self.held[index % len(self.held)], now + 0.5)
            case "spoil", int(index), Peek() as shows if self.world.open_wires:
                self.world.open_wires[index % len(self.world.open_wires)].shows = shows
            case "doubt", Node() as node:
                self.pools.doubt(node)
            case "keep_only", set() as nodes:
                self.pools.keep_only(sorted(nodes))
            case "open_epoch", *_:
                self.pools.open_epoch()


def check_counts(world: PoolWorld, held: Collection[Connection]) -> None:
    """Slots are idle or leased connections, and within the bounds; idle ones are open, and nobody's lease."""
    pools = world.pools
    idle, leased, _ = pools.statistics()
    assert pools.used == idle + leased
    assert pools.used <= world.total
    assert len(set(held)) == len(held)
    leases = list(pools._leased)
    assert set(held) <= set(leases)
    idle_connections = [connection for connections in pools._idle.values() for connection in connections]
    assert len(idle_connections) == idle
    count = collections.Counter(connection.node for connection in (*leases, *idle_connections))
    for node in ALL:
        assert pools.connections_to(node) == count[node] <= world.per_node
    pooled = [connection._wire for connection in (*leases, *idle_connections) if connection._wire is not None]
    assert set(world.open_wires) <= set(pooled)
    assert not any(connection._wire.is_closed for connection in idle_connections)


def check_nobody_is_overtaken(before, pools: Pools) -> None:
    """Of those who left the line with a lease, none left somebody behind who came before and whom it would serve."""
    after = pools._line.all()
    for waiter in before:
        if waiter not in after and waiter.lease is not None:
            assert serves(waiter.lease.node, waiter)
            assert not any(left.number < waiter.number and serves(waiter.lease.node, left) for left in after)


def serves(node: Node, waiter) -> bool:
    return node in RING and node not in waiter.refused if waiter.node is None else node == waiter.node


def check_nobody_waits_in_vain(world: PoolWorld) -> None:
    """For nobody in the line there is an idle connection, room, or room to be had for an idle connection elsewhere."""
    pools = world.pools
    idle = collections.Counter(wire.node for wire in world.open_wires)
    idle.subtract(lease.node for lease in pools._leased if lease.is_reusable)
    some_slot = pools.used < world.total or +idle

    def could_serve(node: Node) -> bool:
        return idle[node] > 0 or (some_slot and pools.connections_to(node) < world.per_node)

    for waiter in pools._line.all():
        assert not any(serves(node, waiter) and could_serve(node) for node in ALL)


async def pass_time(world: PoolWorld, seconds: float) -> None:
    """Let time pass, sweeping whenever the alarm asks for it; nothing may be overdue then."""
    clock = trio.lowlevel.current_clock()
    end = trio.current_time() + seconds
    while world.alarm.at <= end:
        clock.jump(max(0.0, world.alarm.at - trio.current_time()))
        now = max(trio.current_time(), world.alarm.at)
        world.sweep(now)
        assert world.alarm.at > now
    clock.jump(max(0.0, end - trio.current_time()))
    for lease in world.pools._leased:
        assert lease.deadline > end or lease.ending is Ending.TIMED_OUT
    for connections in world.pools._idle.values():
        assert all(end - connection.idle_since < IDLE_LIFETIME + 1e-9 for connection in connections)


async def run(ticks, per_node: int, total: int, last: list[str]) -> None:
    world = PoolWorld(
        per_node=per_node, total=total, idle_lifetime=IDLE_LIFETIME, max_age=MAX_AGE, acquire_timeout=ACQUIRE_TIMEOUT
    )
    async with trio.open_nursery() as nursery:
        callers = Callers(world, nursery)
        for actions, seconds in ticks:
            for action in actions:
                before = world.pools._line.all()
                await callers.do(*action)
                check_counts(world, callers.held)
                check_nobody_is_overtaken(before, world.pools)
            await trio.testing.wait_all_tasks_blocked()
            await pass_time(world, seconds)
            await trio.testing.wait_all_tasks_blocked()
            check_counts(world, callers.held)
            check_nobody_waits_in_vain(world)
        if "cancel" in last:
            for scope in callers.scopes:
                scope.cancel()
        if "close" in last:
            world.pools.close()
        await trio.testing.wait_all_tasks_blocked()
        while callers.held:
            world.pools.give_back(callers.held.pop(), trio.current_time())
            await trio.testing.wait_all_tasks_blocked()
            check_nobody_waits_in_vain(world)
        assert not callers.scopes
        world.pools.close()
    assert not world.open_wires
    assert world.pools.statistics() == (0, 0, 0)
    assert world.pools.used == 0
    assert "close" in last or not any(isinstance(error, ClientClosedError) for error in callers.errors)


@pytest.mark.parametrize("last", [[], ["cancel"], ["close"], ["cancel", "close"]], ids="-".join)
@settings(max_examples=60)
@given(ticks=TICKS, per_node=st.integers(1, 3), total=st.integers(1, 5))
def test_pools_hold_whatever_is_done_to_them(last, ticks, per_node, total):
    """Every check of this file, after every action, whatever is done and however it ends."""
    trio.run(run, ticks, per_node, total, last, clock=trio.testing.MockClock(), strict_exception_groups=True)


def test_the_alarm_is_never_late_nor_set_for_a_time_that_has_passed():
    """Sums and differences of times round differently: at its very alarm a connection has expired."""
    world = PoolWorld(idle_lifetime=0.1)

    async def give_back_at(now: float) -> None:
        world.pools.give_back(await world.lease(now=now), now)

    trio.run(give_back_at, 0.7)
    assert world.alarm.at - 0.7 < 0.1  # by rounding
    world.sweep(world.alarm.at)
    assert not world.open_wires
    assert world.alarm.at == math.inf

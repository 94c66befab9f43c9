"""The line before the pools: who is served, with what, and that leaving it loses nothing."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from alternator_trio._core.evening_out import EVEN_OUT_INTERVAL
from alternator_trio._transport.connection import Connection, Ending
from alternator_trio._transport.wires import Peek
from alternator_trio.errors import ClientClosedError, PoolTimeoutError
from tests.transport.pool_world import RING, SEED, A, B, C, PoolWorld


class Waiting:
    """Tasks that wait for leases, in the order in which they were begun."""

    def __init__(self, world: PoolWorld, nursery: trio.Nursery) -> None:
        self.world = world
        self.nursery = nursery
        self.served: list[tuple[object, Connection]] = []
        self.errors: list[Exception] = []

    async def begin(self, name: object, node=None, refused=()) -> trio.CancelScope:
        """Begin to wait, and be in line when this returns."""
        scope = trio.CancelScope()
        self.nursery.start_soon(self._wait, scope, name, node, refused)
        await trio.testing.wait_all_tasks_blocked()
        return scope

    async def _wait(self, scope, name, node, refused) -> None:
        with scope:
            try:
                lease = await self.world.pools.wait(node, RING, refused)
            except (PoolTimeoutError, ClientClosedError) as error:
                self.errors.append(error)
                return
            try:
                await trio.lowlevel.checkpoint_if_cancelled()
            except trio.Cancelled:
                self.world.pools.give_back(lease, trio.current_time())
                raise
            self.served.append((name, lease))

    @property
    def names(self) -> list[object]:
        return [name for name, _ in self.served]


async def test_who_came_first_is_served_first():
    """One line for those who name the node and those who do not."""
    world = PoolWorld(total=1)
    lease = await world.lease(A)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        for name, node in enumerate([A, None, A, None, None, A]):
            await waiting.begin(name, node)
        for _ in range(6):
            world.pools.give_back(lease, 0.0)
            await trio.testing.wait_all_tasks_blocked()
    assert waiting.names == [0, 1, 2, 3, 4, 5]
    assert {served for _, served in waiting.served} == {lease}


@pytest.mark.parametrize("seen", [Peek.ENDED, Peek.STRAY])
async def test_a_connection_that_ended_as_it_was_handed_on_is_dialled_again(seen):
    """Whoever waited for it has its slot, and not a write of unknown outcome."""
    world = PoolWorld(total=1)
    lease = await world.lease(A)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        await waiting.begin("waits", A)
        world.pools.give_back(lease, 0.0)
        world.wires[0].shows = seen
        await trio.testing.wait_all_tasks_blocked()
    ((_, served),) = waiting.served
    assert not served.was_dialled
    assert world.wires[0].is_closed
    assert (world.pools.used, world.pools.statistics()) == (1, (0, 1, 0))


async def test_a_connection_passes_over_those_whom_it_does_not_serve():
    """Who waits for another node, or has refused this one, waits on; the bound is the node's own."""
    world = PoolWorld(per_node=1)
    lease = await world.lease(A)
    await world.lease(B)
    await world.lease(C)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        await waiting.begin("b", B)
        not_a = await waiting.begin("any but a", None, [A])
        await waiting.begin("any")
        world.pools.give_back(lease, 0.0)
        await trio.testing.wait_all_tasks_blocked()
        assert waiting.names == ["any"]
        assert world.pools.statistics().waiting == 2
        not_a.cancel()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("end", ["give_back", "discard"])
async def test_a_slot_of_another_node_serves_who_waits_for_the_total_bound(end):
    """B's connection, wanted by nobody, is closed for the one who waits for A."""
    world = PoolWorld(total=2)
    lease = await world.lease(B)
    await world.lease(B)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        await waiting.begin("a", A)
        world.pools.give_back(lease, 0.0) if end == "give_back" else world.pools.discard(lease)
    ((_, served),) = waiting.served
    assert served.node == A
    assert [world.pools.connections_to(node) for node in (A, B)] == [1, 1]


async def test_a_slot_goes_to_another_node_for_who_came_before():
    """A later one for B does not overtake an earlier one for A because the slot happened to be B's."""
    world = PoolWorld(total=1)
    lease = await world.lease(B)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        await waiting.begin("a", A)
        await waiting.begin("b", B)
        world.pools.give_back(lease, 0.0)
        await trio.testing.wait_all_tasks_blocked()
        assert waiting.names == ["a"]
        world.pools.give_back(waiting.served[0][1], 0.0)
    assert waiting.names == ["a", "b"]


async def test_under_load_slots_even_out_as_they_change_hands():
    """All connections are A's and none is ever idle: B and C get theirs, one at each interval, and then it stays so."""
    world = PoolWorld(total=6)
    leases = [await world.lease(A) for _ in range(6)]
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        counts = []
        for turn in range(12):
            await waiting.begin(turn)
            world.pools.give_back(leases.pop(0), turn * EVEN_OUT_INTERVAL)
            await trio.testing.wait_all_tasks_blocked()
            leases.append(waiting.served.pop()[1])
            await leases[-1].dial(world.dial)
            counts.append(sorted(world.pools.connections_to(node) for node in RING))
    assert counts[:4] == [[0, 1, 5], [1, 1, 4], [1, 2, 3], [2, 2, 2]]
    assert counts[4:] == [[2, 2, 2]] * 8
    assert len(world.wires) == 10


async def test_the_slot_of_a_dial_that_failed_serves_the_next_at_another_node():
    """A node that refuses is not tried by the whole line, one after another."""
    world = PoolWorld(total=1)
    lease = world.pools.take(A, 0.0)
    assert lease is not None
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        await waiting.begin("any")
        world.pools.give_back(lease, 0.0)  # as after a failed dial: without a wire
    ((_, served),) = waiting.served
    assert served.node in {B, C}


async def test_freed_slots_are_spread_over_the_nodes():
    """Those who wait with one wish do not all go to the same node."""
    world = PoolWorld(total=6)
    leases = [await world.lease(SEED) for _ in range(6)]
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        for name in range(6):
            await waiting.begin(name)
        for lease in leases:
            world.pools.discard(lease)
    assert [world.pools.connections_to(node) for node in RING] == [2, 2, 2]


@pytest.mark.parametrize("end", ["give_back", "discard"])
async def test_a_node_that_is_not_listed_serves_nobody_who_did_not_ask_for_it(end):
    """Discovery asks seeds over the same pools: their connections are not for traffic."""
    world = PoolWorld(total=1)
    lease = await world.lease(SEED)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        await waiting.begin("any")
        world.pools.give_back(lease, 0.0) if end == "give_back" else world.pools.discard(lease)
    ((_, served),) = waiting.served
    assert served.node in RING


async def test_waiting_ends_at_the_acquire_timeout(autojump_clock):
    """Exactly then, with an error that names the node; nobody is in line any more, no slot is lost."""
    world = PoolWorld(total=1, acquire_timeout=10.0)
    lease = await world.lease(A)
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.alarm.sweep_when_due, world.pools)
        with pytest.raises(PoolTimeoutError, match=r"within 10 s \(node http://a:8000\)") as caught:
            await world.pools.wait(A)
        nursery.cancel_scope.cancel()
    assert trio.current_time() - begun == 10.0
    assert not caught.value.may_have_happened
    world.pools.give_back(lease, 0.0)
    assert world.pools.statistics() == (1, 0, 0)


async def test_a_lease_that_comes_with_the_timeout_is_not_lost(autojump_clock):
    """Served in the tick of the deadline: the lease counts, in whichever order the two come."""
    world = PoolWorld(total=1, acquire_timeout=1.0)
    lease = await world.lease(A)

    async def give_back_at_the_deadline() -> None:
        await trio.sleep(1.0)
        world.pools.give_back(lease, trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.alarm.sweep_when_due, world.pools)
        nursery.start_soon(give_back_at_the_deadline)
        waiting = Waiting(world, nursery)
        await waiting.begin("a", A)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert len(waiting.served) + len(waiting.errors) == 1
    assert world.pools.statistics() == (len(waiting.errors), len(waiting.served), 0)


async def test_a_waiter_cancelled_as_it_is_served_loses_nothing():
    """Served, then cancelled before it ran: the lease comes back, and goes to the next in line."""
    world = PoolWorld(total=1)
    lease = await world.lease(A)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        first = await waiting.begin("first")
        await waiting.begin("second")
        world.pools.give_back(lease, 0.0)
        first.cancel()
    assert waiting.served == [("second", lease)]
    assert world.pools.statistics() == (0, 1, 0)


async def test_a_waiter_cancelled_before_it_is_served_is_passed_over():
    """Cancelled, then given back in the same tick: the next in line has it."""
    world = PoolWorld(total=1)
    lease = await world.lease(A)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        first = await waiting.begin("first")
        await waiting.begin("second")
        first.cancel()
        world.pools.give_back(lease, 0.0)
    assert waiting.served == [("second", lease)]


@pytest.mark.parametrize("cancelled", [range(100), range(0, 100, 2), range(99), range(1, 100), [0], [99]])
async def test_those_who_are_left_are_served_when_others_are_cancelled_in_one_tick(cancelled):
    """Of a hundred, any number leaves at once: the others are served in their order, and the slot is left."""
    world = PoolWorld(total=1)
    lease = await world.lease(A)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        scopes = [await waiting.begin(name, [None, A][name % 2]) for name in range(100)]
        for name in cancelled:
            scopes[name].cancel()
        left = [name for name in range(100) if name not in cancelled]
        for _ in range(len(left) + 1):
            world.pools.give_back(lease, 0.0)
            await trio.testing.wait_all_tasks_blocked()
    assert waiting.names == left
    assert world.pools.statistics() == (1, 0, 0)


async def test_closing_turns_away_those_who_wait():
    """They learn why at once."""
    world = PoolWorld(total=1)
    await world.lease(A)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        await waiting.begin("any")
        await waiting.begin("a", A)
        world.pools.close()
    assert [type(error) for error in waiting.errors] == [ClientClosedError] * 2
    assert world.pools.statistics().waiting == 0


async def test_nothing_is_dialled_on_a_lease_that_was_handed_over_as_the_client_closed():
    """Served and closed in one tick: the waiter has a lease without a wire, and makes none."""
    world = PoolWorld(total=1)
    lease = await world.lease(A)
    async with trio.open_nursery() as nursery:
        waiting = Waiting(world, nursery)
        await waiting.begin("b", B)
        world.pools.discard(lease)
        world.pools.close()
    ((_, handed),) = waiting.served
    await handed.dial(world.dial)
    assert handed.ending is Ending.CLIENT_CLOSED
    assert len(world.wires) == 1


async def test_who_is_interrupted_before_it_waits_is_not_in_line():
    """Ctrl-C between queueing up and waiting, here in the alarm: a task that does not wait cannot be woken."""
    world = PoolWorld(total=1)
    lease = await world.lease(A)

    def interrupt(when: float) -> None:
        raise KeyboardInterrupt

    world.pools._alarm = interrupt
    with pytest.raises(KeyboardInterrupt):
        await world.pools.wait(A)
    world.pools._alarm = world.alarm
    world.pools.give_back(lease, 0.0)
    assert world.pools.statistics() == (1, 0, 0)

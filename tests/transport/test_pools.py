"""Pools, one rule at a time: what is leased, what is reused, what is closed, and who is served."""

from __future__ import annotations

import pytest
import trio

from alternator_trio._core.evening_out import EVEN_OUT_INTERVAL, SPARE_AFTER
from alternator_trio._transport.connection import Connection, Ending
from alternator_trio._transport.wires import Peek
from alternator_trio.errors import ClientClosedError
from tests.transport.pool_world import RING, SEED, A, B, C, PoolWorld

LATER = 0.01


async def idle(world: PoolWorld, *nodes, at: float = 0.0) -> list[Connection]:
    """Connections that have been given back, all at once."""
    leases = [await world.lease(node) for node in nodes]
    for lease in leases:
        world.pools.give_back(lease, at)
    return leases


# Leases


async def test_a_lease_is_exclusive():
    """A leased connection is not leased again, an idle one is leased once."""
    world = PoolWorld()
    (connection,) = await idle(world, A)
    assert world.pools.take(A, 0.0) is connection
    assert world.pools.take(A, 0.0) is not connection


async def test_the_connection_used_last_is_used_first():
    """Idle connections are a stack: those at its bottom get old and expire."""
    world = PoolWorld()
    one, other = await idle(world, A, A)
    assert world.pools.take(A, 0.0) is other
    assert world.pools.take(A, 0.0) is one


async def test_a_nodes_own_bound_holds():
    """No third connection to a node of two, while another node has room."""
    world = PoolWorld(per_node=2)
    await world.lease(A)
    await world.lease(A)
    assert world.pools.take(A, 0.0) is None
    assert not world.pools.could_take(A)
    assert world.pools.could_take(B)


async def test_the_total_bound_holds():
    """No third connection of two in all, dialled or being dialled."""
    world = PoolWorld(total=2)
    await world.lease(A)
    assert world.pools.take(B, 0.0) is not None
    assert world.pools.take(C, 0.0) is None
    assert world.pools.statistics() == (0, 2, 0)


@pytest.mark.parametrize("end", ["give_back", "discard"])
async def test_ending_a_lease_twice_is_harmless(end):
    """The second time neither counts nor connections change."""
    world = PoolWorld()
    lease = await world.lease(A)
    for _ in range(2):
        world.pools.give_back(lease, 0.0) if end == "give_back" else world.pools.discard(lease)
    assert world.pools.used == sum(world.pools.statistics()) == len(world.open_wires) == (end == "give_back")


async def test_a_lease_that_was_never_dialled_frees_its_slot():
    """There is nothing to keep of it."""
    world = PoolWorld(total=1)
    lease = world.pools.take(A, 0.0)
    assert lease is not None
    world.pools.give_back(lease, 0.0)
    assert world.pools.used == 0


# The look before reuse


@pytest.mark.parametrize("idle_for", [0.0, LATER, 59.0])
async def test_a_quiet_connection_is_reused(idle_for):
    """One look, however short it was idle, and it is leased."""
    world = PoolWorld()
    (connection,) = await idle(world, A)
    assert world.pools.take(A, idle_for) is connection
    assert world.wires[0].looks == 1


async def test_an_ended_connection_takes_the_nodes_other_idle_ones_with_it():
    """A node that restarts ends all its connections; those of other nodes, and leased ones, stay."""
    world = PoolWorld()
    leased = await world.lease(A)
    await idle(world, A, A, A, B)
    world.wires[-2].shows = Peek.ENDED
    lease = world.pools.take(A, LATER)
    assert lease is not None
    assert not lease.is_reusable
    assert [wire.node for wire in world.open_wires] == [A, B]
    assert leased.is_reusable
    assert world.pools.used == 3


async def test_stray_bytes_discard_their_connection_alone():
    """The next one is looked at in its turn."""
    world = PoolWorld()
    quiet, _stray = await idle(world, A, A)
    world.wires[1].shows = Peek.STRAY
    assert world.pools.take(A, LATER) is quiet
    assert [wire.is_closed for wire in world.wires] == [False, True]


@pytest.mark.parametrize(
    ("shows", "left"),
    [
        ([Peek.QUIET, Peek.QUIET], 2),
        ([Peek.QUIET, Peek.STRAY], 1),
        ([Peek.QUIET, Peek.ENDED], 0),
        ([], 0),
    ],
)
async def test_a_node_in_doubt_has_its_idle_connections_looked_at_now(shows, left):
    """After one connection has broken the others are looked at without waiting for their lease."""
    world = PoolWorld()
    connections = await idle(world, *[A] * len(shows), B)
    for wire, peek in zip(world.wires, shows, strict=False):
        wire.shows = peek
    world.pools.doubt(A)
    assert world.pools.connections_to(A) == left
    assert world.pools.connections_to(B) == 1
    assert [world.pools.take(A, 0.0) for _ in range(left)] == connections[:left][::-1]


# Age


async def test_an_idle_connection_expires_at_its_alarm():
    """The alarm is set for the one that has been idle the longest, then for the next."""
    world = PoolWorld(idle_lifetime=60.0)
    early, late = await world.lease(A), await world.lease(B)
    world.pools.give_back(early, 1.0)
    world.pools.give_back(late, 2.0)
    assert world.alarm.at == 61.0
    world.sweep(61.0)
    assert [wire.node for wire in world.open_wires] == [B]
    assert world.alarm.at == 62.0


async def test_an_expired_connection_leaves_the_younger_ones_of_its_node():
    """Of two idle connections to one node the older is closed at its alarm, and the next alarm is for the other."""
    world = PoolWorld(idle_lifetime=60.0)
    early, late = await world.lease(A), await world.lease(A)
    world.pools.give_back(early, 1.0)
    world.pools.give_back(late, 2.0)
    world.sweep(61.0)
    assert [wire.is_closed for wire in world.wires] == [True, False]
    assert world.alarm.at == 62.0


async def test_an_expired_connection_is_not_leased_though_nobody_swept():
    """A process that was suspended does not begin with connections of yesterday."""
    world = PoolWorld(idle_lifetime=60.0)
    (old,) = await idle(world, A)
    assert world.pools.take(A, 60.0) is not old
    assert world.wires[0].is_closed
    assert world.wires[0].looks == 0


async def test_without_connections_there_is_no_alarm():
    """Nobody wakes for nothing."""
    world = PoolWorld()
    await idle(world, A)
    world.sweep(world.alarm.at)
    assert world.alarm.at == float("inf")


async def test_a_connection_over_its_age_is_not_used_again():
    """Neither one that is given back when it is too old, nor one that gets too old while it is idle."""
    world = PoolWorld(max_age=5.0, idle_lifetime=60.0)
    lease, other = await world.lease(A), await world.lease(A)
    world.pools.give_back(lease, 4.9)
    world.pools.give_back(other, 5.0)
    assert [wire.is_closed for wire in world.wires] == [False, True]
    assert world.pools.take(A, 5.0) is not lease
    assert not world.open_wires


# Nodes that left, epochs, the end


async def test_idle_connections_to_a_node_that_left_are_closed_at_once():
    """Those to nodes that are kept stay."""
    world = PoolWorld()
    await idle(world, A, B)
    world.pools.keep_only([B])
    assert [wire.node for wire in world.open_wires] == [B]
    assert world.pools.used == 1


async def test_a_leased_connection_to_a_node_that_left_is_closed_on_return():
    """Its exchange goes on meanwhile."""
    world = PoolWorld()
    lease = await world.lease(A)
    world.pools.keep_only([B])
    assert lease.is_reusable
    world.pools.give_back(lease, 0.0)
    assert not world.open_wires


async def test_a_connection_to_a_node_that_has_left_already_serves_once():
    """A plan may still name it."""
    world = PoolWorld()
    world.pools.keep_only([B])
    world.pools.give_back(await world.lease(A), 0.0)
    assert not world.open_wires


async def test_a_node_that_came_back_keeps_its_connections():
    """New ones, that is."""
    world = PoolWorld()
    world.pools.keep_only([B])
    world.pools.keep_only([A, B])
    world.pools.give_back(await world.lease(A), 0.0)
    assert len(world.open_wires) == 1


async def test_a_new_epoch_closes_idle_connections_now_and_leased_ones_on_return():
    """Nothing of the old epoch is used again, and deadlines go on."""
    world = PoolWorld()
    await idle(world, B)
    lease = await world.lease(A)
    deadline = trio.current_time() + 7.0
    world.pools.begin(lease, deadline)
    world.alarm.at = float("inf")  # lost with the old owner
    world.pools.open_epoch()
    assert [wire.node for wire in world.open_wires] == [A]
    assert world.alarm.at == deadline
    world.pools.give_back(lease, 0.0)
    assert world.pools.used == 0
    world.pools.give_back(await world.lease(A), 0.0)
    assert len(world.open_wires) == 1


async def test_closing_closes_everything_and_says_so():
    """Idle and leased alike; who comes later is turned away, taking or waiting."""
    world = PoolWorld(total=2)
    await idle(world, A)
    lease = await world.lease(B)
    world.pools.close()
    assert not world.open_wires
    assert lease.ending is Ending.CLIENT_CLOSED
    with pytest.raises(ClientClosedError):
        world.pools.take(A, 0.0)
    with pytest.raises(ClientClosedError):
        await world.pools.wait(A)
    world.pools.give_back(lease, 0.0)
    assert world.pools.used == 0


# The total bound among nodes


async def test_a_tight_total_bound_does_not_make_each_request_dial():
    """Three nodes by turns over two connections: those two are used, not closed for one another."""
    world = PoolWorld(total=2)
    for turn in range(30):
        lease = world.pools.take(RING[turn % 3], 0.0) or world.pools.take(
            next(node for node in RING if world.pools.could_take(node)), 0.0
        )
        assert lease is not None
        await lease.dial(world.dial)
        world.pools.give_back(lease, 0.0)
    assert len(world.wires) == 2


async def test_requests_that_come_seldom_do_not_each_dial():
    """Every idle slot is spare before its turn comes again: one is given up now and then, not one by each request."""
    world = PoolWorld(total=2)
    step = SPARE_AFTER / 2
    for turn in range(30):
        lease = world.pools.take(RING[turn % 3], turn * step) or world.pools.take(
            next(node for node in RING if world.pools.could_take(node)), turn * step
        )
        assert lease is not None
        if not lease.was_dialled:
            await lease.dial(world.dial)
        world.pools.give_back(lease, turn * step)
    assert len(world.wires) <= 2 + 30 / 2


async def test_a_node_that_has_two_less_gets_an_idle_slot_of_the_richest():
    """Connections even out, so that a node that was away gets its share again."""
    world = PoolWorld(total=4)
    await idle(world, A, A, A, B)
    assert world.pools.take(C, 0.0) is not None
    assert [world.pools.connections_to(node) for node in RING] == [2, 1, 1]
    assert world.pools.take(C, 0.0) is None


async def test_slots_even_out_one_at_a_time():
    """A node that is down has no connections either: not every request closes one to try it."""
    world = PoolWorld(total=4)
    await idle(world, A, A, A, A)
    lease = world.pools.take(B, 0.0)
    assert lease is not None
    world.pools.discard(lease)  # it refused
    await idle(world, A, A, A, A)
    assert world.pools.take(B, EVEN_OUT_INTERVAL / 2) is None
    assert world.pools.take(B, EVEN_OUT_INTERVAL) is not None


async def test_a_slot_that_nobody_has_wanted_goes_to_a_node_that_has_none():
    """A connection that only asked another rack for its list does not keep a node of the ring from its first."""
    world = PoolWorld(total=3)
    await idle(world, SEED)
    await idle(world, A, B, at=SPARE_AFTER / 2)
    assert world.pools.take(C, SPARE_AFTER * 0.99) is None
    assert world.pools.take(C, SPARE_AFTER) is not None
    assert [world.pools.connections_to(node) for node in (SEED, A, B, C)] == [0, 1, 1, 1]
    assert world.pools.take(C, SPARE_AFTER * 2) is None  # it has one


async def test_leased_connections_are_never_taken_away():
    """However poor a node is, what is in use stays."""
    world = PoolWorld(total=3)
    for _ in range(3):
        await world.lease(A)
    assert world.pools.take(C, 0.0) is None
    assert len(world.open_wires) == 3


async def test_who_would_wait_takes_the_longest_idle_slot_instead():
    """Before anybody waits, an idle connection of any node is given up."""
    world = PoolWorld(total=2)
    lease = await world.lease(A)
    await idle(world, B)
    world.pools.give_back(lease, 0.5)
    assert world.pools.take(C, 0.5) is None
    assert (await world.pools.wait(C)).node == C
    assert world.pools.used == 2
    assert [wire.node for wire in world.open_wires] == [A]


# Deadlines


async def test_a_sweep_closes_what_is_overdue_and_nothing_else():
    """At the deadline, not before; the alarm is for the next one."""
    world = PoolWorld()
    one, other, idle_one = await world.lease(A), await world.lease(A), await world.lease(A)
    world.pools.begin(other, 6.0)
    world.pools.begin(one, 5.0)
    world.pools.give_back(idle_one, 0.0)
    assert world.alarm.at == 5.0
    world.sweep(5.0)
    assert (one.ending, other.ending) == (Ending.TIMED_OUT, None)
    assert [wire.is_closed for wire in world.wires] == [True, False, False]
    assert world.alarm.at == 6.0


async def test_a_connection_that_was_given_back_has_no_deadline():
    """An exchange that is over cannot time out, and the next one has a deadline of its own."""
    world = PoolWorld()
    lease = await world.lease(A)
    world.pools.begin(lease, 5.0)
    world.pools.give_back(lease, 1.0)
    assert world.pools.take(A, 1.0) is lease
    world.sweep(6.0)
    assert lease.ending is None

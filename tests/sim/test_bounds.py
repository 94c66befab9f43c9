"""The checkers of bounds, of what is kept and of what is left: each thing that they look at, spoilt once, is found."""

from __future__ import annotations

import copy
import dataclasses
import logging
from types import SimpleNamespace

import pytest
import trio

from alternator_trio._actors.messages import KeyNames, ProbeWanted
from alternator_trio._core.health import NEW
from alternator_trio._core.keys import KnownKeys
from alternator_trio._core.pool import Place
from alternator_trio._supervision import Message, Reply
from alternator_trio.nodes import Node
from alternator_trio.testing import RegisterEngine, SimulatedCluster
from alternator_trio.testing.simulation import simulate
from tests.sim import check_kept
from tests.sim.check_bounds import BoundsWatch, check_nothing_left
from tests.sim.check_kept import watched_actors

ELSEWHERE = Node("http", "10.9.9.9", 8000)
MANY = 20_000


class Told(Message):
    """A message that nobody reads."""


def a_node(number):
    return Node("http", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 8000)


def actor(name):
    return next(each for each in check_kept._actors.values() if each.name == name)


def change(name, **changes):
    """Change the state of an actor."""
    found = actor(name)
    found.state = found.state._replace(**changes)


def publish(world, **changes):
    """Publish other nodes."""
    world.runtime.live.publish(dataclasses.replace(world.runtime.live.value, **changes))


def settled():
    reply = Reply()
    reply.settle(None)
    return reply


class Waiter(Place):
    """Somebody in line."""

    def __init__(self, world, task):
        super().__init__(None, world.client.nodes(), ())
        self.task = task


def join_line(world):
    world.runtime.pools._line.join(Waiter(world, trio.lowlevel.current_task()))


def leave_in_line(world):
    world.runtime.pools._line.join(Waiter(world, SimpleNamespace(name="who is gone")))


def miscount_line(world):
    world.runtime.pools._line._length += 1


def turn_away(world):
    world.runtime.keys_inbox._dropped += 1


def leave_unread(world):
    world.runtime.registry_inbox._pending[Told, None] = Told()


def overfill(world):
    inbox = world.runtime.registry_inbox
    inbox._pending |= {(Told, number): Told() for number in range(2)}
    inbox._counts[Told] = 2


def lower(name, value):
    """A lower bound than the client was made with."""

    def spoil(world):
        world.runtime.config = copy.copy(world.runtime.config)
        object.__setattr__(world.runtime.config, name, value)

    return spoil


SPOILT = {
    "the network": lambda world: world.cluster.network.dialling.update({"c1": 1}),
    "c1 has": lower("max_connections", 1),
    "connections to http://": lower("max_connections_per_node", 0),
    "does not read": leave_unread,
    "of them made": lambda world: setattr(world.runtime, "crashes", 1),
    "retry tokens": lambda world: setattr(world.runtime.quota, "tokens", 501),
    "the node list is empty": lambda world: publish(world, ring=()),
    "which have left": lambda world: world.runtime.pools._idle.update({ELSEWHERE: ["a connection"]}),
    "waits while it could have": join_line,
    "nodes: 20000 are kept": lambda world: publish(world, standings={a_node(number): NEW for number in range(MANY)}),
    "names of keys": lambda world: world.runtime.key_names.publish(KeyNames(names=dict.fromkeys(range(MANY), "id"))),
    "cooldowns": lambda world: world.runtime.key_names.publish(
        KeyNames(names={}, cooldowns=dict.fromkeys(range(MANY), 1.0))
    ),
    "lookups": lambda world: world.runtime.key_names.publish(KeyNames(names={}, pending=frozenset(range(MANY)))),
    "providers": lambda world: world.runtime.credentials.publish(dict.fromkeys(range(MANY))),
    "heads": lambda world: world.runtime.data_path._transport._heads._known.update(dict.fromkeys(range(MANY))),
    "secrets": lambda world: world.runtime._authenticator._clock.signer._stamps.update(dict.fromkeys(range(MANY))),
    "nodes to probe": lambda world: change("NodeRegistry", probings={ELSEWHERE: None}),
    "names that were confirmed": lambda world: change(
        "KeyResolver", known=KnownKeys(confirmed=dict.fromkeys(map(str, range(MANY)), 1.0))
    ),
    "contacts": lambda world: change("Discovery", contacts=(ELSEWHERE,) * 17),
    "complaints": lambda world: actor("Discovery")._refresher._complaints.update(dict.fromkeys(range(65), 1)),
    "probes in flight": lambda world: change("Discovery", probing=dict.fromkeys(range(5))),
    "probes that wait": lambda world: change(
        "Discovery", probing={ELSEWHERE: None}, queued={ELSEWHERE: ProbeWanted(node=ELSEWHERE, generation=0)}
    ),
    "turned 1 message(s) away": turn_away,
    "counts 1 Told": lambda world: world.runtime.keys_inbox._counts.update([Told]),
    "counts 2 Told": overfill,
    "slots by node": lambda world: world.runtime.pools._capacity._by_node.update({ELSEWHERE: 1}),
    "the line counts 1": miscount_line,
    "who is gone waits in line": leave_in_line,
    "Discovery keeps replies": lambda world: change("Discovery", waiting=(settled(),)),
    "KeyResolver keeps replies": lambda world: change(
        "KeyResolver", lookups={"t": SimpleNamespace(replies=(settled(),))}
    ),
    "is marked: KeyResolver looks up t": lambda world: world.runtime.key_names.publish(
        KeyNames(names={}, pending=frozenset({"t"}))
    ),
    "is marked: Discovery refresh": lambda world: change("Discovery", refreshing=True),
    "is marked: Discovery probes": lambda world: change("Discovery", probing={ELSEWHERE: None}),
}
"""What is found, and what it is found in."""


def with_client(check):
    """What ``check`` finds in a client that has worked for a while; how a spoilt one ends is of no interest."""
    found = []

    async def main():
        engine = RegisterEngine()
        engine.create_table("users", "id")
        async with SimulatedCluster(2, engine=engine) as cluster, cluster.open_client() as client:
            for _ in range(4):
                await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
                await trio.sleep(1)
            found.append(await check(SimpleNamespace(cluster=cluster, client=client, runtime=client._runtime)))

    with watched_actors():
        try:
            simulate(main, max_seconds=1000.0)
        except Exception:
            if not found:
                raise
    return found.pop()


def looked_at(spoil):
    async def check(world):
        spoil(world)
        return list(BoundsWatch(world.cluster, world.client, "c1").look())

    return with_client(check)


def test_a_client_that_is_well_passes():
    """It is looked at in the same way as those that are spoilt."""
    assert looked_at(lambda world: None) == []


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_spoilt_is_found(caplog, what):
    """One thing each."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")
    assert any(what in each for each in looked_at(SPOILT[what]))


def test_a_watch_goes_on_looking():
    """And says when it found what."""

    async def check(world):
        watch = BoundsWatch(world.cluster, world.client, "c1")
        with trio.move_on_after(2):
            world.runtime.crashes = 1
            await watch.run(0.7)
        return watch

    watch = with_client(check)
    assert watch.looks == len(watch.violations) == 2
    assert watch.violations[0].startswith("at 4.7")


def test_a_lease_that_is_not_returned_is_found():
    """When nobody asks for anything any more, all leases come back in time."""

    async def check(world):
        watch = BoundsWatch(world.cluster, world.client, "c1")
        await watch.end()
        before = list(watch.violations)
        world.runtime.pools.take(world.client.nodes()[0], trio.current_time())
        await watch.end()
        return before, watch.violations

    before, (violation,) = with_client(check)
    assert before == []
    assert "leased when nothing is under way" in violation


@pytest.mark.parametrize("what", ["connections", "c1 has left the task Discovery"])
def test_what_outlives_a_client_is_found(what):
    """One that is not closed has left everything."""

    async def check(world):
        return list(check_nothing_left(world.cluster, "c1"))

    assert any(what in each for each in with_client(check))

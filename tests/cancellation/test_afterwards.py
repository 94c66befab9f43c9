"""What must hold afterwards: each thing that is looked at, spoilt once, is found, and a client that is well passes."""

from __future__ import annotations

import dataclasses
import logging
from types import SimpleNamespace

import pytest
import trio

from alternator_trio import AlternatorError, KeyRouteAffinity, NodeHealth
from alternator_trio._core.health import NodeState, Standing
from alternator_trio._core.pool import Place
from alternator_trio.testing import Hang, simulate
from tests.cancellation.afterwards import check_client, check_nothing_left
from tests.cancellation.networks import Network
from tests.scripted_nodes import ScriptedNodes

PATIENT = 500.0


class Waiter(Place):
    """Somebody in line."""

    def __init__(self, name):
        super().__init__(None, (), ())
        self.deadline = PATIENT
        self.task = SimpleNamespace(name=name)


def quarantine(world):
    """A node that nobody is going to probe."""
    live = world.runtime.live
    standings = {**live.value.standings, world.client.nodes()[0]: Standing(state=NodeState.QUARANTINED)}
    live.publish(dataclasses.replace(live.value, standings=standings))


def hang(world):
    """Somebody whose attempt lasts for ever."""
    for node in world.nodes:
        node.fail_next(Hang())
    world.nursery.start_soon(get, world.client)


async def get(client):
    await client.get_item(TableName="users", Key={"id": {"S": "ada"}})


def mark(world):
    names = world.runtime.key_names
    names.publish(names.value._replace(pending=frozenset({"users"})))


SPOILT = {
    "3 slots for 2 connections": lambda world: world.runtime.pools._capacity.take(world.client.nodes()[0]),
    "wires and dials": lambda world: world.network.open.update({"a wire": None}),
    "retry tokens": lambda world: setattr(world.runtime.quota, "tokens", 501),
    "in line": lambda world: world.runtime.pools._line.join(Waiter("a caller")),
    "not at rest.*connections_leased=1": hang,
    "not at rest.*waiting=1": lambda world: world.runtime.pools._line.join(Waiter("Discovery")),
    "crashes=1": lambda world: setattr(world.runtime, "crashes", 1),
    "dropped_messages=1": lambda world: setattr(world.runtime.keys_inbox, "_dropped", 1),
    "marks": mark,
    "not probed": quarantine,
}
"""What is found, and what it is found in."""


def checked(spoil):
    """Check a client that ``spoil`` has been at; how a spoilt one ends is of no interest."""
    outcome = []

    async def main():
        async with ScriptedNodes(2) as nodes, trio.open_nursery() as nursery:
            network = Network(nodes)
            async with nodes.open_client(
                dial=network.dial,
                node_health=NodeHealth(),
                key_route_affinity=KeyRouteAffinity.any_write(),
                attempt_timeout=PATIENT,
            ) as client:
                await get(client)
                await trio.sleep(1)
                runtime = client._runtime
                world = SimpleNamespace(nodes=nodes, nursery=nursery, network=network, client=client, runtime=runtime)
                spoil(world)
                try:
                    await check_client(client, nodes, network, crashes=0)
                    outcome.append(None)
                except (AssertionError, AlternatorError, trio.TooSlowError) as error:
                    outcome.append(error)
                nursery.cancel_scope.cancel()

    try:
        simulate(main, max_seconds=1000.0)
    except Exception:
        if not outcome:
            raise
    return outcome.pop()


def test_a_client_that_is_well_passes():
    """It is checked in the same way as those that are spoilt."""
    assert checked(lambda world: None) is None


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_spoilt_is_found(caplog, what):
    """One thing each."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")
    with pytest.raises(AssertionError, match=what):
        raise checked(SPOILT[what]) or RuntimeError("nothing is found")


@pytest.mark.parametrize("left", ["connections", "dials", "tasks"])
def test_what_is_left_is_found(left):
    """After the block there is no connection, no dial and no task."""

    async def main():
        async with ScriptedNodes(1) as nodes:
            network = Network(nodes)
            tasks = trio.lowlevel.current_statistics().tasks_living
            await check_nothing_left(network, tasks)
            if left == "connections":
                network.open["a wire"] = None
            network.dialling = int(left == "dials")
            await check_nothing_left(network, tasks - (left == "tasks"))

    expected = "1 tasks are left" if left == "tasks" else "connections are left"
    with pytest.raises(AssertionError, match=expected):
        simulate(main)

"""One seed, one run: Trio's scheduler, the network, the nodes and the client repeat exactly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial

import pytest
import trio
from trio._core import _run

from alternator_trio import AlternatorError
from alternator_trio.testing import FaultRates, RegisterEngine, SimulatedCluster, current_run, simulate
from alternator_trio.testing.simulation._trio_internals import seeded_scheduler
from tests.users import USERS

STORMY = FaultRates(
    split=0.5, loss=0.01, reset=0.02, late=0.05, fail_after=0.02, crash_rate=0.2, pause_rate=0.1, split_rate=0.1
)


async def story() -> str:
    """Fifty tasks write over a stormy network; the digest of all that happened."""
    engine = RegisterEngine()
    engine.create_table("users", "id")
    async with SimulatedCluster(nodes=3, engine=engine, faults=STORMY) as cluster:
        async with cluster.open_client() as client, trio.open_nursery() as nursery:

            async def write(number: int) -> None:
                try:
                    await client.put_item(TableName="users", Item={"id": {"S": str(number % 7)}})
                except AlternatorError as error:
                    cluster.history.record("failed", number, str(error))

            for number in range(50):
                nursery.start_soon(write, number)
        return cluster.history.digest


def orders(seed: str) -> list[int]:
    """The order in which twenty tasks run that are runnable at once."""
    order: list[int] = []

    async def main() -> None:
        async def note(number: int) -> None:
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(note, number)

    with seeded_scheduler(seed):
        trio.run(main)
    return order


def test_the_scheduler_repeats_its_order() -> None:
    """Tasks that are runnable at once run in the order that the seed says."""
    assert orders("a") == orders("a")


def test_the_scheduler_has_other_orders() -> None:
    """Another seed gives another order, so that seeds explore schedules."""
    assert len({tuple(orders(str(seed))) for seed in range(5)}) == 5


def test_the_scheduler_is_left_as_it_was() -> None:
    """After a seeded run Trio draws from where it would have drawn."""
    before = (_run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate())
    orders("a")
    assert (_run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate()) == before


def test_a_seed_repeats_its_run() -> None:
    """Twice the same seed, twice the same history."""
    assert simulate(story, seed=3) == simulate(story, seed=3)


def test_another_seed_is_another_run() -> None:
    """The digest tells runs apart."""
    assert simulate(story, seed=3) != simulate(story, seed=4)


async def one_value(value: str, *, is_read: bool) -> str:
    """One value is written, or is there and read; the digest of that."""
    engine = RegisterEngine()
    engine.create_table("users", "id")
    item = {"id": {"S": "ada"}, "v": {"S": value}}
    async with SimulatedCluster(nodes=1, engine=engine) as cluster, cluster.open_client() as client:
        if is_read:
            store = engine.at("nobody", current_run().time)
            await store.execute("PutItem", json.dumps({"TableName": "users", "Item": item}).encode())
            await client.scan(TableName="users")
        else:
            await client.put_item(TableName="users", Item=item)
        return cluster.history.digest


@pytest.mark.parametrize("is_read", [False, True])
def test_another_value_is_another_run(is_read: bool) -> None:
    """Though it is of the same length: what is written counts, and what is read."""
    digests = [simulate(partial(one_value, value, is_read=is_read)) for value in ("x", "x", "y")]
    assert digests[0] == digests[1] != digests[2]


async def tables() -> str:
    """The default engine makes a table and describes it; the digest of that."""
    async with SimulatedCluster(nodes=1) as cluster, cluster.open_client() as client:
        await client.create_table(**USERS)
        await client.describe_table(TableName="users")
        await client.put_item(TableName="users", Item={"id": {"S": "ada"}})
        return cluster.history.digest


def test_the_default_engines_own_numbers_are_no_part_of_a_run() -> None:
    """Each table has an identifier of its own, and the real time."""
    assert simulate(tables) == simulate(tables)


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_a_seed_repeats_its_run_in_another_process(hash_seed: str) -> None:
    """Neither hash randomisation nor addresses of objects have a say."""
    code = "from tests.sim.test_replay import story; from alternator_trio.testing import simulate"
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", f"{code}; print(simulate(story, seed=3))"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == simulate(story, seed=3)

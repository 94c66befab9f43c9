"""What the register engine knows of time: plain writes bear their coordinator's clock, transactions do not need one."""

from __future__ import annotations

import random

import pytest

from alternator_trio.testing import RegisterEngine, SimulatedCluster, simulate

HOUR = 3600.0
START = 1_767_225_600.0  # by a wall clock that is right
KEY = {"id": {"S": "ada"}}
ADA = {"TableName": "users", "Key": KEY}
ONE = {"ExpressionAttributeValues": {":one": {"N": "1"}}}


def written_with(*requests, behind=HOUR, spread=0.0, isolation="only_rmw"):
    """The writes on record, and the item, after requests to two nodes in turn; the clock of the second is behind."""

    async def main():
        engine = RegisterEngine(spread=spread, isolation=isolation, rng=random.Random(3))
        engine.create_table("users", "id")
        async with SimulatedCluster(2, engine=engine) as cluster:
            cluster.nodes[1].clock_skew = -behind
            async with (
                cluster.open_client(cluster.nodes[0].url, discovery=False) as here,
                cluster.open_client(cluster.nodes[1].url, discovery=False) as there,
            ):
                for number, (operation, request) in enumerate(requests):
                    await (there if number % 2 else here).call(operation, request)
            return engine.applied, engine.item("users", id={"S": "ada"})

    return simulate(main, seed=1)


def put(value: str, **more):
    return "PutItem", {"TableName": "users", "Item": {**KEY, "v": {"S": value}}, **more}


def update(expression: str, **more):
    return "UpdateItem", {**ADA, "UpdateExpression": expression, **more}


def test_a_plain_write_bears_its_coordinators_clock() -> None:
    """One that comes later by a clock that is behind has an older stamp, and is covered."""
    (first, second), item = written_with(put("first"), put("second"))
    assert (first.is_transaction, second.is_transaction) == (False, False)
    assert first.stamp - second.stamp == pytest.approx(HOUR * 1e6, rel=0.01)
    assert item["v"] == {"S": "first"}


@pytest.mark.parametrize("isolation", ["only_rmw", "always"])
def test_a_transactions_stamp_is_newer_than_those_before(isolation) -> None:
    """Whatever the clock of its coordinator: it comes after them, and is seen."""
    more = {"ReturnValues": "ALL_OLD"} if isolation == "only_rmw" else {}
    writes = [put(f"{number}", **more) for number in range(4)]
    applied, item = written_with(*writes, isolation=isolation)
    stamps = [write.stamp for write in applied]
    assert all(write.is_transaction for write in applied)
    assert stamps == sorted(set(stamps))
    assert item["v"] == {"S": "3"}


def test_a_plain_write_is_seen_up_to_the_spread_later() -> None:
    """Between its stamp and its effect; a transaction waits for nothing."""
    applied, _ = written_with(*[put("plain"), update("ADD n :one", **ONE)] * 10, behind=0.0, spread=5.0)
    waits = [write.at - (write.stamp / 1e6 - START) for write in applied]
    assert 3.0 < max(waits[::2]) <= 5.0
    assert max(waits[1::2]) < 0.001


@pytest.mark.parametrize(
    ("expression", "is_transaction"),
    [
        ("SET v = :one", False),
        ("SET v = :one, w = :one", False),
        ("REMOVE v", False),
        ("ADD n :one", True),
        ("SET n = n + :one", True),
        ("SET v = if_not_exists(v, :one)", True),
    ],
)
def test_an_update_that_reads_first_is_a_transaction(expression, is_transaction) -> None:
    """It depends on what is there; any other is plain."""
    more = ONE if ":one" in expression else {}
    applied, _ = written_with(update("SET n = :one, v = :one", **ONE), update(expression, **more), behind=0.0)
    assert applied[1].is_transaction is is_transaction

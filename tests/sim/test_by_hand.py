"""Faults that a test brings about by hand: slow links, clocks that jump, nodes that come back with other data."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import Credentials, KeyRouteAffinity, ServiceError
from alternator_trio.testing import RegisterEngine, SimulatedCluster, simulate
from tests.waiting import all_active

ADA = {"TableName": "users", "Key": {"id": {"S": "ada"}}}
HOUR = 3600.0
ROLE = {"role": "secret"}
SIGNED = {"credentials": Credentials("role", "secret"), "clock_skew_correction": "always"}


def store(key_name: str = "id") -> RegisterEngine:
    """A store with a table ``users``."""
    engine = RegisterEngine()
    engine.create_table("users", key_name)
    return engine


def with_cluster(check, *, nodes=3, credentials=None):
    """Run ``check(cluster)``."""

    async def main():
        async with SimulatedCluster(nodes, engine=store(), credentials=credentials) as cluster:
            return await check(cluster)

    return simulate(main, seed=1)


def attempts(cluster):
    """How many operations each node has received."""
    return [sum(request.operation is not None for request in node.requests) for node in cluster.nodes]


async def seconds_of_reads(client, count=20):
    began = trio.current_time()
    for _ in range(count):
        await client.get_item(**ADA)
    return (trio.current_time() - began) / count


def test_a_slow_node_takes_longer() -> None:
    """By the factor, both ways; afterwards it is as before."""

    async def check(cluster):
        async with cluster.open_client(discovery=False) as client:
            seconds = [await seconds_of_reads(client)]
            cluster.slow_down(cluster.nodes[0], 100.0)
            seconds.append(await seconds_of_reads(client))
            cluster.slow_down(cluster.nodes[0], 1.0)
            seconds.append(await seconds_of_reads(client))
            return seconds

    before, slow, after = with_cluster(check, nodes=1)
    assert before < 0.005 > after
    assert slow > 0.05


def test_clocks_that_are_set_are_on_record() -> None:
    """Of a node by its name, of the clients as theirs."""
    seen = []

    async def check(cluster):
        cluster.history.listeners.append(lambda event: seen.append((event.kind, *event.facts)))
        cluster.nodes[1].clock_skew = 7.0
        cluster.clock_skew = -HOUR

    with_cluster(check)
    assert seen == [("clock", "n2", 7.0), ("clock", "clients", -HOUR)]


@pytest.mark.parametrize("jump", [20.0 * HOUR, -20.0 * HOUR])
def test_a_client_whose_clock_jumps_signs_by_the_nodes(jump) -> None:
    """No operation fails, and each node refuses one signature, until the clock is right again."""

    async def check(cluster):
        refused = []
        async with cluster.open_client(**SIGNED) as client:
            await all_active(client)
            for skew in (0.0, jump, 0.0):
                cluster.clock_skew = skew
                before = attempts(cluster)
                for _ in range(9):
                    await client.get_item(**ADA)
                refused.append(sum(attempts(cluster)) - sum(before) - 9)
        return refused

    assert with_cluster(check, credentials=ROLE) == [0, 3, 3]


def test_a_node_whose_clock_jumps_is_believed() -> None:
    """It alone refuses once."""

    async def check(cluster):
        async with cluster.open_client(**SIGNED) as client:
            cluster.nodes[0].clock_skew = 2.0 * HOUR
            await all_active(client)
            for _ in range(9):
                await client.get_item(**ADA)
        return attempts(cluster)

    assert with_cluster(check, credentials=ROLE) == [4, 3, 3]


def test_a_node_that_runs_cannot_be_given_another_store() -> None:
    """It would have to forget what it has under its clients' eyes."""

    async def check(cluster):
        with pytest.raises(RuntimeError, match="is running: stop it"):
            cluster.nodes[0].start(engine=store())

    with_cluster(check)


def test_a_node_may_come_back_with_other_data() -> None:
    """It answers from its own store, the others from the cluster's; a start without a store keeps it; healing too."""

    async def check(cluster):
        other = store()
        node = cluster.nodes[0]
        node.kill()
        node.start(engine=other)
        async with cluster.open_client(node.url, discovery=False) as client:
            await client.put_item(TableName="users", Item={"id": {"S": "ada"}, "v": {"S": "elsewhere"}})
        node.stop()
        cluster.heal()
        async with cluster.open_client(cluster.nodes[1].url, discovery=False) as client:
            assert "Item" not in await client.get_item(**ADA)
        async with cluster.open_client(node.url, discovery=False) as client:
            assert (await client.get_item(**ADA))["Item"]["v"] == {"S": "elsewhere"}
        node.stop()
        node.start(engine=cluster.engine)
        async with cluster.open_client(node.url, discovery=False) as client:
            assert "Item" not in await client.get_item(**ADA)

    with_cluster(check)


def test_a_client_goes_on_with_a_cluster_that_was_made_anew() -> None:
    """Its table has another key now. What names the old key is refused for certain, and makes the client ask for
    the key again; affinity is by the new one then.
    """

    async def check(cluster):
        async with cluster.open_client(key_route_affinity=KeyRouteAffinity.any_write()) as client:
            assert await client.partition_key("users") == "id"
            other = store("name")
            for node in cluster.nodes:
                node.kill()
                node.start(engine=other)
            await all_active(client)
            with pytest.raises(ServiceError, match="key attribute 'name' is missing") as caught:
                await client.put_item(TableName="users", Item={"id": {"S": "ada"}, "v": {"S": "1"}})
            assert not caught.value.may_have_happened
            await trio.sleep(1)
            assert await client.partition_key("users") == "name"
            for number in range(6):
                await client.put_item(TableName="users", Item={"name": {"S": "ada"}, "v": {"S": f"{number}"}})
            return {write.coordinator for write in other.applied}

    assert len(with_cluster(check)) == 1

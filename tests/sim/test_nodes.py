"""Nodes of a simulated cluster: their lives, their views of one another, and what a client sees of it."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import AttemptTimeoutError, ConnectError, IndeterminateWriteError, KeyRouteAffinity, RetryPolicy
from alternator_trio.testing import (
    Answer,
    FaultRates,
    MinistackEngine,
    RegisterEngine,
    Reset,
    SimulatedCluster,
    simulate,
)
from tests.waiting import all_active

ONCE = RetryPolicy(max_attempts=1)
ADA = {"TableName": "users", "Key": {"id": {"S": "ada"}}}
BUMP = {
    "UpdateExpression": "ADD n :one",
    "ExpressionAttributeValues": {":one": {"N": "1"}},
}


def with_cluster(check, *, nodes=3, seed=1, engine=None, **options):
    """Run ``check(cluster)`` with a table ``users``."""

    async def main():
        store = engine or RegisterEngine()
        store.create_table("users", "id")
        async with SimulatedCluster(None if "topology" in options else nodes, engine=store, **options) as cluster:
            return await check(cluster)

    return simulate(main, seed=seed)


def test_a_client_works() -> None:
    """What is put is got."""

    async def check(cluster):
        async with cluster.open_client() as client:
            await client.put_item(TableName="users", Item={"id": {"S": "ada"}, "born": {"N": "1815"}})
            return (await client.get_item(**ADA))["Item"]

    assert with_cluster(check) == {"id": {"S": "ada"}, "born": {"N": "1815"}}


def test_any_engine_will_do() -> None:
    """The default engine of the embedded cluster is the default here."""

    async def main():
        async with SimulatedCluster(nodes=2) as cluster, cluster.open_client() as client:
            assert isinstance(cluster.engine, MinistackEngine)
            return (await client.list_tables())["TableNames"]

    assert simulate(main) == []


def test_a_last_answer_is_the_last_of_its_connection() -> None:
    """It says so, the node leaves the closing to the client, and the client dials again for each request."""

    async def check(cluster):
        async with cluster.open_client() as client:
            for _ in range(3):
                await client.get_item(**ADA)
        used = [request.connection_id for request in cluster.nodes[0].requests]
        return len(used), len(set(used))

    requests, connections = with_cluster(check, nodes=1, faults=FaultRates(last_answer=1.0))
    assert requests == connections > 3


def test_a_stopped_node_is_off_the_lists_at_once() -> None:
    """It leaves in order."""

    async def check(cluster):
        cluster.nodes[0].stop()
        assert cluster.nodes[1].listed() == ["10.0.0.2", "10.0.0.3"]

    with_cluster(check)


def test_a_dead_node_is_listed_until_it_is_convicted() -> None:
    """About twenty seconds."""

    async def check(cluster):
        cluster.nodes[0].kill()
        await trio.sleep(19)
        assert "10.0.0.1" in cluster.nodes[1].listed()
        await trio.sleep(2)
        assert "10.0.0.1" not in cluster.nodes[1].listed()

    with_cluster(check)


def test_a_node_that_comes_back_is_listed_again() -> None:
    """Gossip takes a second."""

    async def check(cluster):
        cluster.nodes[0].stop()
        cluster.nodes[0].start()
        assert "10.0.0.1" not in cluster.nodes[1].listed()
        await trio.sleep(1)
        assert "10.0.0.1" in cluster.nodes[1].listed()

    with_cluster(check)


def test_nodes_that_do_not_see_each_other_list_their_own_side() -> None:
    """After a partition each side convicts the other, and takes it back when it is over."""

    async def check(cluster):
        cluster.split(cluster.nodes[0])
        await trio.sleep(21)
        assert [node.listed() for node in cluster.nodes[:2]] == [["10.0.0.1"], ["10.0.0.2", "10.0.0.3"]]
        cluster.rejoin()
        await trio.sleep(1)
        assert len(cluster.nodes[0].listed()) == len(cluster.nodes[1].listed()) == 3

    with_cluster(check)


def test_lists_know_datacenters_and_racks() -> None:
    """One datacenter, that of the asked node unless another is named, and of that one rack."""

    async def check(cluster):
        assert cluster["n3"].listed() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        assert cluster["n3"].listed("dc1", "rack1") == ["10.0.0.1", "10.0.0.2"]
        assert cluster["n3"].listed("dc2") == ["10.0.0.4"]

    with_cluster(check, topology={"dc1": {"rack1": 2, "rack2": 1}, "dc2": {"rack1": 1}})


def test_a_node_may_move() -> None:
    """It comes back under another address; requests to the old one are refused, and the client finds the new one."""

    async def check(cluster):
        async with cluster.open_client() as client:
            await all_active(client)
            cluster["n1"].stop()
            cluster["n1"].start(address="10.0.0.99")
            await trio.sleep(2)
            return [node.host for node in await client.refresh()]

    assert with_cluster(check) == ["10.0.0.2", "10.0.0.3", "10.0.0.99"]


def test_a_joining_node_gets_traffic() -> None:
    """The client learns of it from the others."""

    async def check(cluster):
        async with cluster.open_client() as client:
            node = cluster.add_node("datacenter1", "rack1")
            await trio.sleep(1)
            await all_active(client)
            for _ in range(4):
                await client.get_item(**ADA)
            return [request.operation for request in node.requests if request.operation]

    assert with_cluster(check) == ["GetItem"]


def test_a_killed_node_resets_its_connections() -> None:
    """A write in flight is of unknown outcome; a dial is refused."""

    async def check(cluster):
        async with cluster.open_client(retry=ONCE) as client:
            cluster.nodes[0].delay = 1.0
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill_soon, cluster.nodes[0])
                with pytest.raises(IndeterminateWriteError):
                    await client.update_item(**ADA, **BUMP)
            with pytest.raises(ConnectError, match="refused"):
                await client.update_item(**ADA, **BUMP)

    with_cluster(check, nodes=1)


async def kill_soon(node):
    await trio.sleep(0.5)
    node.kill()


def test_a_powerless_node_says_nothing() -> None:
    """Neither requests nor dials are answered; what comes on an old connection after its return is reset."""

    async def check(cluster):
        async with cluster.open_client(retry=ONCE, attempt_timeout=3.0, discovery=False) as client:
            await client.get_item(**ADA)
            cluster.nodes[0].power_off()
            with pytest.raises(AttemptTimeoutError):
                await client.get_item(**ADA)
            with pytest.raises(ConnectError, match="no connection within 2 s"):
                await client.get_item(**ADA)

    with_cluster(check, nodes=1)


def test_a_paused_node_answers_when_it_goes_on() -> None:
    """Nothing is lost."""

    async def check(cluster):
        async with cluster.open_client() as client:
            cluster.nodes[0].pause()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: client.get_item(**ADA))
                await trio.sleep(5)
                cluster.nodes[0].resume()
            return trio.current_time()

    assert 5 <= with_cluster(check, nodes=1) < 5.1


def test_a_killed_node_executes_nothing_that_it_had_read() -> None:
    """What a paused process held dies with it."""

    async def check(cluster):
        async with cluster.open_client(retry=ONCE) as client:
            await client.get_item(**ADA)
            cluster.nodes[0].pause()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill_soon, cluster.nodes[0])
                with pytest.raises(IndeterminateWriteError):
                    await client.update_item(**ADA, **BUMP)
            cluster.nodes[0].start()
            await trio.sleep(15)
            return cluster.engine.applied

    assert with_cluster(check, nodes=1) == []


def test_a_node_that_is_cut_off_is_slow_to_find_out() -> None:
    """A dial gets no answer, and a request on a connection that is open waits."""

    async def check(cluster):
        async with cluster.open_client(retry=ONCE, attempt_timeout=3.0, discovery=False) as client:
            cluster.cut_off(cluster.nodes[0])
            with pytest.raises(ConnectError, match="no connection within 2 s"):
                await client.get_item(**ADA)
            cluster.mend(cluster.nodes[0])
            await client.get_item(**ADA)

    with_cluster(check, nodes=1)


def test_faults_of_the_embedded_cluster_are_committed_here_too() -> None:
    """`fail_next` is the same word with the same faults."""

    async def check(cluster):
        cluster.nodes[0].fail_next(Reset(executed=True), operation="UpdateItem")
        cluster.nodes[0].fail_next(Answer(status=503), operation="GetItem")
        async with cluster.open_client() as client:
            with pytest.raises(IndeterminateWriteError):
                await client.update_item(**ADA, **BUMP)
            return (await client.get_item(**ADA))["Item"]["n"]

    assert with_cluster(check, nodes=1) == {"N": "1"}


def test_a_late_operation_takes_effect_after_the_client_gave_up() -> None:
    """The server carries out what it accepted, within its own ten seconds, whoever still waits."""

    async def check(cluster):
        async with cluster.open_client(retry=ONCE, attempt_timeout=0.1) as client:
            with pytest.raises(IndeterminateWriteError):
                await client.update_item(**ADA, **BUMP)
        assert cluster.engine.applied == []
        await trio.sleep(10)
        return len(cluster.engine.applied)

    assert with_cluster(check, nodes=1, faults=FaultRates(late=1.0)) == 1


def last_write_is_lost(seed, **options):
    """Whether one of twenty writes, one after another, is covered by one before it."""

    async def check(cluster):
        async with cluster.open_client(**options) as client:
            await all_active(client)  # until then a key goes to whichever node has been probed
            for number in range(20):
                await client.put_item(TableName="users", Item={"id": {"S": "ada"}, "n": {"N": str(number)}})
                if cluster.engine.item("users", id={"S": "ada"})["n"] != {"N": str(number)}:
                    return True
            return False

    return with_cluster(check, seed=seed, faults=FaultRates(clock_skew=2.0))


def test_clocks_that_differ_reorder_plain_writes() -> None:
    """A write through a node whose clock is behind is covered by one that came before it."""
    assert all(last_write_is_lost(seed) for seed in range(5))


def test_affinity_keeps_plain_writes_in_order() -> None:
    """One key, one coordinator, one clock."""
    affinity = KeyRouteAffinity.any_write(partition_keys={"users": "id"})
    assert not any(last_write_is_lost(seed, key_route_affinity=affinity) for seed in range(5))


def test_healing_ends_every_fault() -> None:
    """Afterwards every node runs, is listed, and can be reached."""

    async def check(cluster):
        await trio.sleep(60)
        cluster.heal()
        await trio.sleep(25)
        running = [node.address for node in cluster.nodes]
        for node in cluster.nodes:
            assert node.is_running
            assert sorted(node.listed()) == sorted(running)
        async with cluster.open_client(*(node.url for node in cluster.nodes)) as client:
            await all_active(client)
            assert sorted(node.host for node in client.nodes()) == sorted(running)

    rates = {f"{name}_rate": 0.2 for name in ("crash", "power_off", "restart", "pause", "move", "swap", "join")}
    rates |= {f"{name}_rate": 0.2 for name in ("leave", "cut_off", "split", "slow", "clock_jump")}
    for seed in range(5):
        with_cluster(check, nodes=4, seed=seed, faults=FaultRates(**rates, loss=0.05, reset=0.05, stale_list=0.1))

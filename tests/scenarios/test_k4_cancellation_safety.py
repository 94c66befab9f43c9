"""K4: a lookup is in flight when who wants it, the resolver, or the whole client is cancelled; no mark is left."""

from __future__ import annotations

import logging
import random
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from alternator_trio import AlternatorError, ClientClosedError, KeyRouteAffinity
from alternator_trio.testing import Answer, Hang
from tests.crashing import Nonsense
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scenarios.lookups import LookupTasks, answer_lookups, lookups, put
from tests.scripted_nodes import Late, ScriptedNodes

AFFINITY = KeyRouteAffinity.any_write()


@pytest.fixture
def quiet(caplog):
    """Crashes are meant here, and need no log."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")


def fail_lookups(nodes, fault):
    for node in nodes:
        node.clear_faults()
        node.fail_next(fault, times=1000, operation="DescribeTable")


def heal(nodes):
    for node in nodes:
        node.clear_faults()


def crash_resolver(client):
    client._runtime.keys_inbox.tell(Nonsense())


def marks(client):
    return client._runtime.key_names.value.pending


# (a) who waits is cancelled


@pytest.mark.parametrize("leaving", [1, 9, 10])
async def test_k4_who_is_cancelled_takes_nothing_from_the_others(autojump_clock, nodes, leaving):
    """Of ten who wait some are cancelled in mid-lookup; the others get the name, of the same lookup."""
    fail_lookups(nodes, Late(seconds=1.0))
    names = []

    async def ask(patience):
        with trio.move_on_after(patience):
            names.append(await client.partition_key("users"))

    async with nodes.open_client() as client:
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(ask, 0.5 if number < leaving else 5.0)
        assert names == ["id"] * (10 - leaving)
        await trio.sleep(1)
        assert marks(client) == frozenset()
        assert await client.partition_key("users") == "id"
    assert len(lookups(nodes)) == 1


async def test_k4_who_is_cancelled_between_two_attempts_takes_nothing(autojump_clock, nodes):
    """The lookup goes on with its retries; who asks next gets its result."""
    answer_lookups(nodes, *[Answer(status=503)] * 3)
    async with nodes.open_client() as client:
        with trio.move_on_after(0.05):
            await client.partition_key("users")
        assert await client.partition_key("users") == "id"
    assert len(lookups(nodes)) == 4


async def test_k4_a_write_that_is_cancelled_takes_nothing_from_its_lookup(autojump_clock, nodes):
    """The write that missed the key is gone; its lookup is for those to come."""
    fail_lookups(nodes, Late(seconds=1.0))
    for node in nodes:
        node.fail_next(Hang(), operation="PutItem")
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        with trio.move_on_after(0.5):
            await put(client)
        await trio.sleep(1)
        assert client._runtime.key_names.value.names == {"users": "id"}


# (b) the resolver is restarted


async def test_k4_a_restarted_resolver_has_no_mark(autojump_clock, nodes, tasks, quiet):
    """It crashes in the lookup that a write started, which nobody waits for; the next write starts another."""
    fail_lookups(nodes, Hang())
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        await put(client)
        await trio.sleep(0.5)
        assert marks(client) == {"users"}
        crash_resolver(client)
        await trio.sleep(0.5)
        assert (marks(client), tasks.running["users"], len(lookups(nodes))) == (frozenset(), 0, 1)
        heal(nodes)
        await put(client)
        await trio.sleep(0.5)
        assert client._runtime.key_names.value.names == {"users": "id"}
    assert len(lookups(nodes)) == 2


async def test_k4_a_restarted_resolver_looks_up_for_who_waits(autojump_clock, nodes, quiet):
    """Who asked before the crash is answered after it, as are those who ask while it is being restarted."""
    fail_lookups(nodes, Hang())
    names = []

    async def ask():
        names.append(await client.partition_key("users"))

    async with nodes.open_client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(0.5)
        heal(nodes)
        crash_resolver(client)
        await wait_all_tasks_blocked()
        nursery.start_soon(ask)
        with trio.fail_after(1):
            while len(names) < 2:
                await trio.sleep(0.01)
    assert names == ["id", "id"]
    assert len(lookups(nodes)) == 2


async def test_k4_a_crash_closes_the_lookup_connection(autojump_clock, nodes, quiet):
    """The connection in use dies with the lookup; those that are idle stay."""
    async with nodes.open_client() as client:
        await client.refresh()
        await trio.sleep(0.5)
        fail_lookups(nodes, Hang())
        with trio.move_on_after(0.5):
            await client.partition_key("users")
        before = nodes.open_connections
        crash_resolver(client)
        await trio.sleep(0.05)
        assert nodes.open_connections == before - 1
        assert client.statistics().connections_leased == 0


async def test_k4_requests_go_on_while_the_resolver_is_down(autojump_clock, nodes, quiet):
    """Crash after crash, and none of a hundred writes fails or waits; the name that was known is still used."""
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        await client.partition_key("users")
        for _ in range(100):
            crash_resolver(client)
            began = trio.current_time()
            await put(client)
            await put(client, table="orders")
            assert trio.current_time() == began
            await trio.sleep(0.1)
        hosts = {request.host for request in nodes.requests_of("PutItem") if b'"users"' in request.body}
        assert len(hosts) == 1


# (c) the client is cancelled


@pytest.mark.parametrize("fault", [Hang(), Late(seconds=2.0), Answer(status=503)], ids=["attempt", "late", "pause"])
async def test_k4_a_cancelled_client_leaves_nothing(autojump_clock, nodes, tasks, fault):
    """No task, no connection, no waiter; a new client looks up."""
    fail_lookups(nodes, fault)
    with trio.move_on_after(0.05) as scope:
        async with nodes.open_client(key_route_affinity=AFFINITY) as client:
            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(put, client, str(number))
                    nursery.start_soon(client.partition_key, "users")
    assert scope.cancelled_caught
    assert (tasks.begun["users"], tasks.running["users"], marks(client)) == (1, 0, frozenset())
    await wait_all_tasks_blocked()
    assert nodes.open_connections == 0
    heal(nodes)
    async with nodes.open_client() as client:
        assert await client.partition_key("users") == "id"


async def test_k4_who_waits_outside_the_block_is_told(autojump_clock, nodes):
    """Their client ends in mid-lookup: ClientClosedError, at once, and from then on."""
    fail_lookups(nodes, Hang())
    told_at = []

    async def ask(client):
        with pytest.raises(ClientClosedError):
            await client.partition_key("users")
        told_at.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        async with nodes.open_client() as client:
            for _ in range(10):
                nursery.start_soon(ask, client)
            await trio.sleep(0.5)
            ended = trio.current_time()
        nursery.start_soon(ask, client)
    assert told_at == [ended] * 11


async def test_k4_a_closed_client_answers_no_more(autojump_clock, nodes):
    """Not even with a name that it knew."""
    async with nodes.open_client() as client:
        await client.partition_key("users")
    with pytest.raises(ClientClosedError):
        await client.partition_key("users")


async def test_k4_cancelled_in_the_middle(autojump_clock, nodes, quiet):
    """Cancelled at any of thirty moments of a life with waiters who leave, a crash, and a second client."""

    async def scenario():
        fail_lookups(nodes, Late(seconds=0.3))
        async with nodes.open_client(key_route_affinity=AFFINITY) as client:
            async with trio.open_nursery() as nursery:
                for number in range(10):
                    nursery.start_soon(put, client, str(number))
                    nursery.start_soon(client.partition_key, "users")
                with trio.move_on_after(0.1):
                    await client.partition_key("users")
                crash_resolver(client)
        async with nodes.open_client() as client:
            assert await client.partition_key("users") == "id"

    await cancel_in_the_middle(scenario, nodes, moments=30)


async def live(nodes, rng, seed):
    """A client's life: who asks leaves at random, the resolver crashes at random, the client is cancelled at random."""

    async def ask(client, table):
        with trio.move_on_after(rng.choice([0.0, 0.2, 20.0])), suppress(AlternatorError):
            assert await client.partition_key(table) == "id"

    with trio.move_on_after(rng.uniform(0.0, 40.0)):
        async with nodes.open_client(key_route_affinity=AFFINITY, attempt_timeout=2.0, seed=seed) as client:
            async with trio.open_nursery() as nursery:
                for _ in range(40):
                    table = rng.choice(["a", "b", "c", "d"])
                    nursery.start_soon(ask, client, table)
                    await put(client, table=table)
                    if rng.random() < 0.2:
                        crash_resolver(client)
                    await trio.sleep(rng.choice([0.0, 0.1, 1.0, 5.0]))


@pytest.mark.parametrize("seed", range(15))
def test_k4_no_life_leaves_a_mark(seed, quiet):
    """Five clients live at random: never two lookups of a table, nothing left of a client, and a new one finds all."""
    rng = random.Random(seed)
    tasks = LookupTasks()

    async def world():
        async with ScriptedNodes(3) as nodes:
            for number in range(5):
                for node in nodes:
                    fault = rng.choice([Hang(), Answer(status=503), Late(seconds=0.5), Late(seconds=1.5)])
                    node.fail_next(fault, times=rng.randrange(1, 20), operation="DescribeTable")
                await live(nodes, rng, seed + number)
                await wait_all_tasks_blocked()
                assert (nodes.open_connections, tasks.running.total()) == (0, 0)
                heal(nodes)
                async with nodes.open_client() as client:
                    assert [await client.partition_key(table) for table in "abcd"] == ["id"] * 4

    trio.run(world, clock=MockClock(autojump_threshold=0), instruments=[tasks])
    assert set(tasks.most.values()) == {1}

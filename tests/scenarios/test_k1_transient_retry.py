"""K1: DescribeTable fails a few times and then succeeds; the lookup is repeated with backoff and the key is cached."""

from __future__ import annotations

import itertools
import random
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from alternator_trio import DecodingError, KeyRouteAffinity, RetryPolicy, ServiceError, TransportError
from alternator_trio.testing import Answer, Close, Hang, Reset, Truncate
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scenarios.lookups import ATTEMPTS, LookupTasks, answer_lookups, lookups, put, refusal, times
from tests.scripted_nodes import Late, Raw, ScriptedNodes
from tests.waiting import all_active

BUSY = Answer(status=503)
TRANSIENT_ANSWERS = {
    "500": refusal("InternalServerError", status=500),
    "503 of a proxy": Answer(status=503, body=b"<html>unavailable</html>"),
    "429": Answer(status=429, body=b"slow down"),
    "throttled": refusal("ThrottlingException"),
    "shed": refusal("RequestLimitExceeded"),
    "credentials not known yet": refusal("UnrecognizedClientException"),
    "200 that cannot be read": Answer(status=200, body=b'{"Table": '),
}
TRANSPORT_FAULTS = {
    "reset": Reset(),
    "closed": Close(),
    "broken off": Truncate(body_bytes=3),
    "not HTTP": Raw(data=b"?", then="hang"),
}
FAULTS = [*TRANSIENT_ANSWERS.values(), *TRANSPORT_FAULTS.values(), Hang(), Late(seconds=0.7)]
AFFINITY = KeyRouteAffinity.any_write()


def pauses(nodes):
    return [later - earlier for earlier, later in itertools.pairwise(times(nodes))]


def backoff(*seconds):
    return [pytest.approx(each, rel=0.2001) for each in seconds]


@pytest.mark.parametrize("failures", [1, 2, 3])
@pytest.mark.parametrize("answer", TRANSIENT_ANSWERS.values(), ids=TRANSIENT_ANSWERS)
async def test_k1_answers_that_may_change_are_asked_for_again(autojump_clock, nodes, answer, failures):
    """After 100, 200 and 400 ms, give or take a fifth, each retry being one request on the wire."""
    answer_lookups(nodes, *[answer] * failures)
    async with nodes.open_client() as client:
        assert await client.partition_key("users") == "id"
    assert pauses(nodes) == backoff(0.1, 0.2, 0.4)[:failures]


@pytest.mark.parametrize("fault", TRANSPORT_FAULTS.values(), ids=TRANSPORT_FAULTS)
async def test_k1_answers_that_do_not_come_are_asked_for_again(autojump_clock, nodes, fault):
    """At each of the three nodes once; the fourth attempt is answered."""
    for node in nodes:
        node.fail_next(fault, operation="DescribeTable")
    async with nodes.open_client() as client:
        await all_active(client)
        assert await client.partition_key("users") == "id"
    assert pauses(nodes) == backoff(0.1, 0.2, 0.4)
    assert {request.host for request in lookups(nodes)[:3]} == set(nodes.listed)


async def test_k1_a_node_that_never_answers_costs_one_attempt(autojump_clock, nodes):
    """The next attempt goes to another node, after the attempt timeout and a pause."""
    async with nodes.open_client(attempt_timeout=1.0) as client:
        await all_active(client)
        for node in nodes:
            node.fail_next(Hang(), operation="DescribeTable")
        with trio.fail_after(5):
            assert await client.partition_key("users") == "id"
    assert pauses(nodes) == backoff(1.1, 1.2, 1.4)


async def test_k1_the_key_is_cached(autojump_clock, nodes):
    """Whoever asks later, for hours, is answered without another DescribeTable."""
    answer_lookups(nodes, BUSY, BUSY)
    async with nodes.open_client() as client:
        for _ in range(100):
            assert await client.partition_key("users") == "id"
            await trio.sleep(100)
    assert len(lookups(nodes)) == 3


async def test_k1_a_write_that_misses_starts_the_lookup_and_does_not_wait(autojump_clock, nodes):
    """All attempts of the lookup run beside it; the write is done at once."""
    answer_lookups(nodes, BUSY, BUSY, BUSY)
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        began = trio.current_time()
        await put(client)
        assert trio.current_time() == began
        await trio.sleep(2)
        assert len(lookups(nodes)) == ATTEMPTS
        assert await client.partition_key("users") == "id"
    assert len(lookups(nodes)) == ATTEMPTS


async def test_k1_a_write_is_not_delayed_by_a_lookup_that_hangs(autojump_clock, nodes):
    """However many writes miss while it does."""
    for node in nodes:
        node.fail_next(Late(seconds=5.0), times=ATTEMPTS, operation="DescribeTable")
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        await all_active(client)
        began = trio.current_time()
        for number in range(50):
            await put(client, str(number))
        assert trio.current_time() == began
        assert len(lookups(nodes)) == 1


async def test_k1_retries_of_the_client_do_not_multiply_those_of_the_lookup(autojump_clock, nodes):
    """Ten attempts for an operation, four for a lookup; and the retry quota is the operations'."""
    answer_lookups(nodes, *[BUSY] * ATTEMPTS)
    async with nodes.open_client(retry=RetryPolicy(max_attempts=10)) as client:
        tokens = client.statistics().retry_tokens
        with pytest.raises(ServiceError):
            await client.partition_key("users")
        assert (client.statistics().retries, client.statistics().retry_tokens) == (0, tokens)
    assert len(lookups(nodes)) == ATTEMPTS


async def test_k1_exhaustion_fails_who_waits_and_starts_no_cooldown(autojump_clock, nodes):
    """The last error is the answer; the next who asks starts four more attempts at once."""
    answer_lookups(nodes, *[BUSY] * ATTEMPTS, BUSY)
    async with nodes.open_client() as client:
        with pytest.raises(ServiceError) as caught:
            await client.partition_key("users")
        assert (caught.value.status, caught.value.operation, caught.value.attempts) == (503, "DescribeTable", 1)
        ended = trio.current_time()
        assert await client.partition_key("users") == "id"
    assert times(nodes)[ATTEMPTS] == ended
    assert len(lookups(nodes)) == ATTEMPTS + 2


async def test_k1_a_cluster_that_is_gone_for_a_moment_is_survived(autojump_clock, nodes):
    """Nobody can be reached at first: refused connections are attempts that failed, too."""
    for node in nodes:
        node.refuse()
    async with nodes.open_client() as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.partition_key, "users")
            await trio.sleep(0.2)
            for node in nodes:
                node.accept()
        assert await client.partition_key("users") == "id"
    assert len(lookups(nodes)) == 1


async def test_k1_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled in an attempt or in a pause between two: nothing is left."""

    async def scenario():
        answer_lookups(nodes, BUSY, BUSY, BUSY)
        for node in nodes:
            node.delay = 0.05
        async with nodes.open_client(key_route_affinity=AFFINITY) as client:
            await put(client)
            assert await client.partition_key("users") == "id"

    await cancel_in_the_middle(scenario, nodes, moments=10)


async def keep_asking(client, table, rng):
    while trio.current_time() < 60:
        with trio.move_on_after(rng.choice([0.5, 30.0])), suppress(ServiceError, TransportError, DecodingError):
            assert await client.partition_key(table) == "id"
        await trio.sleep(rng.uniform(0.0, 3.0))


@pytest.mark.parametrize("seed", range(15))
def test_k1_every_table_is_found_at_last(seed):
    """Five nodes fail at random; a table has one lookup at a time, of four attempts at most, and a name at last."""
    rng = random.Random(seed)
    tables = [f"table{number}" for number in range(8)]
    tasks = LookupTasks()

    async def world():
        async with ScriptedNodes(5) as nodes, nodes.open_client(attempt_timeout=2.0, seed=seed) as client:
            for node, _ in itertools.product(nodes, range(12)):
                node.fail_next(rng.choice(FAULTS), operation="DescribeTable")
            async with trio.open_nursery() as nursery:
                for table in tables:
                    nursery.start_soon(keep_asking, client, table, rng)
            for node in nodes:
                node.clear_faults()
            assert [await client.partition_key(table) for table in tables] == ["id"] * 8
            assert client.statistics().crashes == 0
            return [len(lookups(nodes, table)) for table in tables]

    attempts = trio.run(world, clock=MockClock(autojump_threshold=0), instruments=[tasks])
    assert set(tasks.most.values()) == {1}
    assert sum(attempts) > 40
    for table, count in zip(tables, attempts, strict=True):
        assert tasks.begun[table] <= count <= ATTEMPTS * tasks.begun[table]

"""K2: DescribeTable fails for good; whatever asks for the key, the table is left alone for five minutes."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock

from alternator_trio import AlternatorError, DecodingError, KeyRouteAffinity, ServiceError
from alternator_trio.testing import Answer
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scenarios.lookups import COOLDOWN, NOT_FOUND, answer_lookups, lookups, put, refusal, times
from tests.scripted_nodes import Late, ScriptedNodes, answer_json

PERMANENT = {
    "not found": NOT_FOUND,
    "access denied": refusal("AccessDeniedException"),
    "invalid": refusal("ValidationException"),
    "403 of the service": refusal("UnrecognizedClientException", status=403),
    "403 of a proxy": Answer(status=403, body=b"<html>forbidden</html>"),
    "400 in plain text": Answer(status=400, body=b"what?"),
    "404 of another server": Answer(status=404, body=b'{"message": "Not found", "code": 404}'),
    "no hash key": answer_json({"Table": {"KeySchema": [{"AttributeName": "at", "KeyType": "RANGE"}]}}),
}
AFFINITY = KeyRouteAffinity.any_write()
FAILS = pytest.raises((ServiceError, DecodingError))


@pytest.mark.parametrize("answer", PERMANENT.values(), ids=PERMANENT)
async def test_k2_nobody_asks_until_the_cooldown_is_over(autojump_clock, nodes, answer):
    """Writes and callers ask for five minutes in vain and at once; after them one DescribeTable is made, and found."""
    answer_lookups(nodes, answer)
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        with FAILS:
            await client.partition_key("users")
        end = times(nodes)[0] + COOLDOWN
        while trio.current_time() < end:
            asked = trio.current_time()
            await put(client)
            with FAILS:
                await client.partition_key("users")
            assert trio.current_time() == asked
            assert len(lookups(nodes)) == 1
            await trio.sleep(7.9)
        assert [await client.partition_key("users") for _ in range(9)] == ["id"] * 9
    assert len(lookups(nodes)) == 2


async def test_k2_it_is_over_after_five_minutes_and_no_later(autojump_clock, nodes):
    """A write at the end starts a lookup, one just before it does not."""
    answer_lookups(nodes, NOT_FOUND)
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        await put(client)
        await trio.sleep(1)
        end = times(nodes)[0] + COOLDOWN
        for moment in (end - 0.01, end, end + 10):
            await trio.sleep_until(moment)
            await put(client)
        await trio.sleep(1)
    assert times(nodes) == [end - COOLDOWN, end]


async def test_k2_the_error_is_remembered(autojump_clock, nodes):
    """Each who asks gets one of their own, of the same class, with a note that it is an old one."""
    answer_lookups(nodes, NOT_FOUND)
    errors = []
    async with nodes.open_client() as client:
        for _ in range(3):
            with pytest.raises(ServiceError) as caught:
                await client.partition_key("users")
            errors.append(caught.value)
            await trio.sleep(100)
    assert {(type(error).__name__, error.operation, error.message) for error in errors} == {
        ("ResourceNotFoundException", "DescribeTable", "ResourceNotFoundException, really")
    }
    assert [hasattr(error, "__notes__") for error in errors] == [False, True, True]
    assert errors[1] is not errors[2]


async def test_k2_a_permanent_failure_after_transient_ones_counts(autojump_clock, nodes):
    """It ends the lookup, before its four attempts are made."""
    answer_lookups(nodes, Answer(status=503), NOT_FOUND)
    async with nodes.open_client() as client:
        for _ in range(5):
            with FAILS:
                await client.partition_key("users")
    assert len(lookups(nodes)) == 2


async def test_k2_each_cooldown_is_followed_by_one_attempt(autojump_clock, nodes):
    """A table that stays away costs one DescribeTable every five minutes, however many writes there are."""
    answer_lookups(nodes, *[NOT_FOUND] * 1000)
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        while trio.current_time() < 3600:
            await put(client)
            await trio.sleep(10)
    assert len(lookups(nodes)) == 3600 / COOLDOWN


async def test_k2_other_tables_are_looked_up(autojump_clock, nodes):
    """The silence is about one table."""
    answer_lookups(nodes, NOT_FOUND)
    async with nodes.open_client() as client:
        with FAILS:
            await client.partition_key("gone")
        assert await client.partition_key("users") == "id"


async def test_k2_writes_tell_nothing_of_a_table_in_cooldown(autojump_clock, nodes):
    """The resolver is not even woken: its snapshot says that nothing would come of it."""
    answer_lookups(nodes, NOT_FOUND)
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        await put(client)
        await trio.sleep(1)
        told = client._runtime.keys_inbox.statistics().told
        for _ in range(100):
            await put(client)
        assert client._runtime.keys_inbox.statistics().told == told


@pytest.mark.parametrize("operation", ["CreateTable", "DeleteTable"])
async def test_k2_changing_the_table_ends_it(autojump_clock, nodes, operation):
    """The client itself has created or deleted the table and knows better: the next write looks up."""
    answer_lookups(nodes, NOT_FOUND)
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        with FAILS:
            await client.partition_key("users")
        await client.call(operation, {"TableName": "users"})
        await put(client)
        assert await client.partition_key("users") == "id"
    assert len(lookups(nodes)) == 2


async def test_k2_a_table_that_could_not_be_created_stays_silent(autojump_clock, nodes):
    """Only a change that succeeded is one."""
    answer_lookups(nodes, NOT_FOUND)
    nodes[0].fail_next(refusal("LimitExceededException"), operation="CreateTable")
    async with nodes.open_client(nodes[0].url, discovery=False) as client:
        with FAILS:
            await client.partition_key("users")
        with FAILS:
            await client.call("CreateTable", {"TableName": "users"})
        with FAILS:
            await client.partition_key("users")
    assert len(lookups(nodes)) == 1


async def test_k2_clearing_ends_it(autojump_clock, nodes):
    """The table was created by somebody else, and somebody says so."""
    answer_lookups(nodes, NOT_FOUND)
    async with nodes.open_client() as client:
        with FAILS:
            await client.partition_key("users")
        client._runtime.clear_partition_key("users")
        assert await client.partition_key("users") == "id"


async def test_k2_a_new_client_knows_of_no_cooldown(autojump_clock, nodes):
    """It is the client's, not the process's."""
    answer_lookups(nodes, NOT_FOUND)
    async with nodes.open_client() as client:
        with FAILS:
            await client.partition_key("users")
    async with nodes.open_client() as client:
        assert await client.partition_key("users") == "id"


async def test_k2_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled in the lookup, in the cooldown, or in the lookup after it: nothing is left, a cooldown included."""

    async def scenario():
        for node in nodes:
            node.clear_faults()
            node.fail_next(Late(seconds=0.1), operation="DescribeTable")
        answer_lookups(nodes, NOT_FOUND)
        async with nodes.open_client(key_route_affinity=AFFINITY) as client:
            await put(client)
            for _ in range(10):
                with FAILS:
                    await client.partition_key("users")
                await trio.sleep(1)
            await client.create_table(TableName="users")
            assert await client.partition_key("users") == "id"

    await cancel_in_the_middle(scenario, nodes, moments=10)


@pytest.mark.parametrize("seed", range(10))
def test_k2_no_mixture_of_failures_breaks_the_silence(seed):
    """Tables that come and go at random for an hour: after each permanent answer five minutes are free of lookups."""
    rng = random.Random(seed)
    permanent = [answer for answer in PERMANENT.values() if rng.random() < 0.5] or [NOT_FOUND]
    ends = {}

    def respond(request):
        if request.operation != "DescribeTable":
            return answer_json({})
        table = request.body
        assert request.at >= ends.get(table, 0.0)
        answer = rng.choice([*permanent, Answer(status=503)])
        if answer in permanent:
            ends[table] = request.at + COOLDOWN
        return answer

    async def world():
        async with ScriptedNodes(3) as nodes, nodes.open_client(key_route_affinity=AFFINITY, seed=seed) as client:
            nodes.respond = respond
            while trio.current_time() < 3600:
                table = rng.choice(["a", "b", "c"])
                await put(client, table=table)
                if rng.random() < 0.3:
                    with pytest.raises(AlternatorError):
                        await client.partition_key(table)
                await trio.sleep(rng.choice([0.0, 0.1, 5.0, 60.0]))
            assert client.statistics().crashes == 0
            assert len(lookups(nodes)) > 20

    trio.run(world, clock=MockClock(autojump_threshold=0))

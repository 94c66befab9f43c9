"""K3: many tasks need the key of one table at once; one DescribeTable goes over the wire, and all share its result."""

from __future__ import annotations

import collections
import json

import pytest
import trio

from alternator_trio import AlternatorError, KeyRouteAffinity
from alternator_trio.testing import Answer
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scenarios.crowd import TASKS, all_at_once
from tests.scenarios.lookups import ATTEMPTS, NOT_FOUND, answer_lookups, describing, lookups, put
from tests.scripted_nodes import Late, answer_json
from tests.waiting import all_active

AFFINITY = KeyRouteAffinity.any_write()


def slow_lookups(nodes, seconds=0.5):
    for node in nodes:
        node.fail_next(Late(seconds=seconds), times=TASKS, operation="DescribeTable")


def hosts_of(nodes, since=0):
    """The hosts that the writes of each key reached, those after the first ``since`` writes."""
    hosts = collections.defaultdict(set)
    for request in nodes.requests_of("PutItem")[since:]:
        hosts[json.loads(request.body)["Item"]["id"]["S"]].add(request.host)
    return hosts


@pytest.mark.parametrize("seconds", [0.0, 0.5, 5.0])
async def test_k3_who_ask_share_one_lookup(autojump_clock, nodes, tasks, seconds):
    """A thousand tasks ask for the key, however long the answer takes: one DescribeTable, one name for all."""
    slow_lookups(nodes, seconds)
    names = []

    async def ask(number):
        await trio.sleep(seconds * number / TASKS * 0.9)
        names.append(await client.partition_key("users"))

    async with nodes.open_client() as client:
        await all_at_once(ask)
        assert client.statistics().dropped_messages == 0
    assert names == ["id"] * TASKS
    assert (len(lookups(nodes)), tasks.begun) == (1, {"users": 1})


async def test_k3_writes_share_one_lookup(autojump_clock, nodes, tasks):
    """A thousand writes miss the key while it is looked up: one DescribeTable; none waits for it and none fails."""
    slow_lookups(nodes)
    async with nodes.open_client(key_route_affinity=AFFINITY, max_connections_per_node=TASKS) as client:
        await all_active(client)
        began = trio.current_time()
        await all_at_once(lambda number: put(client, str(number)))
        assert trio.current_time() == began
        await trio.sleep(1)
        assert client.statistics().failed == 0
    assert (len(lookups(nodes)), tasks.begun) == (1, {"users": 1})


async def test_k3_writes_have_affinity_afterwards(autojump_clock, nodes):
    """Before the name is known one key goes to all nodes by turns; afterwards to one, and the keys to all of them."""
    slow_lookups(nodes)
    keys = [str(number) for number in range(40)]
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        await all_active(client)
        for _ in range(6):  # the lookup takes one of the turns
            await put(client, "ada")
        assert hosts_of(nodes)["ada"] == set(nodes.listed)
        assert await client.partition_key("users") == "id"
        for key in keys * 3:
            await put(client, key)
    assert len(lookups(nodes)) == 1
    hosts = hosts_of(nodes, since=6)
    assert {len(those) for those in hosts.values()} == {1}
    assert set().union(*hosts.values()) == set(nodes.listed)


async def test_k3_writes_and_who_ask_share_one_lookup(autojump_clock, nodes):
    """Whoever comes first starts it; the others join, whether they wait or not."""
    slow_lookups(nodes)

    async def write_or_ask(number):
        if number % 2:
            await put(client, str(number))
        else:
            assert await client.partition_key("users") == "id"

    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        await all_at_once(write_or_ask)
    assert len(lookups(nodes)) == 1


async def test_k3_each_table_has_one_lookup(autojump_clock, nodes, tasks):
    """Fifty tables, each wanted by twenty tasks: fifty DescribeTables."""
    slow_lookups(nodes)
    async with nodes.open_client() as client:
        await all_at_once(lambda number: client.partition_key(f"table{number % 50}"))
    assert (len(lookups(nodes)), tasks.begun.total(), max(tasks.begun.values())) == (50, 50, 1)


async def test_k3_a_batch_looks_up_each_of_its_tables_once(autojump_clock, nodes):
    """A hundred batches over three tables, of which one is known."""
    put_one = {"PutRequest": {"Item": {"id": {"S": "ada"}}}}
    affinity = KeyRouteAffinity.any_write(partition_keys={"known": "id"})
    slow_lookups(nodes)
    async with nodes.open_client(key_route_affinity=affinity) as client:
        items = {table: [put_one] for table in ("known", "users", "orders")}
        await all_at_once(lambda _: client.batch_write_item(RequestItems=items), 100)
        await trio.sleep(1)
    assert sorted(json.loads(request.body)["TableName"] for request in lookups(nodes)) == ["orders", "users"]


async def test_k3_all_share_the_retries(autojump_clock, nodes):
    """The lookup fails three times: four DescribeTables in all, not four for each."""
    answer_lookups(nodes, *[Answer(status=503)] * (ATTEMPTS - 1))
    async with nodes.open_client() as client:
        await all_at_once(lambda _: client.partition_key("users"))
    assert len(lookups(nodes)) == ATTEMPTS


@pytest.mark.parametrize("answers", [[NOT_FOUND], [Answer(status=503)] * ATTEMPTS], ids=["for good", "for now"])
async def test_k3_all_share_the_failure(autojump_clock, nodes, answers):
    """Each gets an error of their own, of one lookup."""
    answer_lookups(nodes, *answers)
    slow_lookups(nodes, 0.0)
    errors = []

    async def ask(_):
        with pytest.raises(AlternatorError) as caught:
            await client.partition_key("users")
        errors.append(caught.value)

    async with nodes.open_client() as client:
        await all_at_once(ask)
    assert len(lookups(nodes)) == len(answers)
    assert len({id(error) for error in errors}) == TASKS


async def test_k3_given_names_need_no_lookup(autojump_clock, nodes):
    """What the user has said is not asked for; writes have affinity from the first."""
    affinity = KeyRouteAffinity.any_write(partition_keys={"users": "id"})
    async with nodes.open_client(key_route_affinity=affinity) as client:
        await client.refresh()
        assert await client.partition_key("users") == "id"
        await all_at_once(lambda _: put(client, "ada"))
    assert lookups(nodes) == []
    assert len(hosts_of(nodes)["ada"]) == 1


async def test_k3_a_table_made_anew_is_looked_up_once_more(autojump_clock, nodes):
    """This client deletes and creates it under load; the tasks that ask afterwards share one lookup of the new key."""
    answer_lookups(nodes, describing("old"), describing("new"))
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        assert await client.partition_key("users") == "old"
        await client.delete_table(TableName="users")
        await client.create_table(TableName="users")
        names = []

        async def ask(_):
            names.append(await client.partition_key("users"))

        await all_at_once(ask)
    assert names == ["new"] * TASKS
    assert len(lookups(nodes)) == 2


async def test_k3_a_table_made_anew_elsewhere_is_noticed_once(autojump_clock, nodes):
    """A hundred writes that were routed by the old key are refused as invalid: one lookup, and the new key."""
    answer_lookups(nodes, describing("old"), describing("id"))
    invalid = answer_json({"__type": "x#ValidationException", "message": "the table has no such key"}, status=400)
    scripted = nodes.respond

    def respond(request):
        return invalid if request.operation == "PutItem" and b'"old"' in request.body else scripted(request)

    nodes.respond = respond
    slow_lookups(nodes, 0.1)

    async def write_by_the_old_key(_):
        with pytest.raises(AlternatorError):
            await client.put_item(TableName="users", Item={"old": {"S": "ada"}})

    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        assert await client.partition_key("users") == "old"
        await all_at_once(write_by_the_old_key, 100)
        assert await client.partition_key("users") == "id"
        before = len(nodes.requests_of("PutItem"))
        await all_at_once(lambda _: put(client, "ada"), 100)
    assert len(lookups(nodes)) == 2
    assert len(hosts_of(nodes, since=before)["ada"]) == 1


async def test_k3_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled while a crowd waits for one lookup that fails first: nothing is left."""

    async def scenario():
        for node in nodes:
            node.clear_faults()
        slow_lookups(nodes, 0.2)
        answer_lookups(nodes, Answer(status=503))
        async with nodes.open_client(key_route_affinity=AFFINITY, max_connections_per_node=4) as client:
            await all_at_once(lambda number: put(client, str(number)), 50)
            await all_at_once(lambda _: client.partition_key("users"), 100)
            await all_at_once(lambda number: put(client, str(number)), 50)

    await cancel_in_the_middle(scenario, nodes, moments=10)

"""Key route affinity through the whole client: which writes stay together, where they go, and what moves them."""

from __future__ import annotations

import collections
import json

import pytest
import trio

from alternator_trio import IndeterminateWriteError, KeyRouteAffinity, NodeHealth, PoolTimeoutError, RetryPolicy
from alternator_trio.nodes import Node
from alternator_trio.testing import Answer, Reset
from tests.routing.world import all_active, bring_down, host, number_of, order_over, served, settle, states, url
from tests.scripted_nodes import Late, ScriptedNodes, answer_json, respond_by_default

ANY_WRITE = KeyRouteAffinity.any_write(partition_keys={"users": "id"})
RMW = KeyRouteAffinity.rmw(partition_keys={"users": "id"})
KEYS = [f"key {number}" for number in range(40)]
SIZE = 5
SETTLED = {"12345": [2, 1, 4, 3, 5], "ada": [1, 2, 4, 5, 3], "": [5, 4, 3, 2, 1]}


@pytest.fixture
async def five():
    """Five nodes of one datacenter."""
    async with ScriptedNodes(SIZE) as scripted:
        yield scripted


def order_of(value, size=SIZE):
    """The nodes in the order in which every Alternator client tries them for a key."""
    ring = [Node("http", host(number), 8000) for number in range(1, size + 1)]
    return [number_of(node.host) for node in order_over(ring, value)]


def first_of(value, size=SIZE):
    return order_of(value, size)[0]


def key_preferring(*numbers, size=SIZE):
    """A key whose order begins with these nodes."""
    return next(key for key in map(str, range(10**6)) if order_of(key, size)[: len(numbers)] == list(numbers))


async def put(client, key, table="users"):
    return await client.put_item(TableName=table, Item={"id": {"S": key}})


async def update(client, key):
    return await client.update_item(
        TableName="users",
        Key={"id": {"S": key}},
        UpdateExpression="SET n = n + :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def by_key(nodes, *operations):
    """The nodes that the writes of each key reached, in order."""
    ways = collections.defaultdict(list)
    for request in nodes.requests:
        if request.operation in operations:
            body = json.loads(request.body)
            ways[(body.get("Item") or body["Key"])["id"]["S"]].append(number_of(request.host))
    return ways


# Where writes go.


async def test_a_key_goes_to_the_first_node_of_its_order(autojump_clock, five):
    """Each of forty keys, five times, from several tasks: always there, and the keys are spread over all nodes."""
    async with five.open_client(key_route_affinity=ANY_WRITE) as client:
        await client.refresh()
        async with trio.open_nursery() as nursery:
            for key in KEYS * 5:
                nursery.start_soon(put, client, key)
    assert by_key(five, "PutItem") == {key: [first_of(key)] * 5 for key in KEYS}
    assert {first_of(key) for key in KEYS} == {1, 2, 3, 4, 5}


def test_the_order_is_settled():
    """What other clients, and earlier versions of this one, do for these keys; it must never change."""
    assert {key: order_of(key) for key in SETTLED} == SETTLED


async def test_clients_agree(autojump_clock, five):
    """Other seeds, in another order, in other spellings, with other randomness: the same node for the same key."""
    async with five.open_client(url(3), "HTTP://10.0.0.1:8000/", seed=1, key_route_affinity=ANY_WRITE) as one:
        async with five.open_client(*five.seeds, seed=2, key_route_affinity=RMW) as other:
            for client in (one, other):
                await client.refresh()
                for key in KEYS:
                    await update(client, key)
    assert by_key(five, "UpdateItem") == {key: [first_of(key)] * 2 for key in KEYS}


async def test_reads_take_turns(autojump_clock, five):
    """A read of a key is not for its node alone, whatever the mode."""
    async with five.open_client(key_route_affinity=ANY_WRITE) as client:
        await client.refresh()
        for operation in ("GetItem", "Query", "Scan"):
            for _ in range(10):
                await client.call(operation, {"TableName": "users", "Key": {"id": {"S": "ada"}}})
            assert sorted(served(five, operation)) == sorted([1, 2, 3, 4, 5] * 2)


async def test_writes_that_do_not_qualify_take_turns(autojump_clock, five):
    """In mode rmw a plain put does; one with a condition does not."""
    async with five.open_client(key_route_affinity=RMW) as client:
        await client.refresh()
        for _ in range(10):
            await put(client, "ada")
        assert sorted(served(five, "PutItem")) == sorted([1, 2, 3, 4, 5] * 2)
        del five.requests[:]
        for _ in range(10):
            await client.put_item(
                TableName="users", Item={"id": {"S": "ada"}}, ConditionExpression="attribute_not_exists(id)"
            )
        assert served(five, "PutItem") == [first_of("ada")] * 10


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("PutItem", {"Item": {"id": {"S": "ada"}}, "ReturnValues": "ALL_OLD"}),
        ("DeleteItem", {"Key": {"id": {"S": "ada"}}, "Expected": {"id": {"Exists": True}}}),
        ("UpdateItem", {"Key": {"id": {"S": "ada"}}, "UpdateExpression": "REMOVE n"}),
        (
            "UpdateItem",
            {"Key": {"id": {"S": "ada"}}, "AttributeUpdates": {"n": {"Action": "ADD", "Value": {"N": "1"}}}},
        ),
    ],
    ids=["put", "delete", "update", "legacy update"],
)
async def test_every_write_that_reads_first_has_affinity(autojump_clock, five, operation, parameters):
    """Also with the legacy parameters."""
    async with five.open_client(key_route_affinity=RMW) as client:
        await client.refresh()
        for _ in range(3):
            await client.call(operation, {"TableName": "users", **parameters})
    assert served(five, operation) == [first_of("ada")] * 3


async def test_without_affinity_nothing_stays_together(autojump_clock, five):
    """It is off by default, and nothing is looked up."""
    async with five.open_client() as client:
        await client.refresh()
        for _ in range(10):
            await update(client, "ada")
    assert sorted(served(five, "UpdateItem")) == sorted([1, 2, 3, 4, 5] * 2)
    assert served(five, "DescribeTable") == []


async def test_it_needs_no_discovery(autojump_clock, five):
    """The given endpoints are the ring then."""
    async with five.open_client(discovery=False, key_route_affinity=ANY_WRITE) as client:
        for key in KEYS:
            await put(client, key)
    assert by_key(five, "PutItem") == {key: [first_of(key)] for key in KEYS}


@pytest.mark.parametrize("value", [{"N": "1"}, {"N": "1.0"}, {"N": "1E0"}, {"N": "-0"}], ids=str)
async def test_numbers_hash_as_they_go_on_the_wire(autojump_clock, five, value):
    """The string that is sent, digit by digit: the client changes neither it nor the node."""
    async with five.open_client(key_route_affinity=ANY_WRITE) as client:
        await client.refresh()
        await client.put_item(TableName="users", Item={"id": value})
    (request,) = five.requests_of("PutItem")
    assert json.loads(request.body)["Item"] == {"id": value}
    assert number_of(request.host) == first_of(value)


async def test_binary_keys_hash_by_their_bytes(autojump_clock, five):
    """As bytes or in base64."""
    async with five.open_client(key_route_affinity=ANY_WRITE) as client:
        await client.refresh()
        for value in (b"\x00\xff", bytearray(b"\x00\xff"), "AP8="):
            await client.put_item(TableName="users", Item={"id": {"B": value}})
    assert served(five, "PutItem") == [first_of({"B": b"\x00\xff"})] * 3


# What moves them.


async def test_a_node_that_is_down_is_skipped_and_moves_nobody_else(autojump_clock, five):
    """Its keys go to the next node of their own order, the others stay; when it is back all is as before."""
    async with five.open_client(key_route_affinity=ANY_WRITE, node_health=NodeHealth()) as client:
        await all_active(client)
        await bring_down(five, client, 2)
        del five.requests[:]
        for key in KEYS:
            await put(client, key)
        expected = {key: [next(number for number in order_of(key) if number != 2)] for key in KEYS}
        assert by_key(five, "PutItem") == expected
        five[host(2)].accept()
        await trio.sleep(2)
        del five.requests[:]
        for key in KEYS:
            await put(client, key)
        assert by_key(five, "PutItem") == {key: [first_of(key)] for key in KEYS}


async def test_a_node_in_quarantine_is_skipped_for_an_active_one(autojump_clock, five):
    """It is new and answers no probe: its keys wait with their next node."""
    five[host(2)].fail_next(Answer(status=500), times=10**6, operation="localnodes")
    async with five.open_client(url(1), key_route_affinity=ANY_WRITE, node_health=NodeHealth()) as client:
        await client.refresh()
        await settle()
        assert states(client)[2] == "QUARANTINED"
        for key in KEYS:
            await put(client, key)
    assert by_key(five, "PutItem") == {key: [next(n for n in order_of(key) if n != 2)] for key in KEYS}


async def test_in_a_ring_in_quarantine_the_order_is_the_same(autojump_clock, five):
    """Nobody has answered discovery: the seeds are the ring, in quarantine, and each key has its node."""
    for node in five:
        node.fail_next(Answer(status=500), times=10**6, operation="localnodes")
    async with five.open_client(key_route_affinity=ANY_WRITE, node_health=NodeHealth()) as client:
        for key in KEYS[:9]:
            await put(client, key)
        assert set(states(client).values()) == {"QUARANTINED"}
    assert by_key(five, "PutItem") == {key: [first_of(key)] for key in KEYS[:9]}


async def test_another_ring_is_another_order(autojump_clock, five):
    """A node leaves the list: each key has its place in the order of the smaller ring."""
    async with five.open_client(key_route_affinity=ANY_WRITE) as client:
        five.listed.remove(host(5))
        await client.refresh()
        for key in KEYS:
            await put(client, key)
    assert by_key(five, "PutItem") == {key: [first_of(key, 4)] for key in KEYS}


# Connections.


async def test_it_waits_for_a_connection_to_its_node(autojump_clock, five):
    """Five writes of one key, one connection per node: one after the other, all at its node; reads pass it over."""
    node = five[host(first_of("ada"))]
    node.fail_next(Late(seconds=1.0), times=5, operation="PutItem")
    async with five.open_client(key_route_affinity=ANY_WRITE, max_connections_per_node=1) as client:
        await client.refresh()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(put, client, "ada")
            await settle()
            for _ in range(8):
                await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
            assert trio.current_time() < 0.5
        assert trio.current_time() == pytest.approx(5.0)
    assert served(five, "PutItem") == [first_of("ada")] * 5
    assert first_of("ada") not in served(five)


async def test_a_connection_that_does_not_come_is_an_error(autojump_clock, five):
    """It names the node, nothing was sent, and no other node got the write."""
    five[host(first_of("ada"))].fail_next(Late(seconds=5.0), operation="PutItem")
    options = {"max_connections_per_node": 1, "acquire_timeout": 0.5}
    async with five.open_client(key_route_affinity=ANY_WRITE, **options) as client, trio.open_nursery() as nursery:
        await client.refresh()
        nursery.start_soon(put, client, "ada")
        await settle()
        with pytest.raises(PoolTimeoutError) as caught:
            await put(client, "ada")
        assert caught.value.node == url(first_of("ada"))
        assert not caught.value.may_have_happened
    assert len(served(five, "PutItem")) == 1


# Keys that are not known.


async def test_a_write_that_misses_the_key_is_not_delayed(autojump_clock, five):
    """The first goes by an ordinary plan while the key is looked up, once; later ones go to their node."""
    for node in five:
        node.fail_next(Late(seconds=1.0), operation="DescribeTable")
    async with five.open_client(key_route_affinity=KeyRouteAffinity.any_write()) as client:
        await client.refresh()
        for _ in range(5):
            await put(client, "ada")
        assert trio.current_time() == pytest.approx(0)
        assert len(set(served(five, "PutItem"))) >= 4  # by turns, of which the lookup took one
        await trio.sleep(1.1)
        del five.requests[:]
        for _ in range(5):
            await put(client, "ada")
    assert served(five, "PutItem") == [first_of("ada")] * 5
    assert served(five, "DescribeTable") == []


@pytest.mark.parametrize("change", ["DeleteTable", "CreateTable"])
async def test_a_table_that_this_client_changes_is_looked_up_again(autojump_clock, five, change):
    """Created anew with another key: the next write misses, and those after it go by the new key."""
    name = "id"

    def respond(request):
        if request.operation != "DescribeTable":
            return respond_by_default(request)
        return answer_json({"Table": {"KeySchema": [{"AttributeName": name, "KeyType": "HASH"}]}})

    five.respond = respond
    item = {"id": {"S": key_preferring(1)}, "mail": {"S": key_preferring(4)}}
    async with five.open_client(key_route_affinity=KeyRouteAffinity.any_write()) as client:
        await client.refresh()
        assert await client.partition_key("users") == "id"
        await client.put_item(TableName="users", Item=item)
        name = "mail"
        await client.call(change, {"TableName": "users"})
        await settle()
        await client.put_item(TableName="users", Item=item)
        await settle()
        for _ in range(3):
            await client.put_item(TableName="users", Item=item)
    writes = served(five, "PutItem")
    assert (writes[0], writes[2:]) == (1, [4, 4, 4])
    assert len(served(five, "DescribeTable")) == 2


# Batches.


def batch(*keys, table="users"):
    entries = [{"PutRequest": {"Item": {"id": {"S": key}}}} for key in keys]
    return {"RequestItems": {table: entries}}


async def test_a_batch_goes_where_most_of_its_keys_go(autojump_clock, five):
    """Three entries for one node, two for another, one for a third; deletes vote as puts do."""
    entries = [
        *batch(*[key_preferring(4)] * 2, key_preferring(2), key_preferring(2), key_preferring(5))["RequestItems"][
            "users"
        ],
        {"DeleteRequest": {"Key": {"id": {"S": key_preferring(4)}}}},
    ]
    async with five.open_client(key_route_affinity=ANY_WRITE) as client:
        await client.refresh()
        for _ in range(4):
            await client.batch_write_item(RequestItems={"users": entries})
    assert served(five, "BatchWriteItem") == [4] * 4


async def test_equal_votes_go_by_the_endpoint(autojump_clock, five):
    """The smaller canonical endpoint comes first; then the nodes without a vote, as the ring is sorted."""
    for node in five:
        node.fail_next(Reset(), times=10**6, operation="BatchWriteItem")
    async with five.open_client(key_route_affinity=ANY_WRITE, retry=RetryPolicy(max_attempts=5)) as client:
        await client.refresh()
        with pytest.raises(Exception, match="5 attempts"):
            await client.batch_write_item(**batch(key_preferring(5), key_preferring(3)))
    assert served(five, "BatchWriteItem") == [3, 5, 1, 2, 4]


async def test_a_batch_is_retried_in_the_order_of_its_votes(autojump_clock, five):
    """The node with the most votes fails: the second most is next."""
    five[host(4)].fail_next(Reset(), operation="BatchWriteItem")
    async with five.open_client(key_route_affinity=ANY_WRITE) as client:
        await client.refresh()
        await client.batch_write_item(**batch(*[key_preferring(4)] * 3, *[key_preferring(2)] * 2, key_preferring(1)))
    assert served(five, "BatchWriteItem") == [4, 2]


async def test_in_mode_rmw_batches_take_turns(autojump_clock, five):
    """A batch reads nothing."""
    async with five.open_client(key_route_affinity=RMW) as client:
        await client.refresh()
        for _ in range(5):
            await client.batch_write_item(**batch("ada"))
    assert sorted(served(five, "BatchWriteItem")) == [1, 2, 3, 4, 5]


async def test_a_batch_over_tables_votes_by_those_that_are_known(autojump_clock, five):
    """The other table has no vote yet, and is looked up meanwhile; from then on it has."""
    items = {
        **batch(key_preferring(2))["RequestItems"],
        **batch(*[key_preferring(5)] * 2, table="orders")["RequestItems"],
    }
    async with five.open_client(key_route_affinity=ANY_WRITE) as client:
        await client.refresh()
        await client.batch_write_item(RequestItems=items)
        await settle()
        await client.batch_write_item(RequestItems=items)
    assert served(five, "BatchWriteItem") == [2, 5]
    assert len(served(five, "DescribeTable")) == 1


# A write that may not be repeated.


async def test_a_write_that_may_not_be_repeated_ends_at_its_node(autojump_clock, five):
    """Affinity changes nothing about what is safe: an increment of unknown outcome goes nowhere else."""
    five[host(first_of("ada"))].fail_next(Reset(executed=True), operation="UpdateItem")
    async with five.open_client(key_route_affinity=RMW) as client:
        await client.refresh()
        with pytest.raises(IndeterminateWriteError) as caught:
            await update(client, "ada")
        assert caught.value.node == url(first_of("ada"))
    assert len(served(five, "UpdateItem")) == 1

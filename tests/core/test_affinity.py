"""Key route affinity: which writes have it, and what they are routed by. The published hashes are in test_vectors."""

from __future__ import annotations

import enum
import json
import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.affinity import (
    Batch,
    Keyed,
    KeyMissing,
    NotAffine,
    batch_order,
    key_hash,
    qualifies,
    route,
    table_of,
    tables_of_batch,
)
from alternator_trio._core.health import NodeState
from alternator_trio._core.query_plan import seeded_order, seeded_plan
from alternator_trio._wire.json_body import encode_object
from alternator_trio.nodes import Node
from alternator_trio.routing import AffinityMode

RMW, ANY_WRITE = AffinityMode.RMW, AffinityMode.ANY_WRITE
NAMES = {"users": "id", "logs": "day"}
ADA = {"id": {"S": "ada"}}
ADAS_HASH = key_hash(ADA["id"])

READ_FIRST = [
    *(
        (operation, parameters)
        for operation in ("PutItem", "DeleteItem")
        for parameters in (
            {"ConditionExpression": "attribute_exists(id)"},
            {"Expected": {"id": {"Exists": False}}},
            {"ReturnValues": "ALL_OLD"},
            {"ReturnValues": "UPDATED_OLD"},
            {"ReturnValues": "ALL_NEW"},
            {"ReturnValues": "NONE", "ConditionExpression": "attribute_exists(id)"},
        )
    ),
    ("UpdateItem", {"UpdateExpression": "SET a = :v"}),
    ("UpdateItem", {"ConditionExpression": "a = :v"}),
    ("UpdateItem", {"Expected": {"a": {"Value": {"N": "1"}}}}),
    ("UpdateItem", {"ReturnValues": "ALL_OLD"}),
    ("UpdateItem", {"ReturnValues": "UPDATED_OLD"}),
    ("UpdateItem", {"ReturnValues": "ALL_NEW"}),
    ("UpdateItem", {"AttributeUpdates": {"n": {"Action": "ADD", "Value": {"N": "1"}}}}),
    ("UpdateItem", {"AttributeUpdates": {"n": {"Action": "DELETE", "Value": {"SS": ["x"]}}}}),
    ("UpdateItem", {"AttributeUpdates": {"a": {"Action": "PUT"}, "n": {"Action": "ADD", "Value": {"N": "1"}}}}),
]

WRITTEN_BLINDLY = [
    *(
        (operation, parameters)
        for operation in ("PutItem", "DeleteItem", "UpdateItem")
        for parameters in (
            {},
            {"ConditionExpression": "", "Expected": {}},
            {"ConditionExpression": None, "Expected": None, "ReturnValues": None},
            {"ReturnValues": "NONE"},
        )
    ),
    ("UpdateItem", {"UpdateExpression": ""}),
    ("UpdateItem", {"ReturnValues": "UPDATED_NEW"}),
    ("UpdateItem", {"AttributeUpdates": {}}),
    ("UpdateItem", {"AttributeUpdates": {"a": {"Action": "PUT", "Value": {"N": "1"}}}}),
    ("UpdateItem", {"AttributeUpdates": {"a": {"Value": {"N": "1"}}}}),
    ("UpdateItem", {"AttributeUpdates": {"a": {"Action": "DELETE"}}}),
    ("UpdateItem", {"AttributeUpdates": {"a": {"Action": "DELETE", "Value": None}}}),
    ("UpdateItem", {"AttributeUpdates": [{"Action": "ADD"}]}),
    ("UpdateItem", {"AttributeUpdates": {"a": "ADD"}}),
    ("UpdateItem", {"ReturnValues": ["ALL_OLD"]}),
]

# Whatever they carry.
OTHERS = ["GetItem", "Query", "Scan", "BatchGetItem", "TransactWriteItems", "CreateTable", "ExecuteStatement"]
LOADED = {"TableName": "users", "Key": ADA, "Item": ADA, "ConditionExpression": "c", "UpdateExpression": "SET a = :v"}


@pytest.mark.parametrize(("operation", "parameters"), READ_FIRST)
def test_rmw_takes_writes_that_read_first(operation, parameters):
    """A condition, an update expression, a legacy addition, or an old value to return."""
    assert qualifies(RMW, operation, parameters)


@pytest.mark.parametrize(("operation", "parameters"), WRITTEN_BLINDLY)
def test_rmw_leaves_writes_that_do_not_read(operation, parameters):
    """They cost no more on another coordinator."""
    assert not qualifies(RMW, operation, parameters)


@pytest.mark.parametrize(("operation", "parameters"), READ_FIRST + WRITTEN_BLINDLY)
def test_any_write_takes_every_write(operation, parameters):
    """Of one item, whatever it is conditional on."""
    assert qualifies(ANY_WRITE, operation, parameters)


def test_batches_have_affinity_as_writes_only():
    """A batch never reads first."""
    assert qualifies(ANY_WRITE, "BatchWriteItem", {})
    assert not qualifies(RMW, "BatchWriteItem", LOADED)


@pytest.mark.parametrize("mode", AffinityMode)
@pytest.mark.parametrize("operation", OTHERS)
def test_no_other_operation_has_affinity(mode, operation):
    """Reads can go anywhere, and what spans items or has no key has no place to go."""
    assert not qualifies(mode, operation, LOADED)
    assert isinstance(route(mode, operation, LOADED, NAMES), NotAffine)


@pytest.mark.parametrize(("operation", "holder"), [("PutItem", "Item"), ("UpdateItem", "Key"), ("DeleteItem", "Key")])
def test_a_write_of_one_item_is_routed_by_its_partition_key(operation, holder):
    """The other attributes of the key and of the item do not matter."""
    for more in ({}, {"sort": {"N": "1"}}, {"sort": {"N": "2"}}):
        parameters = {"TableName": "users", holder: {**more, **ADA}}
        assert route(ANY_WRITE, operation, parameters, NAMES) == Keyed(ADAS_HASH, "users")


def test_a_table_whose_key_is_not_known_is_to_be_looked_up():
    """Only by writes that would be routed by it; the name is passed on as given, an ARN too."""
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/users"
    parameters = {"TableName": arn, "Item": ADA}
    assert route(ANY_WRITE, "PutItem", parameters, NAMES) == KeyMissing((arn,))
    assert isinstance(route(RMW, "PutItem", parameters, NAMES), NotAffine)
    assert route(ANY_WRITE, "PutItem", parameters, {arn: "id"}) == Keyed(ADAS_HASH, arn)


@pytest.mark.parametrize(
    "parameters",
    [
        {"Item": ADA},
        {"TableName": "", "Item": ADA},
        {"TableName": 7, "Item": ADA},
        {"TableName": "users"},
        {"TableName": "users", "Item": None},
        {"TableName": "users", "Item": ["id"]},
        {"TableName": "users", "Item": {"name": {"S": "ada"}}},
        {"TableName": "users", "Item": {"id": "ada"}},
        {"TableName": "users", "Item": {"id": {}}},
        {"TableName": "users", "Item": {"id": {"S": "ada", "N": "1"}}},
        {"TableName": "users", "Item": {"id": {"BOOL": True}}},
        {"TableName": "users", "Item": {"id": {"SS": ["ada"]}}},
    ],
)
def test_a_write_without_a_usable_key_has_no_affinity(parameters):
    """What is wrong with it is for the server to say."""
    assert isinstance(route(ANY_WRITE, "PutItem", parameters, NAMES), NotAffine)


@pytest.mark.parametrize("item", [{"uid": {"S": "ada"}}, {"id": None}, {}])
def test_a_key_that_is_not_in_the_request_casts_doubt_on_its_name(item):
    """Perhaps the table was created anew with another key: the name is worth looking up again."""
    doubted = route(ANY_WRITE, "PutItem", {"TableName": "users", "Item": item}, NAMES)
    assert isinstance(doubted, NotAffine)
    assert doubted.doubted == "users"


def test_a_key_of_another_type_casts_no_doubt():
    """The name is there; what is wrong is the value."""
    plain = route(ANY_WRITE, "PutItem", {"TableName": "users", "Item": {"id": {"BOOL": True}}}, NAMES)
    assert isinstance(plain, NotAffine)
    assert plain.doubted is None


class Colour(enum.Enum):
    RED = "red"
    ONE = 1


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"S": b"bytes"},
        {"S": 7},
        {"S": Colour.ONE},
        {"S": "\ud800"},
        {"N": 42},
        {"N": None},
        {"B": "not base64!"},
        {"B": "über"},
        {"B": "AQI"},
        {"B": 7},
        {"NULL": True},
        {"L": []},
        {"M": {}},
        {"NS": ["1"]},
        {"S": "a", "N": "1"},
    ],
)
def test_what_is_no_key_value_has_no_hash(value):
    """Another type, another shape, or text that cannot go onto the wire."""
    assert key_hash(value) is None


def test_numbers_hash_as_they_are_written():
    """Equal numbers in two spellings are two keys to the hash: who writes them writes one canonical form."""
    assert len({key_hash({"N": text}) for text in ("1", "1.0", "1E0", "01")}) == 4


@pytest.mark.parametrize("content", [uuid.UUID(int=7), Colour.RED])
def test_what_is_written_as_text_hashes_as_that_text(content):
    """A UUID's or an enum's key belongs to the same coordinator as its text's."""
    (text,) = json.loads(encode_object({"S": content})).values()
    assert key_hash({"S": content}) == key_hash({"S": text})


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_binary_keys_hash_alike_in_any_container(kind):
    """What goes onto the wire is the same."""
    assert key_hash({"B": kind(b"\xff\x80\x00")}) == key_hash({"B": "/4AA"})


def put(item):
    return {"PutRequest": {"Item": item}}


def delete(key):
    return {"DeleteRequest": {"Key": key}}


def batch(**tables):
    return {"RequestItems": tables}


def test_each_entry_of_a_batch_votes():
    """Puts and deletes alike, over all tables whose key is known."""
    parameters = batch(users=[put(ADA), delete(ADA)], logs=[put({"day": {"N": "1"}, **ADA})])
    votes = (ADAS_HASH, ADAS_HASH, key_hash({"N": "1"}))
    assert route(ANY_WRITE, "BatchWriteItem", parameters, NAMES) == Batch(votes)


def test_a_batch_looks_up_the_tables_that_cannot_vote():
    """The others vote meanwhile; without any vote the batch is an ordinary request."""
    parameters = batch(users=[put(ADA)], visits=[put(ADA)], empty=[])
    assert route(ANY_WRITE, "BatchWriteItem", parameters, NAMES) == Batch((ADAS_HASH,), ("visits",))
    assert route(ANY_WRITE, "BatchWriteItem", parameters, {}) == KeyMissing(("users", "visits"))


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {**put(ADA), **delete(ADA)},
        put({"name": {"S": "ada"}}),
        put({"id": {"BOOL": True}}),
        {"PutRequest": {}},
        {"PutRequest": None},
        {"PutRequest": [ADA]},
        {"DeleteRequest": {"Item": ADA}},
        {"UpdateRequest": {"Key": ADA}},
        "PutRequest",
    ],
)
def test_an_entry_that_is_no_put_or_delete_has_no_vote(entry):
    """Nor one of both kinds, nor one without a usable key; the other entries vote all the same."""
    assert isinstance(route(ANY_WRITE, "BatchWriteItem", batch(users=[entry]), NAMES), NotAffine)
    assert route(ANY_WRITE, "BatchWriteItem", batch(users=[entry, put(ADA)]), NAMES) == Batch((ADAS_HASH,))


@pytest.mark.parametrize("entry", [{}, {**put(ADA), **delete(ADA)}, {"PutRequest": {}}, "PutRequest"])
def test_a_table_without_a_put_or_delete_is_not_looked_up(entry):
    """Whatever its key is, none of its entries would vote."""
    assert isinstance(route(ANY_WRITE, "BatchWriteItem", batch(users=[entry]), {}), NotAffine)


def test_an_entry_with_an_empty_other_kind_is_of_one_kind():
    """A member that is null is not there."""
    entry = {**put(ADA), "DeleteRequest": None}
    assert route(ANY_WRITE, "BatchWriteItem", batch(users=[entry]), NAMES) == Batch((ADAS_HASH,))


@pytest.mark.parametrize(
    "items", [None, [], {}, {"users": None}, {"users": "PutRequest"}, {"users": {"PutRequest": {}}}]
)
def test_a_batch_of_another_shape_has_no_votes(items):
    """It is sent as it is."""
    assert isinstance(route(ANY_WRITE, "BatchWriteItem", {"RequestItems": items}, NAMES), NotAffine)


def test_the_tables_of_a_request():
    """Whose keys are worth knowing: of a write of one item, and of a batch."""
    assert table_of("PutItem", {"TableName": "users"}) == "users"
    assert table_of("GetItem", {"TableName": "users"}) is None
    assert tables_of_batch(batch(users=[put(ADA)], logs=[delete(ADA)], empty=[])) == ("users", "logs")


def ring_of(size):
    return tuple(sorted(Node("http", f"10.0.0.{number}", 8000) for number in range(1, size + 1)))


@given(st.integers(1, 12), st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30), st.randoms())
def test_a_batch_prefers_the_nodes_with_the_most_votes(size, votes, rng):
    """A vote is for the first node of its plan; more votes first, then the smaller endpoint, in any order of them."""
    ring = ring_of(size)
    firsts = [seeded_plan(ring, vote, lambda _: NodeState.ACTIVE).next_node() for vote in votes]
    expected = sorted(set(firsts), key=lambda node: (-firsts.count(node), node.endpoint))
    assert list(batch_order(votes, ring)) == expected
    assert list(batch_order(rng.sample(votes, len(votes)), ring)) == expected


def test_equal_votes_go_by_the_endpoint():
    """Of nodes with as many votes, the one whose endpoint sorts first."""
    ring = ring_of(5)
    one_each = {next(seeded_order(range(5), seed)): seed for seed in range(100)}
    votes = list(one_each.values())
    random.Random(1).shuffle(votes)
    assert batch_order(votes, ring) == ring

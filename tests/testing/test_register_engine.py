"""The register engine against the embedded cluster's: the same answers to what both know, and no guess at the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio.testing import MinistackEngine, RegisterEngine

TABLE = {
    "TableName": "items",
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "p", "AttributeType": "S"},
        {"AttributeName": "s", "AttributeType": "N"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
KEY = {"p": {"S": "a"}, "s": {"N": "1"}}
NUMBERS = st.integers(-20, 120).map(lambda number: {"N": str(number)})
VALUES = NUMBERS | st.sampled_from([{"S": ""}, {"S": "x"}, {"BOOL": True}, {"NULL": True}, {"L": [{"S": "x"}]}])
ATTRIBUTES = st.fixed_dictionaries(
    {}, optional={"v": NUMBERS, "w": VALUES}
)  # ministack adds 1 to whatever is no number
CONDITIONS = st.sampled_from(
    [
        "attribute_exists(p)",
        "attribute_not_exists( v )",
        "#w <> :old",
        "v = :old AND attribute_exists(#w)",
        "v > :zero AND v <= :old",
        "v >= :zero",
        "#w < :old",
    ]
)
UPDATES = st.sampled_from(
    [
        "SET v = :new",
        "SET v = if_not_exists(v, :new), #w = :old",
        "SET #w = v + :one",
        "SET v = v - :one REMOVE #w",
        "REMOVE v, #w",
        "ADD v :one",
        "ADD v :one, #w :one",
    ]
)


@st.composite
def _requests(draw):
    """One request that both engines know."""
    key = {"p": {"S": draw(st.sampled_from("ab"))}, "s": {"N": draw(st.sampled_from(["1", "9", "10"]))}}
    operation = draw(
        st.sampled_from(["PutItem", "PutItem", "UpdateItem", "UpdateItem", "DeleteItem", "GetItem", "Query"])
    )
    if operation == "GetItem":
        return operation, {"TableName": "items", "Key": key, "ConsistentRead": draw(st.booleans())}
    if operation == "Query":
        values = {"ExpressionAttributeValues": {":p": key["p"]}}
        return operation, {"TableName": "items", "KeyConditionExpression": "p = :p", **values}
    texts, request = [], {"TableName": "items"}
    if operation == "PutItem":
        request["Item"] = {**key, **draw(ATTRIBUTES)}
    else:
        request["Key"] = key
    if operation == "UpdateItem" and draw(st.booleans()):
        texts.append(request.setdefault("UpdateExpression", draw(UPDATES)))
    if draw(st.booleans()):
        texts.append(request.setdefault("ConditionExpression", draw(CONDITIONS)))
    text = " ".join(texts)
    values = {":new": draw(NUMBERS), ":old": draw(NUMBERS), ":zero": {"N": "0"}, ":one": {"N": "1"}}
    used = {name: value for name, value in values.items() if name in text}
    if used:
        request["ExpressionAttributeValues"] = used
    if "#w" in text:
        request["ExpressionAttributeNames"] = {"#w": "w"}
    returned = ["NONE", "ALL_OLD"] + ["ALL_NEW"] * (operation == "UpdateItem")
    return operation, {**request, "ReturnValues": draw(st.sampled_from(returned))}


def _answers(engine, requests) -> list[tuple[int, Mapping[str, object]]]:
    """What an engine answers, in the parts that both have."""

    async def main():
        answers = []
        for operation, request in [("CreateTable", TABLE), *requests]:
            status, body = await engine.execute(operation, json.dumps(request).encode())
            answer = json.loads(body)
            if status != 200:
                answer = {"__type": answer["__type"].rpartition("#")[2]}
            answer.pop("TableDescription", None)
            answers.append((status, answer))
        await engine.aclose()
        return answers

    return trio.run(main)


def _store() -> RegisterEngine:
    ticks = iter(range(1, 1_000_000))
    return RegisterEngine().at("n1", lambda: float(next(ticks)))


@given(st.lists(_requests(), min_size=1, max_size=12))
def test_both_engines_answer_alike(requests):
    """Items, conditions, updates, what is returned, the order of a Query, and the kind of each error."""
    assert _answers(_store(), requests) == _answers(MinistackEngine(), requests)


PUT = {"TableName": "items", "Item": {**KEY, "v": {"N": "1"}, "l": {"L": [{"N": "1"}]}}}
ITEM = {"TableName": "items", "Key": KEY}
VALUE = {"ExpressionAttributeValues": {":v": {"N": "2"}}}
SET = {"ExpressionAttributeValues": {":v": {"SS": ["x"]}}}
LIST = {"ExpressionAttributeValues": {":v": {"L": [{"N": "1.0"}]}}}
QUERY = {"TableName": "items", "ExpressionAttributeValues": {":v": {"S": "a"}}}


async def _refusal(operation, request) -> str:
    """What the engine says to a request that it refuses; it has changed nothing."""
    store = _store()
    for each, given_ in [("CreateTable", TABLE), ("PutItem", PUT), (operation, request)]:
        status, body = await store.execute(each, json.dumps(given_).encode())
    refusal = json.loads(body)
    assert (status, refusal["__type"]) == (400, "ValidationException")
    status, body = await store.execute("Scan", b'{"TableName": "items"}')
    assert json.loads(body)["Items"] == [PUT["Item"]]
    return refusal["message"]


@pytest.mark.parametrize(
    ("operation", "request_", "named"),
    [
        ("TransactWriteItems", {}, "TransactWriteItems"),
        ("Scan", {"TableName": "items", "Limit": 1}, "Limit of Scan"),
        ("Scan", {"TableName": "items", "FilterExpression": "v = :v", **VALUE}, "FilterExpression of Scan"),
        ("GetItem", {**ITEM, "ProjectionExpression": "v"}, "ProjectionExpression of GetItem"),
        (
            "BatchGetItem",
            {"RequestItems": {"items": {"Keys": [KEY], "ProjectionExpression": "v"}}},
            "ProjectionExpression of BatchGetItem",
        ),
        ("PutItem", {**PUT, "Expected": {}}, "Expected of PutItem"),
        ("PutItem", {**PUT, "ReturnValues": "ALL_NEW"}, "ReturnValues=ALL_NEW of PutItem"),
        ("UpdateItem", {**ITEM, "ReturnValues": "UPDATED_NEW"}, "ReturnValues=UPDATED_NEW of UpdateItem"),
        ("UpdateItem", {**ITEM, "UpdateExpression": "DELETE v :v", **VALUE}, "the clause DELETE"),
        ("UpdateItem", {**ITEM, "UpdateExpression": "SET v.w = :v", **VALUE}, "the path 'v.w'"),
        (
            "UpdateItem",
            {**ITEM, "UpdateExpression": "SET l = list_append(l, :v)", **LIST},
            "the operand 'list_append(l, :v)'",
        ),
        ("UpdateItem", {**ITEM, "UpdateExpression": "ADD s :v", **SET}, "how to add to values of the type SS"),
        (
            "DeleteItem",
            {**ITEM, "ConditionExpression": "v = :v OR v <> :v", **VALUE},
            "the condition 'v = :v OR v <> :v'",
        ),
        ("DeleteItem", {**ITEM, "ConditionExpression": "l = :v", **LIST}, "how to compare values of the type L"),
        ("DeleteItem", {**ITEM, "ConditionExpression": "l < :v", **LIST}, "the order of values of the type L"),
        (
            "Query",
            {**QUERY, "KeyConditionExpression": "p = :v AND s = :v"},
            "the condition on a key 'p = :v AND s = :v'",
        ),
        ("Query", {**QUERY, "KeyConditionExpression": "p > :v"}, "the condition on a key 'p > :v'"),
        (
            "CreateTable",
            {**TABLE, "TableName": "u", "GlobalSecondaryIndexes": []},
            "GlobalSecondaryIndexes of CreateTable",
        ),
    ],
)
async def test_what_is_beyond_the_engine_is_refused_by_name(operation, request_, named):
    """A simulation shows what a server does, or says that it cannot: whose the fault is, and what may do better."""
    refusal = await _refusal(operation, request_)
    assert refusal == f"RegisterEngine does not know {named}; MinistackEngine, the default, may"


@pytest.mark.parametrize(
    ("operation", "request_", "named"),
    [
        ("GetItem", {"TableName": "items"}, "'Key' is missing"),
        ("BatchWriteItem", {"RequestItems": {"items": [{"UpdateRequest": {}}]}}, "UpdateRequest is no write"),
        ("GetItem", {"TableName": "items", "Key": {"p": {"S": "a"}}}, "the key of the table"),
        ("GetItem", {"TableName": "items", "Key": {**KEY, "v": {"N": "1"}}}, "the key of the table"),
        ("PutItem", {"TableName": "items", "Item": {"p": {"S": "a"}}}, "'s' is missing"),
        ("UpdateItem", {**ITEM, "UpdateExpression": "SET s = :v", **VALUE}, "part of the key"),
        ("UpdateItem", {**ITEM, "UpdateExpression": "SET v = :v, v = :v", **VALUE}, "updated twice"),
        ("UpdateItem", {**ITEM, "UpdateExpression": "SET v = :v REMOVE v", **VALUE}, "updated twice"),
        ("UpdateItem", {**ITEM, "UpdateExpression": "v = :v", **VALUE}, "not an update expression"),
        ("UpdateItem", {**ITEM, "UpdateExpression": "SET v = :other", **VALUE}, "no value ':other'"),
        ("UpdateItem", {**ITEM, "UpdateExpression": "ADD l :v", **VALUE}, "not a number"),
        ("Query", {**QUERY, "KeyConditionExpression": "s = :v"}, "the partition key is p"),
    ],
)
async def test_what_no_server_takes_is_refused_by_name(operation, request_, named):
    """The request is at fault, and nobody looks for the fault in the engine."""
    refusal = await _refusal(operation, request_)
    assert named in refusal
    assert "RegisterEngine" not in refusal


async def test_tables_come_and_go():
    """What is made is listed and described, once; what is dropped is gone with its rows."""
    store = _store()

    async def ask(operation, request):
        status, body = await store.execute(operation, json.dumps(request).encode())
        return json.loads(body) if status == 200 else json.loads(body)["__type"]

    await ask("CreateTable", TABLE)
    assert await ask("CreateTable", TABLE) == "ResourceInUseException"
    assert await ask("ListTables", {}) == {"TableNames": ["items"]}
    assert (await ask("DescribeTable", {"TableName": "items"}))["Table"]["KeySchema"] == TABLE["KeySchema"]
    await ask("PutItem", PUT)
    await ask("DeleteTable", {"TableName": "items"})
    assert await ask("GetItem", ITEM) == "ResourceNotFoundException"
    await ask("CreateTable", TABLE)
    assert await ask("GetItem", ITEM) == {}


async def test_numbers_are_equal_by_value():
    """1 and 1.0 are one number."""
    store = _store()
    await store.execute("CreateTable", json.dumps(TABLE).encode())
    await store.execute("PutItem", json.dumps(PUT).encode())
    condition = {"ConditionExpression": "v = :v", "ExpressionAttributeValues": {":v": {"N": "1.0"}}}
    assert (await store.execute("DeleteItem", json.dumps({**ITEM, **condition}).encode()))[0] == 200

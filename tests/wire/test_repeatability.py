"""Which operations may be executed twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._wire.operation_names import SUPPORTED_BY_ALTERNATOR
from alternator_trio._wire.repeatability import is_read, is_repeatable

READS = [
    "BatchGetItem",
    "DescribeContinuousBackups",
    "DescribeEndpoints",
    "DescribeStream",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "GetRecords",
    "GetShardIterator",
    "ListStreams",
    "ListTables",
    "ListTagsOfResource",
    "Query",
    "Scan",
    "TransactGetItems",
]
SCHEMA_CHANGES = ["CreateTable", "DeleteTable", "TagResource", "UntagResource", "UpdateTable", "UpdateTimeToLive"]
ITEM_WRITES = ["BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem"]
UNKNOWN = [
    "TransactWriteItems",
    "ExecuteStatement",
    "ExecuteTransaction",
    "RestoreTableFromBackup",
    "getitem",
    "",
    "Get",
]
SET = {"SS": ["x"]}
NUMBER = {"N": "1"}


@pytest.mark.parametrize("operation", READS)
def test_reads_are_reads(operation: str) -> None:
    """Every operation that changes nothing is a read."""
    assert is_read(operation)


@pytest.mark.parametrize("operation", [*SCHEMA_CHANGES, *ITEM_WRITES, *UNKNOWN])
def test_nothing_else_is_a_read(operation: str) -> None:
    """Writes and unknown operations are not reads."""
    assert not is_read(operation)


def test_tables_cover_what_alternator_has() -> None:
    """Each operation of the server stands in one of this file's tables."""
    assert {*READS, *SCHEMA_CHANGES, *ITEM_WRITES} >= SUPPORTED_BY_ALTERNATOR


@pytest.mark.parametrize("operation", [*READS, *SCHEMA_CHANGES, *ITEM_WRITES])
def test_operations_without_particulars_are_repeatable(operation: str) -> None:
    """Reads, schema changes and plain writes may be executed twice; an UpdateItem without an update creates the key."""
    assert is_repeatable(operation, {"TableName": "t"})


@pytest.mark.parametrize("operation", UNKNOWN)
def test_unknown_operations_are_not_repeatable(operation: str) -> None:
    """What the module does not know may not be executed twice."""
    assert not is_repeatable(operation, {})


@pytest.mark.parametrize("operation", ["DeleteItem", "PutItem", "UpdateItem"])
@pytest.mark.parametrize(
    ("wanted", "repeatable"),
    [
        (None, True),
        ("NONE", True),
        ("ALL_NEW", True),
        ("UPDATED_NEW", True),
        ("ALL_OLD", False),
        ("UPDATED_OLD", False),
        ("all_old", False),
        (1, False),
        (["NONE"], False),
    ],
)
def test_writes_that_answer_with_the_past_are_not_repeatable(operation: str, wanted: object, repeatable: bool) -> None:
    """A write's repetition would answer ALL_OLD or UPDATED_OLD with what it wrote itself."""
    assert is_repeatable(operation, {"ReturnValues": wanted}) is repeatable


@pytest.mark.parametrize("operation", ["DeleteItem", "PutItem", "UpdateItem"])
def test_conditions_change_nothing(operation: str) -> None:
    """A conditional write is repeatable: a repeat that fails its condition is recognised by its error."""
    assert is_repeatable(operation, {"ConditionExpression": "attribute_not_exists(id)"})


UPDATES = [
    ({"UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": NUMBER}}, True),
    ({"UpdateExpression": "ADD a :v", "ExpressionAttributeValues": {":v": SET}}, True),
    ({"UpdateExpression": "ADD a :v", "ExpressionAttributeValues": {":v": NUMBER}}, False),
    ({"UpdateExpression": "ADD a :v"}, False),
    ({"UpdateExpression": "ADD a :v", "ExpressionAttributeValues": [":v"]}, False),
    ({"UpdateExpression": "SET a = if_not_exists(#a, :v)", "ExpressionAttributeNames": {"#a": "a"}}, True),
    ({"UpdateExpression": "SET a = if_not_exists(#a, :v)"}, False),
    ({"UpdateExpression": "SET a = :v", "ReturnValues": "UPDATED_OLD"}, False),
    ({"UpdateExpression": "nonsense"}, False),
    ({"UpdateExpression": ""}, False),
    ({"UpdateExpression": 5}, False),
    ({"UpdateExpression": "SET a = :v", "AttributeUpdates": {}}, False),
    ({"UpdateExpression": None, "AttributeUpdates": None}, True),
    ({"AttributeUpdates": {}}, True),
    ({"AttributeUpdates": {"a": {"Value": NUMBER}}}, True),
    ({"AttributeUpdates": {"a": {"Action": "PUT", "Value": SET}}}, True),
    ({"AttributeUpdates": {"a": {"Action": "PUT"}}}, False),
    ({"AttributeUpdates": {"a": {"Action": "DELETE"}}}, True),
    ({"AttributeUpdates": {"a": {"Action": "DELETE", "Value": SET}}}, False),
    ({"AttributeUpdates": {"a": {"Action": "ADD", "Value": SET}}}, True),
    ({"AttributeUpdates": {"a": {"Action": "ADD", "Value": NUMBER}}}, False),
    ({"AttributeUpdates": {"a": {"Action": "ADD", "Value": {"L": []}}}}, False),
    ({"AttributeUpdates": {"a": {"Action": "ADD"}}}, False),
    ({"AttributeUpdates": {"a": {"Action": "add", "Value": SET}}}, False),
    ({"AttributeUpdates": {"a": {"Value": NUMBER}, "b": {"Action": "ADD", "Value": NUMBER}}}, False),
    ({"AttributeUpdates": {"a": {"Value": NUMBER}}, "ReturnValues": "ALL_OLD"}, False),
    ({"AttributeUpdates": {"a": None}}, False),
    ({"AttributeUpdates": ["a"]}, False),
]


@pytest.mark.parametrize(("request_", "repeatable"), UPDATES, ids=[str(update) for update, _ in UPDATES])
def test_updates_are_judged_by_what_they_do(request_: dict[str, object], repeatable: bool) -> None:
    """UpdateItem is repeatable by its expression or its legacy AttributeUpdates."""
    assert is_repeatable("UpdateItem", request_) is repeatable


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
members = [
    "UpdateExpression",
    "AttributeUpdates",
    "ReturnValues",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
]


@given(st.sampled_from([*ITEM_WRITES, *UNKNOWN]), st.dictionaries(st.sampled_from(members), json_values))
def test_any_request_gets_a_verdict(operation: str, request_: dict[str, object]) -> None:
    """A malformed request is the server's to refuse: it is judged here, and raises nothing."""
    assert is_repeatable(operation, request_) in {True, False}

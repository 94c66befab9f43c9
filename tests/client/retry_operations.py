"""The operations by kind: what each changes, and whether a repetition of it could; with examples to send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["read", "repeatable", "schema", "other"]

READS = [
    "BatchGetItem",
    "DescribeBackup",
    "DescribeContinuousBackups",
    "DescribeContributorInsights",
    "DescribeEndpoints",
    "DescribeExport",
    "DescribeGlobalTable",
    "DescribeGlobalTableSettings",
    "DescribeImport",
    "DescribeKinesisStreamingDestination",
    "DescribeLimits",
    "DescribeStream",
    "DescribeTable",
    "DescribeTableReplicaAutoScaling",
    "DescribeTimeToLive",
    "GetItem",
    "GetRecords",
    "GetResourcePolicy",
    "GetShardIterator",
    "ListBackups",
    "ListContributorInsights",
    "ListExports",
    "ListGlobalTables",
    "ListImports",
    "ListStreams",
    "ListTables",
    "ListTagsOfResource",
    "Query",
    "Scan",
    "SearchVectors",
    "TransactGetItems",
]
REPEATABLE = ["BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem"]
SCHEMA_CHANGES = ["CreateTable", "DeleteTable", "TagResource", "UntagResource", "UpdateTable", "UpdateTimeToLive"]
OTHERS = [
    "BatchExecuteStatement",
    "CreateBackup",
    "CreateGlobalTable",
    "DeleteBackup",
    "DeleteResourcePolicy",
    "DisableKinesisStreamingDestination",
    "EnableKinesisStreamingDestination",
    "ExecuteStatement",
    "ExecuteTransaction",
    "ExportTableToPointInTime",
    "ImportTable",
    "PutResourcePolicy",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "TransactWriteItems",
    "UpdateContinuousBackups",
    "UpdateContributorInsights",
    "UpdateGlobalTable",
    "UpdateGlobalTableSettings",
    "UpdateKinesisStreamingDestination",
    "UpdateTableReplicaAutoScaling",
]
UNKNOWN = "FrobnicateTable"  # an operation of tomorrow
KINDS: dict[str, Kind] = {
    **dict.fromkeys(READS, "read"),
    **dict.fromkeys(REPEATABLE, "repeatable"),
    **dict.fromkeys(SCHEMA_CHANGES, "schema"),
    **dict.fromkeys(OTHERS, "other"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """An operation with parameters that make it what it is here."""

    name: str
    operation: str
    kind: Kind
    parameters: dict[str, object] = field(default_factory=dict[str, object])


def _update(name: str, kind: Kind, expression: str, value: object = None, **more: object) -> Case:
    values = {} if value is None else {"ExpressionAttributeValues": {":v": value}}
    return Case(f"UpdateItem {name}", "UpdateItem", kind, {"UpdateExpression": expression, **values, **more})


def _legacy(name: str, kind: Kind, action: str, value: object = None) -> Case:
    update = {"Action": action} if value is None else {"Action": action, "Value": value}
    return Case(f"UpdateItem {name}", "UpdateItem", kind, {"AttributeUpdates": {"a": update}})


ONE, TAGS, LONG = {"N": "1"}, {"SS": ["x"]}, {"S": "x" * 100_000}
OPERATIONS = [
    *(Case(operation, operation, kind) for operation, kind in KINDS.items()),
    Case("an unknown operation", UNKNOWN, "other"),
    _update("SET a = :v", "repeatable", "SET a = :v", ONE),
    _update("SET a = if_not_exists(a, :v)", "repeatable", "SET a = if_not_exists(a, :v)", ONE),
    _update("REMOVE a", "repeatable", "REMOVE a"),
    _update("ADD of a set", "repeatable", "ADD a :v", TAGS),
    _update("DELETE of a set", "repeatable", "DELETE a :v", TAGS),
    _update("with a condition", "repeatable", "SET a = :v", ONE, ConditionExpression="attribute_exists(id)"),
    _update("answering ALL_NEW", "repeatable", "SET a = :v", ONE, ReturnValues="ALL_NEW"),
    _legacy("legacy PUT", "repeatable", "PUT", ONE),
    _legacy("legacy DELETE", "repeatable", "DELETE"),
    _legacy("legacy ADD of a set", "repeatable", "ADD", TAGS),
    _update("ADD of a number", "other", "ADD a :v", ONE),
    _update("SET a = a + :v", "other", "SET a = a + :v", ONE),
    _update("SET a = list_append(a, :v)", "other", "SET a = list_append(a, :v)", {"L": [ONE]}),
    _update("SET a = b", "other", "SET a = b"),
    _update("SET a = if_not_exists(b, :v)", "other", "SET a = if_not_exists(b, :v)", ONE),
    _update("SET a[0] = :v", "other", "SET a[0] = :v", ONE),
    _update("REMOVE a[0]", "other", "REMOVE a[0]"),
    _update("that cannot be read", "other", "SET a = "),
    _update("answering ALL_OLD", "other", "SET a = :v", ONE, ReturnValues="ALL_OLD"),
    _update("answering UPDATED_OLD", "other", "SET a = :v", ONE, ReturnValues="UPDATED_OLD"),
    _legacy("legacy ADD of a number", "other", "ADD", ONE),
    _legacy("legacy DELETE of a value", "other", "DELETE", TAGS),
    Case("PutItem with a condition", "PutItem", "repeatable", {"ConditionExpression": "attribute_not_exists(id)"}),
    Case("PutItem answering ALL_OLD", "PutItem", "other", {"ReturnValues": "ALL_OLD"}),
    Case("DeleteItem answering ALL_OLD", "DeleteItem", "other", {"ReturnValues": "ALL_OLD"}),
    Case("PutItem of 100 kB", "PutItem", "repeatable", {"Item": {"text": LONG}}),  # sent by a task of its own
    _update("ADD of a number to 100 kB", "other", "ADD a :v SET text = :t", ONE, Long=LONG),
    Case("TransactWriteItems with a token", "TransactWriteItems", "other", {"ClientRequestToken": "a"}),
]
EXAMPLES = [
    case for case in OPERATIONS if case.name in {"GetItem", "PutItem", "CreateTable", "UpdateItem ADD of a number"}
]
"""One of each kind."""

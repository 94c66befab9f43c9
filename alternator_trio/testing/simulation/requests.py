"""What the register engine takes: the parameters of each operation, and the form in which it knows them.

Rule: a parameter that is not known is refused by name, never passed over: a simulation is not to show what no server
does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

from alternator_trio.testing.simulation.expressions import ValidationError, unknown

__all__ = ["check", "single_writes"]

_Json = dict[str, object]

_EXPRESSIONS: Final = frozenset({"ExpressionAttributeNames", "ExpressionAttributeValues"})
_WRITE: Final = _EXPRESSIONS | {"TableName", "ConditionExpression", "ReturnValues"}
_READ: Final = frozenset({"TableName", "ConsistentRead"})
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "GetItem": _READ | {"Key"},
    "BatchGetItem": frozenset({"RequestItems"}),
    "Query": _READ | _EXPRESSIONS | {"KeyConditionExpression"},
    "Scan": _READ,
    "PutItem": _WRITE | {"Item"},
    "DeleteItem": _WRITE | {"Key"},
    "UpdateItem": _WRITE | {"Key", "UpdateExpression"},
    "BatchWriteItem": frozenset({"RequestItems"}),
    "ListTables": frozenset(),
    "DescribeTable": frozenset({"TableName"}),
    "DeleteTable": frozenset({"TableName"}),
    "CreateTable": frozenset({"TableName", "KeySchema", "AttributeDefinitions", "BillingMode"}),
}
_RETURN_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "PutItem": frozenset({"NONE", "ALL_OLD"}),
    "DeleteItem": frozenset({"NONE", "ALL_OLD"}),
    "UpdateItem": frozenset({"NONE", "ALL_OLD", "ALL_NEW"}),
}
_BATCH_READ: Final = frozenset({"Keys", "ConsistentRead"})
_BATCH_WRITES: Final = {"PutRequest": ("PutItem", "Item"), "DeleteRequest": ("DeleteItem", "Key")}


def check(operation: str, request: _Json) -> None:
    """Refuse an operation, or a parameter, that the engine does not know.

    Raises:
        ValidationError: It names what is refused.
    """
    if operation not in _KNOWN:
        raise unknown(operation)
    _check_names(operation, request, _KNOWN[operation])
    if operation == "BatchGetItem":
        for each in cast("dict[str, _Json]", request["RequestItems"]).values():
            _check_names(operation, each, _BATCH_READ)
    returned = cast("str", request.get("ReturnValues", "NONE"))
    if operation in _RETURN_VALUES and returned not in _RETURN_VALUES[operation]:
        raise unknown(f"ReturnValues={returned} of {operation}")


def single_writes(request: _Json) -> Iterator[tuple[str, _Json]]:
    """The writes of a BatchWriteItem, each as an operation with its parameters."""
    for table, entries in cast("dict[str, list[dict[str, _Json]]]", request["RequestItems"]).items():
        for entry in entries:
            for kind, single in entry.items():
                if kind not in _BATCH_WRITES:
                    raise ValidationError(f"{kind} is no write of BatchWriteItem")
                operation, parameter = _BATCH_WRITES[kind]
                yield operation, {"TableName": table, parameter: single[parameter]}


def _check_names(operation: str, given: _Json, known: frozenset[str]) -> None:
    for name in given:
        if name not in known:
            raise unknown(f"{name} of {operation}")

"""Whether an operation may be executed twice where it was meant to be executed once.

The question comes up when an attempt's outcome is unknown. Rules: a read may; a write may when its second execution
leaves what the first left and answers what the first would have answered; what is not known here may not.
Schema changes count as repeatable: what their repetition answers (ResourceInUse, ResourceNotFound) is judged where the
answer is read. Conditions play no part either: a repeat that fails its condition is recognised by its error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

__all__ = ["is_read", "is_repeatable"]

_READS: Final = frozenset(
    {
        "BatchGetItem",
        "GetItem",
        "GetRecords",
        "GetResourcePolicy",
        "GetShardIterator",
        "Query",
        "Scan",
        "SearchVectors",
        "TransactGetItems",
    }
)
_READ_PREFIXES: Final = ("Describe", "List")
_REPEATABLE_WRITES: Final = frozenset({"BatchWriteItem", "DeleteItem", "PutItem"})
_SCHEMA_CHANGES: Final = frozenset(
    {"CreateTable", "DeleteTable", "TagResource", "UntagResource", "UpdateTable", "UpdateTimeToLive"}
)
_REPEATABLE_RETURN_VALUES: Final = frozenset({None, "NONE", "ALL_NEW", "UPDATED_NEW"})
"""ALL_OLD and UPDATED_OLD are left out: a repeat answers with what the first execution wrote."""


def is_read(operation: str) -> bool:
    """Whether the operation changes nothing.

    Example:
        >>> is_read("Query"), is_read("DescribeTable"), is_read("UpdateItem")
        (True, True, False)
    """
    return operation in _READS or operation.startswith(_READ_PREFIXES)


def is_repeatable(operation: str, request: Mapping[str, object]) -> bool:
    """Whether the operation may be executed twice without changing what it leaves and answers.

    Args:
        operation: The operation as DynamoDB spells it.
        request: Its parameters in wire shape.

    Example:
        >>> is_repeatable("PutItem", {"TableName": "t", "Item": {"id": {"S": "ada"}}})
        True
        >>> is_repeatable("DeleteItem", {"TableName": "t", "Key": {"id": {"S": "ada"}}, "ReturnValues": "ALL_OLD"})
        False
    """
    if is_read(operation) or operation in _SCHEMA_CHANGES:
        return True
    returned = request.get("ReturnValues")
    if not (returned is None or isinstance(returned, str)) or returned not in _REPEATABLE_RETURN_VALUES:
        return False
    if operation == "UpdateItem":
        return _is_repeatable_update_item(request)
    return operation in _REPEATABLE_WRITES


def _is_repeatable_update_item(request: Mapping[str, object]) -> bool:
    # The parser is wanted only once an update's outcome is unknown: most processes never import it.
    from alternator_trio._wire.update_expression import is_repeatable_update  # noqa: PLC0415

    expression = request.get("UpdateExpression")
    updates = request.get("AttributeUpdates")
    if expression is None:
        return updates is None or _are_repeatable_attribute_updates(updates)
    if updates is not None or not isinstance(expression, str):
        return False
    names = _mapping(request.get("ExpressionAttributeNames"))
    values = _mapping(request.get("ExpressionAttributeValues"))
    return is_repeatable_update(expression, names, values)


def _are_repeatable_attribute_updates(updates: object) -> bool:
    if not isinstance(updates, Mapping):
        return False
    return all(_is_repeatable_attribute_update(update) for update in cast("Mapping[str, object]", updates).values())


def _is_repeatable_attribute_update(update: object) -> bool:
    from alternator_trio._wire.update_expression import is_set_value  # noqa: PLC0415  # the same

    members = _mapping(update)
    value = members.get("Value")
    match members.get("Action", "PUT"):
        case "PUT":
            return value is not None
        case "DELETE":
            return value is None
        case "ADD":
            return is_set_value(value)
        case _:
            return False


def _mapping(value: object) -> Mapping[str, object]:
    """The value if it is a mapping, else an empty one, in which nothing is found that would count as repeatable."""
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}

"""What the callers of a story ask for: by name the call, what it writes, and what its answer shows of the store.

Rules: nothing is judged here. One table is there from the beginning; the scratch table comes and goes, and each of its
lives has a partition key of another name, so that the name tells who created it. A place is a key of a table, or the
scratch table itself, whose value is the number of the operation that created it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from alternator_trio import Client, RequestCompression, RetryPolicy
from alternator_trio._operations import Operations
from alternator_trio._wire.operation_names import REQUIRED
from alternator_trio.testing.simulation.requests import _KNOWN

__all__ = ["KEYS", "KINDS", "SCRATCH", "SCRATCH_ITSELF", "TABLE", "VIEWS", "Kind", "Place", "Value", "key_name"]

Place: TypeAlias = tuple[str, ...]
Value: TypeAlias = str | None
_Seen: TypeAlias = dict[Place, Value]
_Call: TypeAlias = Callable[[Client, str, str, str], Awaitable[Any]]
_Places: TypeAlias = Callable[[str], Iterable[Place]]

TABLE = "registers"
SCRATCH = "scratch"
SCRATCH_ITSELF: Place = (SCRATCH,)
KEYS = ("a", "b", "c")
ANSWERED = "describe_endpoints"  # the one operation that nodes answer and no store has

VIEWS: dict[str, dict[str, Any]] = {
    "none": {},
    "hurried": {"attempt_timeout": 0.05},
    "short": {"operation_timeout": 0.02},
    "packed": {"request_compression": RequestCompression.gzip(threshold_bytes=0), "response_compression": ("gzip",)},
    "once": {"retry": RetryPolicy(max_attempts=1)},
}


def key_name(number: Value) -> str:
    """The name of the scratch table's partition key, by the number of the operation that created it."""
    return f"k{number}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of operation.

    Attributes:
        call: Begins it, for a client, a key, a value, and the name of the scratch table's key at this time.
        writes: The places that it writes to, for its key.
        shows: What its answer shows of the store, for its key.
        is_deletion: Whether it writes nothing in place of its value.
        is_refused: Whether the service refuses it at all times.
        operation: The operation, where an error must name it.
        table: The table that may be missing, or have another key.
    """

    call: _Call
    writes: _Places = lambda _: ()
    shows: Callable[[Any, str], _Seen] = lambda *_: {}
    is_deletion: bool = False
    is_refused: bool = False
    operation: str = ""
    table: str = TABLE


def _item(name: str, key: str, value: str) -> dict[str, Any]:
    return {name: {"S": key}, "v": {"S": value}}


def _batch(table: str, name: str, value: str) -> dict[str, Any]:
    return {table: [{"PutRequest": {"Item": _item(name, each, value)}} for each in KEYS]}


def _update(table: str, name: str, key: str, value: str) -> dict[str, Any]:
    values = {":v": {"S": value}}
    key_alone = {name: {"S": key}}
    return {
        "TableName": table,
        "Key": key_alone,
        "UpdateExpression": "SET v = :v",
        "ExpressionAttributeValues": values,
    }


def _count(client: Client, key: str, value: str, _: str) -> Awaitable[Any]:
    values = {":v": {"S": value}, ":one": {"N": "1"}}
    parameters = _update(TABLE, "id", key, value) | {"ExpressionAttributeValues": values}
    return client.update_item(**parameters | {"UpdateExpression": "SET v = :v ADD n :one"})


def _create(client: Client, key: str, value: str, _: str) -> Awaitable[Any]:
    condition = "attribute_not_exists(id)"
    return client.put_item(TableName=TABLE, Item=_item("id", key, value), ConditionExpression=condition)


def _query(client: Client, key: str, *_: str) -> Awaitable[Any]:
    values = {":id": {"S": key}}
    return client.query(TableName=TABLE, KeyConditionExpression="id = :id", ExpressionAttributeValues=values)


def _batch_get(client: Client, *_: str) -> Awaitable[Any]:
    return client.batch_get_item(RequestItems={TABLE: {"Keys": [{"id": {"S": each}} for each in KEYS]}})


def _make(client: Client, key: str, value: str, _: str) -> Awaitable[Any]:
    name = key_name(value)
    return client.create_table(
        TableName=SCRATCH,
        KeySchema=[{"AttributeName": name, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def _found(items: Iterable[Mapping[str, Any]], keys: Iterable[str]) -> _Seen:
    """What there is of some keys of the table that stays."""
    return {(TABLE, key): None for key in keys} | {(TABLE, item["id"]["S"]): item["v"]["S"] for item in items}


def _found_scratch(answer: Mapping[str, Any], key: str) -> _Seen:
    return {(SCRATCH, key): answer["Item"]["v"]["S"] if "Item" in answer else None}


def _described(answer: Mapping[str, Any], _: str) -> _Seen:
    return _named(answer["Table"]["KeySchema"][0]["AttributeName"], _)


def _named(name: str, _: str) -> _Seen:
    return {SCRATCH_ITSELF: name.removeprefix("k")}


def _listed(answer: Mapping[str, Any], _: str) -> _Seen:
    return {} if SCRATCH in answer["TableNames"] else {SCRATCH_ITSELF: None}


def _itself(_: str) -> Iterable[Place]:
    return (SCRATCH_ITSELF,)


def _one(table: str) -> _Places:
    return lambda key: ((table, key),)


def _all(table: str) -> _Places:
    return lambda _: tuple((table, key) for key in KEYS)


def _other(name: str) -> Kind:
    """An operation that the store does not know; what its parameters are is all one."""
    operation = _operation_of(name)
    parameters = dict.fromkeys(REQUIRED[operation], "x")

    def call(client: Client, *_: str) -> Awaitable[Any]:
        return getattr(client, name)(**parameters)

    return Kind(call=call, is_refused=name != ANSWERED, operation=operation)


def _operation_of(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


_OF_ITEMS = {
    "put": Kind(call=lambda c, k, v, _: c.put_item(TableName=TABLE, Item=_item("id", k, v)), writes=_one(TABLE)),
    "create": Kind(call=_create, writes=_one(TABLE)),
    "update": Kind(call=lambda c, k, v, _: c.update_item(**_update(TABLE, "id", k, v)), writes=_one(TABLE)),
    "count": Kind(call=_count, writes=_one(TABLE)),
    "delete": Kind(
        call=lambda c, k, *_: c.delete_item(TableName=TABLE, Key={"id": {"S": k}}),
        writes=_one(TABLE),
        is_deletion=True,
    ),
    "batch": Kind(call=lambda c, k, v, _: c.batch_write_item(RequestItems=_batch(TABLE, "id", v)), writes=_all(TABLE)),
    "get": Kind(
        call=lambda c, k, *_: c.get_item(TableName=TABLE, Key={"id": {"S": k}}, ConsistentRead=True),
        shows=lambda answer, key: _found([answer["Item"]] if "Item" in answer else [], [key]),
    ),
    "query": Kind(call=_query, shows=lambda answer, key: _found(answer["Items"], [key])),
    "batch_get": Kind(call=_batch_get, shows=lambda answer, _: _found(answer["Responses"][TABLE], KEYS)),
    "scan": Kind(call=lambda c, *_: c.scan(TableName=TABLE), shows=lambda answer, _: _found(answer["Items"], KEYS)),
}
_OF_SCRATCH = {
    "make": Kind(call=_make, writes=_itself),
    "drop": Kind(call=lambda c, *_: c.delete_table(TableName=SCRATCH), writes=_itself, is_deletion=True),
    "name": Kind(call=lambda c, *_: c.partition_key(SCRATCH), shows=_named),
    "describe": Kind(call=lambda c, *_: c.describe_table(TableName=SCRATCH), shows=_described),
    "list": Kind(call=lambda c, *_: c.list_tables(), shows=_listed),
    "put there": Kind(
        call=lambda c, k, v, name: c.put_item(TableName=SCRATCH, Item=_item(name, k, v)), writes=_one(SCRATCH)
    ),
    "update there": Kind(
        call=lambda c, k, v, name: c.update_item(**_update(SCRATCH, name, k, v)), writes=_one(SCRATCH)
    ),
    "batch there": Kind(
        call=lambda c, k, v, name: c.batch_write_item(RequestItems=_batch(SCRATCH, name, v)), writes=_all(SCRATCH)
    ),
    "get there": Kind(
        call=lambda c, k, v, name: c.get_item(TableName=SCRATCH, Key={name: {"S": k}}), shows=_found_scratch
    ),
    "put wrongly": Kind(
        call=lambda c, k, v, _: c.put_item(TableName=SCRATCH, Item=_item("nobody's", k, v)), is_refused=True
    ),
}
_OF_NODES = {
    "call": Kind(call=lambda c, *_: c.call("DescribeTable", {"TableName": TABLE}, attempt_timeout=1.0)),
    "refresh": Kind(call=lambda c, *_: c.refresh()),
    "partition_key": Kind(call=lambda c, *_: c.partition_key(TABLE)),
    "unknown_key": Kind(call=lambda c, k, *_: c.partition_key(f"no {k}"), is_refused=True),
    "check_routing": Kind(call=lambda c, *_: c.check_routing()),
}
_OTHERS = {
    name: _other(name)
    for name in vars(Operations)
    if name.islower() and name[0] != "_" and _operation_of(name) not in _KNOWN
}
KINDS: dict[str, Kind] = {
    **_OF_ITEMS,
    **{name: dataclasses.replace(kind, table=SCRATCH) for name, kind in _OF_SCRATCH.items()},
    **_OF_NODES,
    **_OTHERS,
}

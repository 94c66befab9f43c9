"""Key route affinity: which writes stay on one coordinator, and the number that says on which.

Rules (spec §4): reads never qualify; `rmw` takes the writes that read first, `any_write` all of them. A write of one
item is routed by the hash of its partition key, a batch by the votes of its entries. What is malformed has no affinity
and is left to the server to refuse. Numbers hash as they go on the wire; health has no say. Pure: who calls looks up
the keys that are missing, and makes the plan: `seeded_plan` for `Keyed`, `preferred_plan` over `batch_order` for
`Batch`.
"""

from __future__ import annotations

import base64
import collections
import enum
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

import mmh3

from alternator_trio._core.query_plan import seeded_order
from alternator_trio.nodes import Node
from alternator_trio.routing import AffinityMode

__all__ = [
    "Affinity",
    "Batch",
    "KeyMissing",
    "Keyed",
    "NotAffine",
    "batch_order",
    "key_hash",
    "qualifies",
    "route",
    "table_of",
    "tables_of_batch",
]

_KEY_HOLDER: Final = {"DeleteItem": "Key", "PutItem": "Item", "UpdateItem": "Key"}
"""The writes of one item, and the parameter that holds its key."""
_ANY_WRITE: Final = AffinityMode.ANY_WRITE
_BATCH: Final = "BatchWriteItem"
_BATCH_KEY_HOLDER: Final = {"DeleteRequest": "Key", "PutRequest": "Item"}
_TYPE_BYTE: Final = {"S": b"\x01", "N": b"\x02", "B": b"\x03"}
_UPDATE_RETURN_VALUES: Final = frozenset({"ALL_OLD", "UPDATED_OLD", "ALL_NEW"})

_NOTHING: Final[Mapping[str, object]] = {}


class NotAffine(NamedTuple):
    """An ordinary plan.

    Attributes:
        why: In words, for whoever asks.
        doubted: The table when its partition key, as known, is not among the request's attributes: the request is
            wrong, or the table was created anew with another key.
    """

    why: str
    doubted: str | None = None


class Keyed(NamedTuple):
    """A write of one item: the seeded plan of its partition key.

    Attributes:
        seed: The key's hash, signed 64-bit.
        table: As the request names it.
    """

    seed: int
    table: str


class Batch(NamedTuple):
    """A batch with votes.

    Attributes:
        votes: The hash of each entry's partition key, in no particular order.
        missing: Tables of the batch whose key is not known; their entries have no vote.
    """

    votes: tuple[int, ...]
    missing: tuple[str, ...] = ()


class KeyMissing(NamedTuple):
    """An ordinary plan, because the name of the partition key is not known: it is worth looking up.

    Attributes:
        tables: As the request names them.
    """

    tables: tuple[str, ...]


Affinity: TypeAlias = NotAffine | Keyed | Batch | KeyMissing

_NO_QUALIFYING_WRITE: Final = NotAffine("not an operation that the affinity mode takes")
_NO_TABLE: Final = NotAffine("no table name")
_NO_KEY_VALUE: Final = NotAffine("the partition key is not of type S, N or B")
_NO_VOTES: Final = NotAffine("no entry of the batch has a value of type S, N or B for its partition key")


def route(
    mode: AffinityMode, operation: str, parameters: Mapping[str, object], key_names: Mapping[str, str]
) -> Affinity:
    """How a request is routed.

    Args:
        mode: Which writes have affinity.
        operation: The operation as DynamoDB spells it.
        parameters: In wire shape; binary values may be bytes.
        key_names: Table to the name of its partition key, as far as they are known.

    Example:
        >>> item = {"TableName": "users", "Item": {"id": {"S": "hello"}}}
        >>> route(AffinityMode.ANY_WRITE, "PutItem", item, {"users": "id"})
        Keyed(seed=8815023923555918238, table='users')
        >>> route(AffinityMode.ANY_WRITE, "PutItem", item, {})
        KeyMissing(tables=('users',))
        >>> route(AffinityMode.RMW, "PutItem", item, {})
        NotAffine(why='not an operation that the affinity mode takes', doubted=None)
    """
    if not qualifies(mode, operation, parameters):
        return _NO_QUALIFYING_WRITE
    if operation == _BATCH:
        return _route_batch(parameters, key_names)
    table = table_of(operation, parameters)
    if table is None:
        return _NO_TABLE
    name = key_names.get(table)
    if name is None:
        return KeyMissing((table,))
    value = _mapping(parameters.get(_KEY_HOLDER[operation])).get(name)
    if value is None:
        return NotAffine(f"the partition key {name!r} is not in the request", table)
    seed = key_hash(_mapping(value))
    return _NO_KEY_VALUE if seed is None else Keyed(seed, table)


def qualifies(mode: AffinityMode, operation: str, parameters: Mapping[str, object]) -> bool:
    """Whether a mode takes an operation.

    Example:
        >>> qualifies(AffinityMode.RMW, "PutItem", {"ConditionExpression": "attribute_not_exists(id)"})
        True
        >>> qualifies(AffinityMode.RMW, "UpdateItem", {"AttributeUpdates": {"n": {"Action": "PUT"}}})
        False
    """
    if mode is _ANY_WRITE:
        return operation in _KEY_HOLDER or operation == _BATCH
    if operation not in _KEY_HOLDER:
        return False
    # An empty condition is as good as none.
    if parameters.get("ConditionExpression") or parameters.get("Expected"):
        return True
    returned = parameters.get("ReturnValues")
    if operation != "UpdateItem":
        return bool(returned) and returned != "NONE"
    return (
        bool(parameters.get("UpdateExpression"))
        or (isinstance(returned, str) and returned in _UPDATE_RETURN_VALUES)
        or any(map(_reads_first, _mapping(parameters.get("AttributeUpdates")).values()))
    )


def table_of(operation: str, parameters: Mapping[str, object]) -> str | None:
    """The table that a write of one item names, or its ARN, as given; None for other operations."""
    table = parameters.get("TableName")
    return table if operation in _KEY_HOLDER and isinstance(table, str) and table else None


def tables_of_batch(parameters: Mapping[str, object]) -> tuple[str, ...]:
    """The tables of a BatchWriteItem in which there is something to put or delete, as given."""
    return tuple(table for table, keys in _keys_by_table(parameters) if keys)


def key_hash(value: Mapping[str, object]) -> int | None:
    """The hash of a partition key's value: MurmurHash3 x64 128, seed 0, its first 64 bits, type byte first.

    Args:
        value: The attribute value in wire shape: ``S``, ``N`` as the string that goes on the wire, or ``B``, as bytes
            or in base64.

    Returns:
        A signed 64-bit number; None for any other type, and for what is no attribute value.

    Example:
        >>> key_hash({"N": "42"})
        -5061732451827723051
        >>> key_hash({"B": "AQID"}) == key_hash({"B": bytes([1, 2, 3])})
        True
        >>> key_hash({"BOOL": True}) is None
        True
    """
    if len(value) != 1:
        return None
    for type_name, content in value.items():
        data = _hashed_bytes(type_name, content)
        if data is not None:
            return mmh3.hash64(data)[0]  # x64, seed 0 and signed are its defaults
    return None


def batch_order(votes: Iterable[int], ring: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes that a batch votes for, in the order in which they are preferred.

    Each vote is for the first node of its seeded plan; the most votes come first, among equals the smaller endpoint.

    Args:
        votes: `Batch.votes`.
        ring: All nodes, sorted; never empty.

    Example:
        >>> ring = [Node("http", host, 8000) for host in ("a", "b", "c")]
        >>> [str(node) for node in batch_order([1, 2, 2], ring)]
        ['http://b:8000', 'http://c:8000']
    """
    counts: collections.Counter[Node] = collections.Counter()
    for seed, count in collections.Counter(votes).items():
        counts[next(seeded_order(ring, seed))] += count
    return tuple(sorted(counts, key=lambda node: (-counts[node], node)))


def _route_batch(parameters: Mapping[str, object], key_names: Mapping[str, str]) -> Affinity:
    votes: list[int] = []
    missing: list[str] = []
    for table, keys in _keys_by_table(parameters):
        name = key_names.get(table)
        if name is not None:
            votes.extend(seed for seed in (_hash_in(key, name) for key in keys) if seed is not None)
        elif keys:
            missing.append(table)
    if votes:
        return Batch(tuple(votes), tuple(missing))
    return KeyMissing(tuple(missing)) if missing else _NO_VOTES


def _keys_by_table(parameters: Mapping[str, object]) -> Iterator[tuple[str, list[object]]]:
    for table, entries in _mapping(parameters.get("RequestItems")).items():
        members = cast("Sequence[object]", entries) if isinstance(entries, (list, tuple)) else ()
        yield table, [key for key in map(_key_in_entry, members) if key is not None]


def _key_in_entry(entry: object) -> object:
    """The item or key of an entry that is either a put or a delete."""
    members = _mapping(entry)
    kinds = [kind for kind in _BATCH_KEY_HOLDER if members.get(kind) is not None]
    return _mapping(members[kinds[0]]).get(_BATCH_KEY_HOLDER[kinds[0]]) if len(kinds) == 1 else None


def _hash_in(attributes: object, name: str) -> int | None:
    return key_hash(_mapping(_mapping(attributes).get(name)))


def _hashed_bytes(type_name: str, content: object) -> bytes | None:
    prefix = _TYPE_BYTE.get(type_name)
    if prefix is None:
        return None
    if not isinstance(content, str):
        if type_name == "B":
            return prefix + content if isinstance(content, (bytes, bytearray, memoryview)) else None
        content = _text_of(content)
        if content is None:
            return None
    try:
        return prefix + (base64.b64decode(content, validate=True) if type_name == "B" else content.encode())
    except ValueError:  # no base64, or half a surrogate pair
        return None


def _text_of(content: object) -> str | None:
    """The text as which orjson writes what is no ``str``: of a UUID its digits, of an enum's member its value."""
    value: object = content.value if isinstance(content, enum.Enum) else content
    return str(value) if isinstance(value, (str, uuid.UUID)) else None


def _reads_first(update: object) -> bool:
    """Whether one of the legacy AttributeUpdates needs the value that is there."""
    members = _mapping(update)
    action = members.get("Action")
    return action == "ADD" or (action == "DELETE" and members.get("Value") is not None)


def _mapping(value: object) -> Mapping[str, object]:
    # A dict first: to find one to be a Mapping takes three times as long.
    return cast("Mapping[str, object]", value) if isinstance(value, (dict, Mapping)) else _NOTHING

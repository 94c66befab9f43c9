"""A store for simulations: registers whose plain writes bear their coordinator's clock, and whose conditions hold.

Rules, ScyllaDB's: a write without a condition is stamped with its coordinator's wall clock when it is accepted, and the
newest stamp wins, whatever order the writes come in; a write that reads first is a lightweight transaction: it happens
at one moment, on whichever coordinator, and its stamp is newer than that of every transaction before it on that item.
Under ``isolation="always"`` all writes are transactions. Every write is on record with what only the server knows.
"""

from __future__ import annotations

import base64
import dataclasses
import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, Literal, cast

import orjson
import trio

from alternator_trio.testing.simulation.expressions import Expressions, ValidationError
from alternator_trio.testing.simulation.requests import check, single_writes
from alternator_trio.testing.simulation.rows import Row

__all__ = ["AppliedWrite", "RegisterEngine"]

_Json = dict[str, object]
_Key = tuple[str, ...]

_OK: Final = 200
_MICROSECONDS: Final = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AppliedWrite:
    """One write that took effect at the server.

    Attributes:
        at: When it became visible, unless a newer one covers it (Trio's clock).
        stamp: The timestamp that it bears, in microseconds.
        coordinator: The name of the node that took it.
        operation: ``"PutItem"``, ``"UpdateItem"`` or ``"DeleteItem"``, in batches as well.
        table: The table.
        key: The key's attributes as JSON text.
        item: The attributes that it wrote, as JSON text; None for a deletion.
        is_transaction: Whether it was one.
    """

    at: float
    stamp: float
    coordinator: str
    operation: str
    table: str
    key: _Key
    item: Mapping[str, str] | None
    is_transaction: bool


class _ServiceError(Exception):
    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.body: _Json = {"__type": name, "message": message}


class _Table:
    def __init__(self, description: _Json) -> None:
        self.description = description
        schema = cast("list[dict[str, str]]", description["KeySchema"])
        self.key_names = tuple(each["AttributeName"] for each in schema)
        self.rows: dict[_Key, Row] = {}

    def key_of(self, item: Mapping[str, object]) -> _Key:
        try:
            return tuple(_text(item[name]) for name in self.key_names)
        except KeyError as error:
            raise ValidationError(f"the key attribute {error} is missing") from error

    def key_alone(self, key: Mapping[str, object]) -> _Key:
        """A key that has to be nothing else."""
        if len(key) != len(self.key_names):
            raise ValidationError(f"{', '.join(key)} is not the key of the table, which is {', '.join(self.key_names)}")
        return self.key_of(key)

    def row(self, key: _Key) -> Row:
        return self.rows.setdefault(key, Row())

    def whole(self, key: _Key) -> dict[str, str] | None:
        """The item with its key; None when there is none."""
        row = self.rows.get(key)
        item = None if row is None else row.item()
        return None if item is None else {**dict(zip(self.key_names, key, strict=True)), **item}


class RegisterEngine:
    """A store whose every write can be told apart; give it to a `SimulatedCluster`.

    It knows tables, single items, batches, Query and Scan without filters, and simple expressions: what the checks of
    a simulation need. What it does not know it refuses, with a ValidationException that says so; for that there is
    `MinistackEngine`.

    Args:
        isolation: Which writes are transactions: ``"only_rmw"``, those that read first, or ``"always"``, all of them.
        spread: A plain write becomes visible up to so many seconds after it was stamped.
        rng: Where that is drawn from.

    Attributes:
        applied: Every write that took effect, in that order.

    Example:
        >>> engine = RegisterEngine()
        >>> engine.create_table("users", "id")
        >>> engine.item("users", id={"S": "ada"}) is None
        True
    """

    def __init__(
        self,
        *,
        isolation: Literal["only_rmw", "always"] = "only_rmw",
        spread: float = 0.0,
        rng: random.Random | None = None,
    ) -> None:
        self.applied: list[AppliedWrite] = []
        self._isolation = isolation
        self._spread = spread
        self._rng = random.Random(0) if rng is None else rng  # noqa: S311  # decides what is simulated
        self._tables: dict[str, _Table] = {}

    def at(self, coordinator: str, clock: Callable[[], float]) -> Coordinator:
        """The store as one coordinator serves it.

        Args:
            coordinator: The node's name, for the record.
            clock: The node's wall clock, in seconds.
        """
        return Coordinator(self, coordinator, clock)

    async def aclose(self) -> None:
        """Drop all data."""
        self._tables.clear()
        await trio.lowlevel.checkpoint()

    def create_table(self, name: str, *key_names: str) -> None:
        """Make a table past all nodes: no request is seen for it."""
        kinds = ("HASH", "RANGE")
        schema = [{"AttributeName": key, "KeyType": kind} for key, kind in zip(key_names, kinds, strict=False)]
        self._tables[name] = _Table({"TableName": name, "TableStatus": "ACTIVE", "KeySchema": schema})

    def item(self, table: str, **key: object) -> dict[str, object] | None:
        """An item as it is visible now, wire-shaped; read past all nodes."""
        found = self._table({"TableName": table})
        return _shown(found.whole(found.key_of(key)))

    # What a coordinator asks of it.

    def is_transaction(self, request: _Json) -> bool:
        """Whether a write reads before it writes, or has to be one anyway."""
        update = cast("str", request.get("UpdateExpression") or "")
        return (
            self._isolation == "always"
            or bool(request.get("ConditionExpression"))
            or request.get("ReturnValues") not in {None, "NONE"}
            or Expressions(request).reads_first(update)
        )

    def delay(self) -> float:
        """Seconds until a plain write is visible."""
        return self._rng.uniform(0.0, self._spread) if self._spread else 0.0

    def table_operation(self, operation: str, request: _Json) -> _Json:
        """Carry out an operation on tables."""
        if operation == "ListTables":
            return {"TableNames": sorted(self._tables)}
        name = cast("str", request.get("TableName"))
        if operation == "CreateTable":
            if name in self._tables:
                raise _ServiceError("ResourceInUseException", f"Table {name} already exists")
            self._tables[name] = _Table({**request, "TableStatus": "ACTIVE"})
            return {"TableDescription": self._tables[name].description}
        table = self._table(request)
        if operation == "DeleteTable":
            del self._tables[name]
            return {"TableDescription": table.description}
        return {"Table": table.description}

    def read(self, operation: str, request: _Json) -> _Json:
        """Carry out a read."""
        if operation == "BatchGetItem":
            asked = cast("dict[str, dict[str, list[_Json]]]", request["RequestItems"])
            found = {name: self._get_all(name, each["Keys"]) for name, each in asked.items()}
            return {"Responses": found, "UnprocessedKeys": {}}
        table = self._table(request)
        if operation == "GetItem":
            item = _shown(table.whole(table.key_alone(cast("_Json", request["Key"]))))
            return {} if item is None else {"Item": item}
        wanted = _partition_of(request, table.key_names[0]) if operation == "Query" else None
        keys = sorted((key for key in table.rows if wanted in {None, key[0]}), key=_in_order)
        items = [item for key in keys if (item := _shown(table.whole(key))) is not None]
        return {"Items": items, "Count": len(items), "ScannedCount": len(items)}

    def write(self, operation: str, request: _Json, coordinator: str, stamp: float, *, transaction: bool) -> _Json:
        """Carry out a write of one item, now."""
        table = self._table(request)
        given = cast("_Json", request["Item"] if operation == "PutItem" else request["Key"])
        key = table.key_of(given) if operation == "PutItem" else table.key_alone(given)
        row, before = table.row(key), table.whole(key)
        expressions = Expressions(request)
        condition = cast("str | None", request.get("ConditionExpression"))
        if condition and not expressions.holds(condition, before):
            raise _ServiceError("ConditionalCheckFailedException", "The conditional request failed")
        if transaction:
            stamp = max(stamp, row.newest + 1)
        written: dict[str, str] | None = None
        if operation == "PutItem":
            written = {name: _text(value) for name, value in given.items() if name not in table.key_names}
            row.put(written, stamp)
        elif operation == "UpdateItem":
            written, removed = expressions.apply(cast("str", request.get("UpdateExpression") or ""), before)
            if changed := {*written, *removed}.intersection(table.key_names):
                raise ValidationError(f"{', '.join(sorted(changed))} is part of the key: it cannot be updated")
            row.update(written, removed, stamp)
        else:
            row.delete(stamp)
        self.applied.append(
            AppliedWrite(
                at=trio.current_time(),
                stamp=stamp,
                coordinator=coordinator,
                operation=operation,
                table=cast("str", request["TableName"]),
                key=key,
                item=written,
                is_transaction=transaction,
            )
        )
        return _attributes(request, before, table.whole(key))

    # Below: the parts of the above.

    def _table(self, request: _Json) -> _Table:
        table = self._tables.get(cast("str", request.get("TableName")))
        if table is None:
            raise _ServiceError("ResourceNotFoundException", "Requested resource not found")
        return table

    def _get_all(self, name: str, keys: list[_Json]) -> list[_Json]:
        table = self._table({"TableName": name})
        found = (_shown(table.whole(table.key_alone(key))) for key in keys)
        return [item for item in found if item is not None]


class Coordinator:
    """The store behind one node: an `Engine`."""

    def __init__(self, engine: RegisterEngine, name: str, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._name = name
        self._clock = clock

    async def execute(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Run one operation; see `Engine.execute`."""
        try:
            request = cast("_Json", orjson.loads(body))
            return _OK, orjson.dumps(await self._execute(operation, request))
        except _ServiceError as error:
            return 400, orjson.dumps(error.body)
        except ValidationError as error:
            return 400, _invalid(str(error))
        except KeyError as error:
            return 400, _invalid(f"{error} is missing")

    async def reset(self) -> None:
        """Drop all data."""
        await self._engine.aclose()

    async def aclose(self) -> None:
        """Nothing: the store is its owner's."""

    async def _execute(self, operation: str, request: _Json) -> _Json:
        check(operation, request)
        match operation:
            case "GetItem" | "BatchGetItem" | "Query" | "Scan":
                return self._engine.read(operation, request)
            case "PutItem" | "UpdateItem" | "DeleteItem":
                return await self._write(operation, request)
            case "BatchWriteItem":
                for single, parameters in list(single_writes(request)):
                    await self._write(single, parameters)
                return {"UnprocessedItems": {}}
            case _:
                return self._engine.table_operation(operation, request)

    async def _write(self, operation: str, request: _Json) -> _Json:
        transaction = self._engine.is_transaction(request)
        stamp = float(int(self._clock() * _MICROSECONDS))
        seconds = 0.0 if transaction else self._engine.delay()
        if seconds:
            await trio.sleep(seconds)
        return self._engine.write(operation, request, self._name, stamp, transaction=transaction)


def _invalid(message: str) -> bytes:
    return orjson.dumps({"__type": "ValidationException", "message": message})


def _text(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _shown(item: Mapping[str, str] | None) -> _Json | None:
    return None if item is None else {name: orjson.loads(text) for name, text in item.items()}


def _attributes(request: _Json, before: Mapping[str, str] | None, after: Mapping[str, str] | None) -> _Json:
    """What a write answers."""
    wanted = {"ALL_OLD": before, "ALL_NEW": after}.get(cast("str", request.get("ReturnValues")))
    return {} if wanted is None else {"Attributes": _shown(wanted)}


def _partition_of(request: _Json, key_name: str) -> str:
    """The one partition that a Query asks for."""
    name, value = Expressions(request).equality(cast("str", request["KeyConditionExpression"]))
    if name != key_name:
        raise ValidationError(f"a Query by {name} is none: the partition key is {key_name}")
    return value


def _in_order(key: _Key) -> tuple[str, bytes | Decimal]:
    """Where a key comes: a partition's items in the order of their sort key."""
    partition, *sort = key
    if not sort:
        return partition, b""
    ((kind, value),) = cast("dict[str, str]", orjson.loads(sort[0])).items()
    if kind == "N":
        return partition, Decimal(value)
    return partition, base64.b64decode(value) if kind == "B" else value.encode()

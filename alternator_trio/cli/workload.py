"""The mixed load: tasks that write, read and check what they read, each on keys of its own.

Rules: every operation is repeatable, so that the client may try it again after an attempt of unknown outcome; a task
does one operation at a time; reads are consistent and are checked against what the task knows is written. An error of
the client is counted, and the task goes on.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from alternator_trio.cli.ledger import EDITION, SHELF, SLOT, Item, Key, Ledger, key_of
from alternator_trio.cli.meter import Meter, was_repeated
from alternator_trio.cli.tally import Tally
from alternator_trio.client import Client
from alternator_trio.errors import AlternatorError

if TYPE_CHECKING:
    from alternator_trio import types

__all__ = ["PAUSE_AFTER_ERROR", "Worker"]

PAUSE_AFTER_ERROR: Final = 0.1  # seconds; a cluster that is away is not to be asked in a hot loop
_SHELVES: Final = 4
_SLOTS: Final = 16
_BATCH: Final = (2, 5)
_FILL_BATCH: Final = 16
_PAGE: Final = 8
_DELETES: Final = 0.25  # of the writes in a batch
_FILLER: Final = "." * 80
# How often each operation is drawn, in per cent.
_MIX: Final = {
    "GetItem": 32,
    "PutItem": 24,
    "UpdateItem": 12,
    "DeleteItem": 8,
    "BatchWriteItem": 8,
    "BatchGetItem": 8,
    "Query": 4,
    "Scan": 4,
}


class Worker:
    """One task of the mixed load.

    Args:
        client: The client under load.
        table: The table; keys are ``shelf`` and ``slot``.
        number: Tells its keys from those of other workers.
        tally: Where operations are counted.
        rng: Draws operations and keys.

    Attributes:
        ledger: What must be under its keys.
    """

    def __init__(self, client: Client, table: str, number: int, *, tally: Tally, rng: random.Random) -> None:
        self._client = client
        self._table = table
        self._tally = tally
        self._meter = Meter(tally)
        self._rng = rng
        shelves = [f"worker-{number:04}-{shelf}" for shelf in range(_SHELVES)]
        self._keys = [Key(shelf, f"slot-{slot:02}") for shelf in shelves for slot in range(_SLOTS)]
        self.ledger = Ledger(self._keys)
        self._edition = 0
        self._scanned_to: Mapping[str, types.AttributeValue] | None = None
        self._moves = {
            "GetItem": self._get,
            "PutItem": self._put,
            "UpdateItem": self._update,
            "DeleteItem": self._delete,
            "BatchWriteItem": self._batch_write,
            "BatchGetItem": self._batch_get,
            "Query": self._query,
            "Scan": self._scan,
        }

    async def run(self, until: float) -> None:
        """Fill the shelves, then do one operation after another until a time on Trio's clock; the last one may finish.

        An empty table would be faster than a full one, and the beginning of a run no measure for its end.
        """
        for start in range(0, len(self._keys), _FILL_BATCH):
            await self._attempt(partial(self._fill, self._keys[start : start + _FILL_BATCH]))
        kinds, weights = list(_MIX), list(_MIX.values())
        while trio.current_time() < until:
            await self._attempt(self._moves[self._rng.choices(kinds, weights)[0]])

    async def _attempt(self, move: Callable[[], Awaitable[None]]) -> None:
        try:
            await move()
        except AlternatorError:  # counted where it was raised
            await trio.sleep(PAUSE_AFTER_ERROR)

    async def _put(self) -> None:
        key = self._any_key()
        item = self._new_item(key)
        call = self._client.put_item(TableName=self._table, Item=item)
        await self._write("PutItem", call, {key: item})

    async def _update(self) -> None:
        key = self._any_key()
        edition = self._next_edition()
        note: types.AttributeValue = {"S": f"operation {self._edition}"}
        call = self._client.update_item(
            TableName=self._table,
            Key=key.attributes,
            UpdateExpression="SET edition = :edition, note = :note",
            ExpressionAttributeValues={":edition": edition, ":note": note},
        )
        before = self.ledger.expected(key) or key.attributes  # an update of nothing makes an item
        await self._write("UpdateItem", call, {key: {**before, EDITION: edition, "note": note}})

    async def _delete(self) -> None:
        key = self._any_key()
        call = self._client.delete_item(TableName=self._table, Key=key.attributes)
        await self._write("DeleteItem", call, {key: None})

    async def _batch_write(self) -> None:
        changes: dict[Key, Item | None] = {
            key: None if self._rng.random() < _DELETES else self._new_item(key) for key in self._some_keys()
        }
        await self._write_batch(changes)

    async def _fill(self, keys: Sequence[Key]) -> None:
        await self._write_batch({key: self._new_item(key) for key in keys})

    async def _write_batch(self, changes: Mapping[Key, Item | None]) -> None:
        requests: list[types.WriteRequest] = [
            {"DeleteRequest": {"Key": key.attributes}} if item is None else {"PutRequest": {"Item": item}}
            for key, item in changes.items()
        ]
        repeated = False
        try:
            while requests:
                call = self._client.batch_write_item(RequestItems={self._table: requests})
                answer = await self._meter.measure("BatchWriteItem", call)
                repeated = repeated or was_repeated(answer)
                requests = answer["UnprocessedItems"].get(self._table, [])
        except AlternatorError:
            self.ledger.doubt(changes)  # a failed batch may have done any part of its work
            raise
        self.ledger.acknowledge(changes, repeated=repeated)

    async def _write(
        self, kind: str, call: Awaitable[Mapping[str, object]], changes: Mapping[Key, Item | None]
    ) -> None:
        try:
            answer = await self._meter.measure(kind, call)
        except AlternatorError as error:
            if error.may_have_happened:
                self.ledger.doubt(changes)
            raise
        self.ledger.acknowledge(changes, repeated=was_repeated(answer))

    async def _get(self) -> None:
        key = self._any_key()
        call = self._client.get_item(TableName=self._table, Key=key.attributes, ConsistentRead=True)
        answer = await self._meter.measure("GetItem", call)
        self._check({key: answer.get("Item")})

    async def _batch_get(self) -> None:
        keys = self._some_keys()
        found: dict[Key, Item | None] = dict.fromkeys(keys)
        wanted: types.KeysAndAttributes | None = {"Keys": [key.attributes for key in keys], "ConsistentRead": True}
        while wanted:
            call = self._client.batch_get_item(RequestItems={self._table: wanted})
            answer = await self._meter.measure("BatchGetItem", call)
            found.update({key_of(item): item for item in answer["Responses"].get(self._table, [])})
            wanted = answer["UnprocessedKeys"].get(self._table)
        self._check(found)

    async def _query(self) -> None:
        shelf = self._any_key().shelf
        call = self._client.query(
            TableName=self._table,
            KeyConditionExpression=f"{SHELF} = :shelf",
            ExpressionAttributeValues={":shelf": {"S": shelf}},
            Limit=_PAGE,
            ConsistentRead=True,
        )
        answer = await self._meter.measure("Query", call)
        last = answer.get("LastEvaluatedKey")
        self._tally.misread(self.ledger.judge_page(shelf, answer["Items"], None if last is None else key_of(last)))

    async def _scan(self) -> None:
        """The next page of an endless walk through everybody's items; this worker's own can be checked."""
        parameters: types.ScanInput = {"TableName": self._table, "Limit": _PAGE, "ConsistentRead": True}
        if self._scanned_to is not None:
            parameters["ExclusiveStartKey"] = self._scanned_to
        answer = await self._meter.measure("Scan", self._client.scan(**parameters))
        self._scanned_to = answer.get("LastEvaluatedKey")
        self._check({key: item for item in answer["Items"] if (key := key_of(item)) in self.ledger})

    def _check(self, found: Mapping[Key, Item | None]) -> None:
        judged = [self.ledger.judge(key, item) for key, item in found.items()]
        self._tally.misread([mismatch for mismatch in judged if mismatch is not None])

    def _any_key(self) -> Key:
        return self._rng.choice(self._keys)

    def _some_keys(self) -> list[Key]:
        return self._rng.sample(self._keys, self._rng.randint(*_BATCH))

    def _next_edition(self) -> types.AttributeValue:
        self._edition += 1
        return {"N": str(self._edition)}

    def _new_item(self, key: Key) -> Item:
        return {SHELF: {"S": key.shelf}, SLOT: {"S": key.slot}, EDITION: self._next_edition(), "text": {"S": _FILLER}}

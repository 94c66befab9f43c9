"""Conditional writes beside the load: a number that only its owner moves on, by one, under a condition.

Rules: a write alternates between one that the client may repeat (``SET edition = :next``) and one that it may not
(``SET edition = edition + :one``), both on the condition that nothing else moved the number. When the client cannot
tell what became of a write it says so with `IndeterminateWriteError`; a read then tells, before the next write.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

import trio

from alternator_trio import ConditionalCheckFailedException
from alternator_trio.cli.ledger import EDITION, Item, Key, Ledger
from alternator_trio.cli.meter import Meter
from alternator_trio.cli.tally import Tally
from alternator_trio.cli.workload import PAUSE_AFTER_ERROR
from alternator_trio.client import Client
from alternator_trio.errors import AlternatorError, IndeterminateWriteError

if TYPE_CHECKING:
    from alternator_trio import types

__all__ = ["CONDITIONAL", "GuardedWriter"]

CONDITIONAL: Final = "conditional UpdateItem"
_RESOLVING: Final = "GetItem"
_CONDITION: Final = "edition = :current"
_FIRST_CONDITION: Final = "attribute_not_exists(edition)"
_INDETERMINATE: Final = (IndeterminateWriteError,)
_INDETERMINATE_OR_LATE: Final = (IndeterminateWriteError, ConditionalCheckFailedException)


class GuardedWriter:
    """One task of conditional writes.

    Args:
        client: The client under load.
        table: The table.
        number: Tells its key from those of other tasks.
        tally: Where operations are counted.

    Attributes:
        ledger: What must be under its key.
    """

    def __init__(self, client: Client, table: str, number: int, *, tally: Tally) -> None:
        self._client = client
        self._table = table
        self._tally = tally
        self._meter = Meter(tally)
        self._key = Key(f"guarded-{number:04}", "number")
        self.ledger = Ledger([self._key])
        self._current = 0  # 0: there is no item yet
        self._is_unresolved = False
        self._is_given_up = False  # a read found the last write not done; it may yet be

    async def run(self, until: float) -> None:
        """Write until a time on Trio's clock, and settle the last write if its outcome is unknown."""
        while trio.current_time() < until or self._is_unresolved:
            try:
                await (self._resolve() if self._is_unresolved else self._write())
            except AlternatorError:  # counted where it was raised
                await trio.sleep(PAUSE_AFTER_ERROR)
                if trio.current_time() >= until:
                    return

    async def _write(self) -> None:
        changes = {self._key: self._item(self._current + 1)}
        try:
            await self._meter.measure(CONDITIONAL, self._move_on(), self._dealt_with())
        except AlternatorError as error:
            if self._is_late(error):
                self._tally.not_happened -= 1
            elif error.may_have_happened:
                self._tally.indeterminate += 1
            else:
                raise
            self.ledger.doubt(changes)
            self._is_unresolved = True
            if not isinstance(error, self._dealt_with()):
                raise
        else:
            self._advance()
            self.ledger.acknowledge(changes)

    def _dealt_with(self) -> tuple[type[AlternatorError], ...]:
        return _INDETERMINATE_OR_LATE if self._is_given_up else _INDETERMINATE

    def _is_late(self, error: AlternatorError) -> bool:
        """Whether a write that a read found not done was done after that read: no attempt can be recalled."""
        return self._is_given_up and isinstance(error, ConditionalCheckFailedException)

    def _advance(self) -> None:
        self._current += 1
        self._is_given_up = False

    def _move_on(self) -> Awaitable[types.UpdateItemOutput]:
        following = self._current + 1
        if not self._current:
            expression, values, condition = "SET edition = :next", {":next": following}, _FIRST_CONDITION
        elif following % 2:
            values = {":next": following, ":current": self._current}
            expression, condition = "SET edition = :next", _CONDITION
        else:
            values = {":one": 1, ":current": self._current}
            expression, condition = "SET edition = edition + :one", _CONDITION
        return self._client.update_item(
            TableName=self._table,
            Key=self._key.attributes,
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeValues={name: {"N": str(value)} for name, value in values.items()},
        )

    async def _resolve(self) -> None:
        call = self._client.get_item(TableName=self._table, Key=self._key.attributes, ConsistentRead=True)
        answer = await self._meter.measure(_RESOLVING, call)
        found = answer.get("Item")
        following = self._item(self._current + 1)
        self._is_unresolved = False
        if found == following:
            self._tally.resolved(happened=True)
            self.ledger.settle(self._key, found)
            self._advance()
        else:
            self._tally.resolved(happened=False)
            self._is_given_up = True
            mismatch = self.ledger.judge(self._key, found)
            self._tally.misread([] if mismatch is None else [mismatch])

    def _item(self, edition: int) -> Item:
        return {**self._key.attributes, EDITION: {"N": str(edition)}}

"""The names that clients give for tables' keys, held against the keys that the tables had.

Rules: after a change that the client has acknowledged, and a moment for it to come around, nobody is told a name from
before it; and once nobody changes anything, the name is the one that the table has.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterable, Iterator

import trio

from alternator_trio import AlternatorError, Client
from alternator_trio.testing import RegisterEngine

__all__ = ["LONGEST", "KeyAsked", "Store", "check_keys", "check_present_key"]

LONGEST = 500.0  # seconds for an answer: more than the attempts of some lookups take, one after another


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeyAsked:
    """A question for a table's key.

    Attributes:
        table: The table.
        began: When it was asked (Trio's clock).
        ended: When it was answered.
        name: The answer.
        changed: When the last change that the same client had acknowledged by then was; minus infinity for none.
    """

    table: str
    began: float
    ended: float
    name: str
    changed: float


class Store(RegisterEngine):
    """A register engine that keeps on record which key its tables had.

    Attributes:
        keys: By table, since when it has had which key; None: there was no table.
    """

    def __init__(self, *, spread: float, rng: random.Random) -> None:
        super().__init__(spread=spread, rng=rng)
        self.keys: dict[str, list[tuple[float, str | None]]] = {}

    def table_operation(self, operation, request):
        answer = super().table_operation(operation, request)
        if operation in {"CreateTable", "DeleteTable"}:
            name = request["KeySchema"][0]["AttributeName"] if operation == "CreateTable" else None
            self.keys.setdefault(request["TableName"], []).append((trio.current_time(), name))
        return answer


async def check_present_key(client: Client, store: Store, table: str) -> Iterator[str]:
    """In a cluster that is well, when nobody changes anything: the name is the one that the table has."""
    name = store.keys[table][-1][1] if table in store.keys else None
    told = None
    with trio.move_on_after(LONGEST):
        try:
            told = await client.partition_key(table)
        except AlternatorError as error:
            told = None if name is None else repr(error)
    return iter(() if told == name else [f"the key of {table} is {name}, not {told}"])


def check_keys(asked: Iterable[KeyAsked], store: Store) -> Iterator[str]:
    """Each name against those that the table had since the client's own last change."""
    for each in asked:
        since = each.changed if each.changed < each.began else -math.inf  # at that very moment the news is under way
        keys = [(-math.inf, None), *store.keys.get(each.table, ())]
        ends = [at for at, _ in keys[1:]] + [math.inf]
        possible = {name for (at, name), end in zip(keys, ends, strict=True) if end >= since and at <= each.ended}
        if each.name not in possible:
            yield f"an older key than {possible} is given: {each}"

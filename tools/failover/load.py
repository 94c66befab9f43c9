"""The load: so many tasks, each of which begins its next operation when its last one has ended, or a little later.

Rules: every operation is repeatable without changing the outcome (a read, a put, an update that sets a value), so that
no error is the client's right. What an operation cost, and which node answered it, is noted when it ends.
"""

from __future__ import annotations

import collections
import time
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING

import trio

from alternator_trio import AlternatorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from alternator_trio import Client

TABLE = "users"
KEYS = 64


@dataclass(frozen=True, slots=True)
class Done:
    """One operation: when it ended (``time.monotonic``), how long it took in seconds, and who answered."""

    at: float
    seconds: float
    node: str


@dataclass(slots=True)
class Log:
    """What the application saw."""

    done: list[Done] = field(default_factory=list)
    errors: collections.Counter[str] = field(default_factory=collections.Counter)


async def create_table(client: Client) -> None:
    """Make the table that the load uses, with an item for each key."""
    await client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(KEYS):
        await client.put_item(TableName=TABLE, Item={"id": {"S": str(number)}, "n": {"N": "0"}})


async def keep_calling(client: Client, log: Log, in_flight: int, pause: float = 0.0) -> None:
    """Load the client until cancelled; each caller waits for ``pause`` seconds after each operation."""
    async with trio.open_nursery() as nursery:
        for number in range(in_flight):
            nursery.start_soon(_call_in_turn, client, log, number, pause)


async def _call_in_turn(client: Client, log: Log, number: int, pause: float) -> None:
    operations = cycle((_get, _put, _update) if number % 2 else (_get, _update, _put))
    while True:
        began = time.monotonic()
        try:
            node = await _node_of(next(operations), client, str(number % KEYS))
        except AlternatorError as error:
            log.errors[f"{type(error).__name__}: {error}"] += 1
        else:
            ended = time.monotonic()
            log.done.append(Done(ended, ended - began, node))
        if pause:
            await trio.sleep(pause)


async def _node_of(call: Callable[[Client, str], Awaitable[object]], client: Client, key: str) -> str:
    result = await call(client, key)
    assert isinstance(result, dict)  # noqa: S101 - results are
    return str(result["ResponseMetadata"]["Node"])


async def _get(client: Client, key: str) -> object:
    return await client.get_item(TableName=TABLE, Key={"id": {"S": key}})


async def _put(client: Client, key: str) -> object:
    return await client.put_item(TableName=TABLE, Item={"id": {"S": key}, "n": {"N": "1"}})


async def _update(client: Client, key: str) -> object:
    return await client.update_item(
        TableName=TABLE,
        Key={"id": {"S": key}},
        UpdateExpression="SET n = :n",
        ExpressionAttributeValues={":n": {"N": "2"}},
    )

"""Tables that are deleted and created again with another key, while others ask for the name of that key.

Rules: the load writes down what it was told, and judges nothing but that everybody is told something.
"""

from __future__ import annotations

import itertools
import math
import random

import trio

from alternator_trio import AlternatorError, Client
from alternator_trio.testing.simulation import History
from tests.sim.check_keys import LONGEST, KeyAsked

__all__ = ["Tables"]

ASKERS = 3
QUESTIONS = 6
CHANGES = 3
PAUSES = (0.0, 0.0005, 0.003, 0.05, 0.5)  # from less than a round trip to many
SOON = 0.002
GIVEN_UP = 0.2


class Tables:
    """The load.

    Args:
        history: Where things are written down for the digest.
        rng: Where everything is drawn from.

    Attributes:
        asked: Questions that were answered with a name.
        unanswered: Questions that nobody answered, neither with a name nor with an error.
    """

    def __init__(self, history: History, rng: random.Random) -> None:
        self.asked: list[KeyAsked] = []
        self.unanswered: list[str] = []
        self._history = history
        self._rng = rng
        self._changed: dict[str, float] = {}
        self._numbers = itertools.count(1)

    async def run(self, client: Client, table: str) -> None:
        """One client's table: it alone changes it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._change, client, table, nursery)
            for _ in range(ASKERS):
                nursery.start_soon(self._ask, client, table)

    async def _change(self, client: Client, table: str, nursery: trio.Nursery) -> None:
        for _ in range(CHANGES):
            key = f"key{next(self._numbers)}"
            for change in (
                lambda: client.delete_table(TableName=table),
                lambda key=key: client.create_table(
                    TableName=table,
                    KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                    AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                    BillingMode="PAY_PER_REQUEST",
                ),
            ):
                await trio.sleep(self._rng.choice(PAUSES))
                try:
                    await change()
                except AlternatorError as error:
                    self._history.record("no change", table, type(error).__name__)
                else:
                    self._changed[table] = trio.current_time()
                    for _ in range(ASKERS):
                        nursery.start_soon(self._ask_once, client, table)

    async def _ask(self, client: Client, table: str) -> None:
        for _ in range(QUESTIONS):
            if self.unanswered:
                return
            await self._ask_once(client, table, patience=SOON if self._rng.random() < GIVEN_UP else LONGEST)

    async def _ask_once(self, client: Client, table: str, patience: float = LONGEST) -> None:
        await trio.sleep(self._rng.choice(PAUSES))
        began, changed = trio.current_time(), self._changed.get(table, -math.inf)
        with trio.move_on_after(patience) as scope:
            try:
                name = await client.partition_key(table)
            except AlternatorError as error:
                self._history.record("no key", table, type(error).__name__)
            else:
                self._history.record("key", table, name)
                ended = trio.current_time()
                self.asked.append(KeyAsked(table=table, began=began, ended=ended, name=name, changed=changed))
        if scope.cancelled_caught and patience == LONGEST:
            self.unanswered.append(
                f"who asks for the key of {table} at {began:.4f} gets no answer within {LONGEST:g} s"
            )

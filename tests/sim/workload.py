"""The load: tasks that read and write registers through the client, and write down what they were told.

Table ``lwt`` is only written by transactions (conditions, counters), table ``plain`` by plain puts, updates, deletions
and batches. Rules: the load checks nothing but that errors are the client's own.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import trio

from alternator_trio import AlternatorError, Client, ConditionalCheckFailedException
from alternator_trio.errors import ServiceError
from alternator_trio.testing.simulation import History
from tests.sim.clocks import Clocks
from tests.sim.drawn import Drawn
from tests.sim.record import Done

__all__ = ["Workload"]

RUNNERS = 3
TRANSIENT = frozenset({"InternalServerError", "RequestLimitExceeded", "UnknownError"})
KINDS = {
    "lwt": (("read", 4), ("create", 3), ("replace", 4), ("count", 3), ("remove", 1)),
    "plain": (("read", 4), ("query", 1), ("put", 4), ("set", 2), ("delete", 1), ("batch", 1)),
}


class Workload:
    """All tasks of a run.

    Args:
        drawn: What the run is.
        history: Where operations are written down for the digest.
        rng: Where everything is drawn from.
        clocks: Knows when a clock has jumped: a signature may be refused then.

    Attributes:
        done: What was done, in the order of beginning.
        surprises: Errors that are not the client's own, or that a right client never raises.
    """

    def __init__(self, drawn: Drawn, history: History, rng: random.Random, clocks: Clocks) -> None:
        self.done: list[Done] = []
        self.surprises: list[str] = []
        self._drawn = drawn
        self._history = history
        self._rng = rng
        self._clocks = clocks
        self._last_seen: dict[tuple[str, str], str | None] = {}

    async def run(self, client: Client, name: str) -> None:
        """One client's share."""
        async with trio.open_nursery() as nursery:
            for _ in range(self._drawn.tasks):
                nursery.start_soon(self._task, client, name)

    async def _task(self, client: Client, name: str) -> None:
        rng, drawn = self._rng, self._drawn
        for _ in range(drawn.operations):
            if drawn.pause:
                await trio.sleep(rng.expovariate(1.0) * drawn.pause)
            table = rng.choice(("lwt", "plain"))
            names, weights = zip(*KINDS[table], strict=True)
            (kind,) = rng.choices(names, weights)
            key = f"k{rng.randrange(drawn.keys)}"
            if rng.random() < drawn.races:
                await self._race(client, name, table, key)
                continue
            patience = rng.uniform(0.0, 1.0) if rng.random() < drawn.cancelled else float("inf")
            await self.perform(client, name, kind, table, key, patience=patience)

    async def _race(self, client: Client, name: str, table: str, key: str) -> None:
        """Several reads at once: the first to end ends the others, in the tick in which its connection goes to one."""

        async def read() -> None:
            await self.perform(client, name, "read", table, key)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for _ in range(RUNNERS):
                nursery.start_soon(read)

    async def perform(
        self, client: Client, name: str, kind: str, table: str, key: str, *, patience: float = float("inf")
    ) -> Done:
        """One operation."""
        done = Done(number=len(self.done), client=name, kind=kind, table=table, key=key, began=trio.current_time())
        if kind not in {"read", "query", "delete", "remove"}:
            done.value = f"{key}.{done.number}"
        self.done.append(done)
        self._history.record("begin", name, done.number, kind, table, key)
        with trio.move_on_after(patience) as scope:
            try:
                answer = await self._call(client, done)
                done.outcome = "ok"
                done.attempts = answer["ResponseMetadata"]["RetryAttempts"] + 1
                if done.is_read:
                    items = answer["Items"] if kind == "query" else [answer.get("Item")]
                    self._see(done, items[0] if items else None)
            except AlternatorError as error:
                self._fail(done, error)
        if scope.cancelled_caught:
            done.why = "cancelled"
            done.attempts = self._drawn.options["retry"].max_attempts
        else:
            done.ended = trio.current_time()
        self._history.record("end", name, done.number, done.outcome, done.attempts, done.why)
        return done

    def _fail(self, done: Done, error: AlternatorError) -> None:
        done.attempts = max(error.attempts, 1)
        done.why = f"{type(error).__name__}: {error}"
        if isinstance(error, ConditionalCheckFailedException) and not error.may_have_happened:
            done.outcome = "refused"
        else:
            done.outcome = "unknown" if error.may_have_happened else "failed"
            if isinstance(error, ConditionalCheckFailedException):
                self.surprises.append(f"{done}: an attempt of its own may be why the condition fails")
        code = error.code if isinstance(error, ServiceError) else None
        if code == "InvalidSignatureException" and self._drawn.signed and self._clocks.jumped_since(done.began):
            return
        if code not in {None, "ConditionalCheckFailedException", *TRANSIENT} and not self._drawn.faults.wrong_length:
            self.surprises.append(f"{done}")

    def _see(self, done: Done, item: dict | None) -> None:
        done.seen = None if item is None else (item["v"]["S"], int(item.get("n", {"N": "0"})["N"]))
        self._last_seen[done.table, done.key] = None if done.seen is None else done.seen[0]

    def _call(self, client: Client, done: Done) -> Awaitable[dict]:
        table, key = done.table, {"id": {"S": done.key}}
        written = {**key, "v": {"S": done.value}}
        calls: dict[str, Callable[[], Awaitable[dict]]] = {
            "read": lambda: client.get_item(TableName=table, Key=key, ConsistentRead=True),
            "query": lambda: client.query(
                TableName=table,
                KeyConditionExpression="id = :id",
                ExpressionAttributeValues={":id": key["id"]},
                ConsistentRead=True,
            ),
            "put": lambda: client.put_item(TableName=table, Item=written),
            "set": lambda: client.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="SET v = :v",
                ExpressionAttributeValues={":v": written["v"]},
            ),
            "count": lambda: client.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="SET v = :v ADD n :one",
                ExpressionAttributeValues={":v": written["v"], ":one": {"N": "1"}},
            ),
            "delete": lambda: client.delete_item(TableName=table, Key=key),
            "batch": lambda: client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": written}}]}),
        }
        if done.kind in calls:
            return calls[done.kind]()
        return self._conditional(client, done, key, written)

    def _conditional(self, client: Client, done: Done, key: dict, written: dict) -> Awaitable[dict]:
        if done.kind == "create":
            return client.put_item(TableName=done.table, Item=written, ConditionExpression="attribute_not_exists(id)")
        done.expected = self._last_seen.get((done.table, done.key)) or "nothing"
        condition = {
            "ConditionExpression": "v = :old",
            "ExpressionAttributeValues": {":old": {"S": done.expected}},
        }
        if done.kind == "remove":
            return client.delete_item(TableName=done.table, Key=key, **condition)
        return client.put_item(TableName=done.table, Item=written, **condition)

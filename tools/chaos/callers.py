"""The load: callers that write, read and check what they read, each on items of its own and on counters of all.

Rules: a caller does one operation at a time; the ledger is told how each ended and judges each read; an item's text is
a function of its key and edition, so that an answer that belongs to another request cannot pass for the right one.
Every operation has a bound after which this run, not the client, ends it, and that is a complaint.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import trio
from journal import Journal
from registers import Register

from alternator_trio import AlternatorError, OperationTimeoutError

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from cancelling import Guillotine
    from gate import Gate
    from registers import Counter
    from tally import Tally

    from alternator_trio import Client

TABLE = "chaos"
SLOTS = 12
PATIENCE = 90.0
"""Seconds that any operation may take, all its attempts, pauses and waits together."""
LATE = 5.0
"""Seconds by which an operation may outlast its own timeout on a machine that is busy."""
_MIX: Mapping[str, int] = {
    "put": 20, "get": 20, "update": 10, "delete": 6, "conditional": 10, "count": 5, "read_counter": 2, "append": 6,
    "batch_write": 7, "batch_get": 5, "query": 6, "scan": 5,
}  # fmt: skip
_LARGE_EVERY = 7
_LEFT_SOON = 0.06
"""The share of operations that get a random deadline from their caller."""
_CONDITION_FAILED = "ConditionalCheckFailedException"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One way to call: a client or a view of it, its timeout if it has one, and how often a write may be executed."""

    name: str
    client: Client
    limit: float | None = None
    executions: int = 1
    only_in_storms: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an operation ended; ``unknown`` is for writes that may have happened, and whose caller left."""

    how: Literal["done", "refused", "unknown"]
    began: float
    answer: Mapping[str, Any]
    error: AlternatorError | None = None

    @property
    def repeated(self) -> bool:
        """Whether it took more than one attempt."""
        return bool(self.answer and self.answer["ResponseMetadata"]["RetryAttempts"])


class Caller:
    """One task of the load."""

    def __init__(
        self,
        number: int,
        views: Sequence[View],
        *,
        tally: Tally,
        guillotine: Guillotine,
        counters: Sequence[Counter],
        rng: random.Random,
        horizon: float,
        pause: float,
    ) -> None:
        self._views = views
        self._tally = tally
        self._guillotine = guillotine
        self._counters = counters
        self._rng = rng
        self._pause = pause
        self._edition = 0
        self._journals = 0
        self._journal = self._next_journal(number)
        self.shelf = f"caller-{number:03}"
        self.registers = {f"slot-{slot:02}": Register(f"{self.shelf}/slot-{slot:02}", horizon) for slot in range(SLOTS)}
        moves = [self._put, self._get, self._update, self._delete, self._conditional, self._count, self._read_counter,
                 self._append,                 self._batch_write, self._batch_get, self._query, self._scan]  # fmt: skip
        self._moves: list[Callable[[View], Awaitable[None]]] = moves

    async def run(self, gate: Gate) -> None:
        """Do one operation after another while the gate is open; each waits a little after it."""
        weights = list(_MIX.values())
        while True:
            await gate.passed()
            with gate.inside():
                try:
                    await self._rng.choices(self._moves, weights)[0](self._draw_view())
                except (KeyError, TypeError, ValueError) as error:
                    self._tally.complain(f"an answer of another operation's shape: {error!r}")
            await trio.sleep(self._rng.expovariate(1 / self._pause))

    async def check_everything(self, view: View) -> None:
        """Read all own items back, and complain of what cannot be read."""
        outcome = await self._ask(view, "query", may_leave=False, **self._whole_shelf())
        if outcome.how == "done":
            self._judge_shelf(outcome.answer["Items"])
        else:
            self._tally.complain(f"{self.shelf} cannot be read back: {outcome.error!r}")

    # The operations.

    async def _put(self, view: View) -> None:
        slot, edition = self._draw_slot(), self._next_edition()
        outcome = await self._ask(view, "put_item", Item=self._item(slot, edition))
        await self._wrote({slot: edition}, outcome, view)

    async def _update(self, view: View) -> None:
        slot, edition = self._draw_slot(), self._next_edition()
        outcome = await self._ask(
            view, "update_item", Key=self._key(slot), UpdateExpression="SET edition = :edition, body = :body",
            ExpressionAttributeValues={":edition": {"N": str(edition)}, ":body": {"S": self._text(slot, edition)}},
        )  # fmt: skip
        await self._wrote({slot: edition}, outcome, view)

    async def _delete(self, view: View) -> None:
        slot = self._draw_slot()
        await self._wrote({slot: 0}, await self._ask(view, "delete_item", Key=self._key(slot)), view)

    async def _conditional(self, view: View) -> None:
        slot, edition = self._draw_slot(), self._next_edition()
        register = self.registers[slot]
        expected, certain = register.acknowledged, register.is_certain
        condition: dict[str, object] = {"ConditionExpression": "attribute_not_exists(shelf)"}
        if expected:
            condition = {
                "ConditionExpression": "edition = :was",
                "ExpressionAttributeValues": {":was": {"N": str(expected)}},
            }
        outcome = await self._ask(view, "put_item", Item=self._item(slot, edition), **condition)
        if certain and getattr(outcome.error, "code", None) == _CONDITION_FAILED:
            self._tally.complain(f"{register.name}: a condition failed though edition {expected} must have been there")
        await self._wrote({slot: edition}, outcome, view)

    async def _batch_write(self, view: View) -> None:
        slots = self._rng.sample(list(self.registers), self._rng.randint(2, 5))
        changes = {slot: 0 if self._rng.random() < 0.2 else self._next_edition() for slot in slots}  # noqa: PLR2004
        requests = [
            {"PutRequest": {"Item": self._item(slot, edition)}}
            if edition
            else {"DeleteRequest": {"Key": self._key(slot)}}
            for slot, edition in changes.items()
        ]
        outcome = await self._ask(view, "batch_write_item", RequestItems={TABLE: requests})
        await self._wrote(changes, outcome, view)

    async def _wrote(self, changes: Mapping[str, int], outcome: Outcome, view: View) -> None:
        """Tell the ledger; what did not succeed is looked at soon, before anything else is written there."""
        now = time.monotonic()
        for slot, edition in changes.items():
            register = self.registers[slot]
            if outcome.how == "done":
                register.acknowledge(edition, began=outcome.began, now=now, repeated=outcome.repeated)
            elif outcome.how == "unknown":
                register.doubt(edition, now=now)
            elif edition:
                register.refuse(edition)
        if outcome.how == "refused" or (outcome.how == "unknown" and self._rng.random() < 0.5):  # noqa: PLR2004 - a coin
            await self._read(view, next(iter(changes)))

    async def _get(self, view: View) -> None:
        await self._read(view, self._draw_slot())

    async def _read(self, view: View, slot: str) -> None:
        outcome = await self._ask(view, "get_item", Key=self._key(slot), ConsistentRead=True)
        if outcome.how == "done":
            self._judge(slot, outcome.answer.get("Item"))

    async def _batch_get(self, view: View) -> None:
        slots = self._rng.sample(list(self.registers), 4)
        asked = {TABLE: {"Keys": [self._key(slot) for slot in slots], "ConsistentRead": True}}
        outcome = await self._ask(view, "batch_get_item", RequestItems=asked)
        if outcome.how == "done" and not outcome.answer.get("UnprocessedKeys"):
            found = {item["slot"]["S"]: item for item in outcome.answer["Responses"].get(TABLE, [])}
            for slot in slots:
                self._judge(slot, found.get(slot))

    async def _query(self, view: View) -> None:
        outcome = await self._ask(view, "query", **self._whole_shelf())
        if outcome.how == "done":
            self._judge_shelf(outcome.answer["Items"])

    async def _scan(self, view: View) -> None:
        """A page of everybody's items, from a place of one's own; only what is one's own can be judged."""
        further = {"ExclusiveStartKey": self._key("slot-00")} if self._rng.random() < 0.5 else {}  # noqa: PLR2004
        outcome = await self._ask(view, "scan", ConsistentRead=True, Limit=30, **further)
        for item in outcome.answer.get("Items", []):
            if item["shelf"]["S"] == self.shelf:
                self._judge(item["slot"]["S"], item)

    async def _count(self, view: View) -> None:
        counter = self._rng.choice(self._counters)
        counter.begin(view.executions)
        at_least = counter.acknowledged + 1
        outcome = await self._ask(
            view, "update_item", Key=counter_key(counter), UpdateExpression="ADD so_far :one",
            ExpressionAttributeValues={":one": {"N": "1"}}, ReturnValues="UPDATED_NEW",
        )  # fmt: skip
        if outcome.how == "done":
            self._tally.complain(counter.judge(int(outcome.answer["Attributes"]["so_far"]["N"]), at_least=at_least))
            counter.acknowledge(view.executions, view.executions if outcome.repeated else 1)
        elif outcome.how == "refused":
            counter.refuse(view.executions)

    async def _read_counter(self, view: View) -> None:
        await self.check_counter(view, self._rng.choice(self._counters))

    async def check_counter(self, view: View, counter: Counter, *, may_leave: bool = True) -> None:
        """Read one counter and judge it."""
        at_least = counter.acknowledged
        outcome = await self._ask(view, "get_item", may_leave=may_leave, Key=counter_key(counter), ConsistentRead=True)
        if outcome.how == "done":
            item = outcome.answer.get("Item", {"so_far": {"N": "0"}})
            self._tally.complain(counter.judge(int(item["so_far"]["N"]), at_least=at_least))

    async def _append(self, view: View) -> None:
        journal, entry = self._journal, self._next_edition()
        key = {"shelf": {"S": journal.name}, "slot": {"S": "journal"}}
        journal.begin(entry, view.executions)
        outcome = await self._ask(
            view, "update_item", Key=key,
            UpdateExpression="SET entries = list_append(if_not_exists(entries, :none), :entry)",
            ExpressionAttributeValues={":none": {"L": []}, ":entry": {"L": [{"N": str(entry)}]}},
        )  # fmt: skip
        if outcome.how == "done":
            journal.acknowledge(entry)
        elif outcome.how == "refused":
            journal.refuse(entry)
        read = await self._ask(view, "get_item", Key=key, ConsistentRead=True)
        if read.how == "done":
            entries = read.answer.get("Item", {}).get("entries", {"L": []})["L"]
            self._tally.complain(journal.judge([int(each["N"]) for each in entries]))
        if journal.is_full:
            self._journal = self._next_journal(int(self.shelf.rpartition("-")[2]))
            await self._ask(view, "delete_item", Key=key)  # of no consequence: nobody looks there again

    # Below: the parts of the above.

    async def _ask(self, view: View, name: str, *, may_leave: bool = True, **parameters: object) -> Outcome:
        """One operation, from its beginning to whichever end."""
        tally, scope = self._tally, trio.CancelScope()
        if not name.startswith("batch"):
            parameters["TableName"] = TABLE
        if may_leave and self._rng.random() < _LEFT_SOON:
            scope.deadline = trio.current_time() + self._rng.expovariate(1 / 0.01)
        answer: Mapping[str, Any] = {}
        error: AlternatorError | None = None
        tally.begun += 1
        began = time.monotonic()
        with trio.move_on_after(PATIENCE) as bound, scope:
            try:
                if may_leave:
                    with self._guillotine.over(scope):
                        answer = await getattr(view.client, name)(**parameters)
                else:
                    answer = await getattr(view.client, name)(**parameters)
            except AlternatorError as raised:
                error = raised
        self._note(view, name, began, answer, error)
        if bound.cancelled_caught:
            tally.complain(f"{name} has not ended within {PATIENCE:g} s")
        if answer:
            return Outcome(how="done", began=began, answer=answer)
        certain = error is not None and not error.may_have_happened
        return Outcome(how="refused" if certain else "unknown", began=began, answer={}, error=error)

    def _note(
        self, view: View, name: str, began: float, answer: Mapping[str, Any], error: AlternatorError | None
    ) -> None:
        tally, ended = self._tally, time.monotonic()
        tally.longest = max(tally.longest, ended - began)
        if view.limit is not None:
            tally.overshoot = max(tally.overshoot, ended - began - view.limit)
            if ended - began > view.limit + LATE:
                tally.complain(f"{name} took {ended - began:.1f} s with operation_timeout={view.limit:g}")
        if answer:
            tally.done[name] += 1
            tally.retries += answer["ResponseMetadata"]["RetryAttempts"]
            tally.nodes.add(answer["ResponseMetadata"]["Node"])
        elif error is None:
            tally.cancelled += 1
        elif getattr(error, "code", None) == _CONDITION_FAILED:
            tally.done[f"{name}, condition not met"] += 1
        else:
            if isinstance(error, OperationTimeoutError) and view.limit is None:
                tally.complain(f"{error!r}, and nobody had asked for a timeout")
            tally.failed(error, began=began, ended=ended)

    def _judge_shelf(self, items: Sequence[Mapping[str, Any]]) -> None:
        found = {item["slot"]["S"]: item for item in items}
        for slot in self.registers:
            self._judge(slot, found.get(slot))

    def _judge(self, slot: str, item: Mapping[str, Any] | None) -> None:
        register = self.registers[slot]
        edition = 0 if item is None else int(item["edition"]["N"])
        self._tally.complain(register.judge(edition))
        self._tally.doubtful += edition != register.acknowledged
        if item is not None and item != self._item(slot, edition):
            self._tally.complain(f"{register.name}: another answer than edition {edition}'s was read")

    def _whole_shelf(self) -> dict[str, object]:
        return {
            "KeyConditionExpression": "shelf = :shelf",
            "ExpressionAttributeValues": {":shelf": {"S": self.shelf}},
            "ConsistentRead": True,
        }

    def _next_journal(self, number: int) -> Journal:
        self._journals += 1
        return Journal(f"journal-{number:03}-{self._journals}")

    def _draw_view(self) -> View:
        view = self._rng.choice(self._views)
        return self._views[0] if view.only_in_storms and self._tally.calm_since is not None else view

    def _draw_slot(self) -> str:
        return self._rng.choice(list(self.registers))

    def _next_edition(self) -> int:
        self._edition += 1
        return self._edition

    def _key(self, slot: str) -> dict[str, object]:
        return {"shelf": {"S": self.shelf}, "slot": {"S": slot}}

    def _item(self, slot: str, edition: int) -> dict[str, object]:
        return {**self._key(slot), "edition": {"N": str(edition)}, "body": {"S": self._text(slot, edition)}}

    def _text(self, slot: str, edition: int) -> str:
        return f"{self.shelf}/{slot}/{edition} " * (400 if edition % _LARGE_EVERY == 0 else 4)


def counter_key(counter: Counter) -> dict[str, object]:
    """Where a counter is."""
    return {"shelf": {"S": counter.name}, "slot": {"S": "counter"}}

"""What the callers of a story were told, held against the server's own record of what took effect.

Rules: an acknowledged write took effect while it ran; one that failed for certain never did; none took effect more
often than it had attempts, and one that must not be repeated at most once; a read shows what was there at some moment
while it ran. What the client may have remembered shows what was there at some moment since it had to forget. The store
makes every write a transaction, so that its record alone says what was there when. Tables are written and read, too.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

import trio

from alternator_trio.testing import RegisterEngine
from tests.sim.asking import KEYS, SCRATCH_ITSELF, Place, Value, key_name

__all__ = ["Asked", "Effect", "RecordingEngine", "wrong_reads", "wrong_writes"]


class Effect(NamedTuple):
    """What the server did at one place.

    Attributes:
        at: When (Trio's clock).
        place: Where.
        value: What is there from then on; None for nothing.
    """

    at: float
    place: Place
    value: Value


@dataclasses.dataclass(slots=True, kw_only=True)
class Asked:
    """One operation of a caller's, at one or more places.

    Attributes:
        number: Its number.
        kind: What it is.
        began: When (Trio's clock).
        since: From when on what it shows may have been there; when it began, unless the client remembers it.
        writes: The places that it writes to.
        value: What it writes; None for a deletion.
        ended: When; infinity as long as it is under way, and where it was cancelled.
        outcome: What its caller was told.
        attempts: How many attempts there can have been.
        seen: By place, the value that it read; None for nothing.
        why: The error.
    """

    number: int
    kind: str
    began: float
    since: float
    writes: frozenset[Place] = frozenset()
    value: Value = None
    ended: float = math.inf
    outcome: Literal["done", "failed", "unknown"] = "unknown"
    attempts: int = 1
    seen: dict[Place, Value] = dataclasses.field(default_factory=dict)
    why: str = ""


class RecordingEngine(RegisterEngine):
    """A store that makes every write a transaction, and has tables on its record.

    Attributes:
        effects: Everything that took effect, in that order.
    """

    def __init__(self) -> None:
        super().__init__(isolation="always")
        self.effects: list[Effect] = []

    def scratch_key(self) -> str:
        """The name of the scratch table's key; of its last one, when there is none."""
        made = [effect.value for effect in self.effects if effect.place == SCRATCH_ITSELF and effect.value is not None]
        return key_name(made[-1] if made else None)

    def has_written(self, place: Place, value: Value) -> bool:
        """Whether a value was ever there."""
        return any((effect.place, effect.value) == (place, value) for effect in self.effects)

    def table_operation(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer = super().table_operation(operation, request)
        if operation in {"CreateTable", "DeleteTable"}:
            name = request["KeySchema"][0]["AttributeName"] if operation == "CreateTable" else None
            self._record((request["TableName"],), name and name.removeprefix("k"))
            for key in KEYS:
                self._record((request["TableName"], key), None)
        return answer

    def write(self, *arguments: Any, **more: Any) -> dict[str, Any]:
        answer = super().write(*arguments, **more)
        write = self.applied[-1]
        value = None if write.item is None else json.loads(write.item["v"])["S"]
        self._record((write.table, json.loads(write.key[0])["S"]), value)
        return answer

    def _record(self, place: Place, value: Value) -> None:
        self.effects.append(Effect(trio.current_time(), place, value))


def wrong_writes(asked: Iterable[Asked], effects: Iterable[Effect]) -> Iterator[str]:
    """Each write against its effects."""
    times_of: dict[tuple[Place, Value], list[float]] = {}
    for effect in effects:
        times_of.setdefault((effect.place, effect.value), []).append(effect.at)
    for each in asked:
        for place in sorted(each.writes):
            times = times_of.get((place, each.value), [])
            if each.outcome == "done" and not any(each.began <= at <= each.ended for at in times):
                yield f"acknowledged without an effect on {place} (effects at {times}): {each}"
            if each.value is None:
                continue  # one deletion is like another
            if each.outcome == "failed" and times:
                yield f"failed for certain, and took effect on {place} at {times}: {each}"
            if len(times) > each.attempts:
                yield f"took effect on {place} {len(times)} times: {each}"


def wrong_reads(asked: Iterable[Asked], effects: Iterable[Effect]) -> Iterator[str]:
    """Each read against what was there while it ran, or since it may have been remembered."""
    history: dict[Place, list[Effect]] = {}
    for effect in effects:
        history.setdefault(effect.place, []).append(effect)
    for each in asked:
        for place, value in each.seen.items():
            there = [Effect(-math.inf, place, None), *history.get(place, [])]
            before = [effect.value for effect in there if effect.at < each.since][-1:]
            possible = {*before, *(effect.value for effect in there if each.since <= effect.at <= each.ended)}
            if value not in possible:
                yield f"shows {value} at {place}, where there was {possible}: {each}"

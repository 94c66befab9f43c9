"""What the callers of a story were told, held against the server's own record of what took effect.

Rules: an acknowledged write took effect while it ran; one that failed for certain never did; none took effect more
often than it had attempts, and one that must not be repeated at most once; a read shows what was there at some moment
while it ran. The store makes every write a transaction, so that its record alone says what was there when.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator
from typing import Literal

from alternator_trio.testing.simulation import AppliedWrite

__all__ = ["Asked", "wrong_reads", "wrong_writes"]


@dataclasses.dataclass(slots=True, kw_only=True)
class Asked:
    """One operation of a caller's, on one or more keys.

    Attributes:
        number: Its number, which is the value that it writes.
        kind: What it is.
        began: When (Trio's clock).
        writes: The keys that it writes to.
        ended: When; infinity as long as it is under way, and where it was cancelled.
        outcome: What its caller was told.
        attempts: How many attempts there can have been.
        seen: By key, the value that it read; None for no item.
        why: The error.
    """

    number: int
    kind: str
    began: float
    writes: frozenset[str] = frozenset()
    ended: float = math.inf
    outcome: Literal["done", "failed", "unknown"] = "unknown"
    attempts: int = 1
    seen: dict[str, str | None] = dataclasses.field(default_factory=dict)
    why: str = ""


def wrong_writes(asked: Iterable[Asked], applied: Iterable[AppliedWrite]) -> Iterator[str]:
    """Each write against its effects."""
    effects: dict[tuple[str, str | None], list[float]] = {}
    for write in applied:
        effects.setdefault((_key(write), _value(write)), []).append(write.at)
    for each in asked:
        for key in sorted(each.writes):
            times = effects.get((key, None if each.kind == "delete" else str(each.number)), [])
            if each.outcome == "done" and not any(each.began <= at <= each.ended for at in times):
                yield f"acknowledged without an effect on {key} (effects at {times}): {each}"
            if each.kind == "delete":
                continue  # one deletion is like another
            if each.outcome == "failed" and times:
                yield f"failed for certain, and took effect on {key} at {times}: {each}"
            if len(times) > each.attempts:
                yield f"took effect on {key} {len(times)} times: {each}"


def wrong_reads(asked: Iterable[Asked], applied: Iterable[AppliedWrite]) -> Iterator[str]:
    """Each read against what was there while it ran."""
    history: dict[str, list[tuple[float, str | None]]] = {}
    for write in applied:
        history.setdefault(_key(write), [(-math.inf, None)]).append((write.at, _value(write)))
    for each in asked:
        for key, value in each.seen.items():
            there = history.get(key, [(-math.inf, None)])
            before = [was for at, was in there if at < each.began][-1]
            possible = {before, *(was for at, was in there if each.began <= at <= each.ended)}
            if value not in possible:
                yield f"shows {value} at {key}, where there was {possible}: {each}"


def _key(write: AppliedWrite) -> str:
    return json.loads(write.key[0])["S"]


def _value(write: AppliedWrite) -> str | None:
    return None if write.item is None else json.loads(write.item["v"])["S"]

"""What became of writes: what the client said against what the server has on record, and what reads showed.

Rules: an acknowledged write took effect before it was acknowledged; one that failed for certain never did; none took
effect more often than it had attempts, and no counter twice unless the options allow it; what was given up takes effect
within the server's timeout or never; a read shows what was there at some moment while it ran.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Iterator

import orjson

from alternator_trio.testing.simulation import AppliedWrite
from alternator_trio.testing.simulation.rows import Row
from tests.sim.record import Done
from tests.sim.registers import State, TooHardError, explain, is_linearizable

__all__ = ["check_deletions", "check_late", "check_reads", "check_repeats", "check_transactions", "check_writes"]

_Place = tuple[str, str]
"""Table and key."""
_DELETIONS = {"delete", "remove"}


def check_writes(history: Iterable[Done], applied: Iterable[AppliedWrite]) -> Iterator[str]:
    """Each write against its effects, which go by its value."""
    times = _effects(applied)
    known = {done.value for done in history}
    yield from (f"the server has a value that nobody wrote: {value}" for value in times if value not in known)
    for done in history:
        if done.value is None:
            continue
        effects = times[done.value]
        if done.outcome == "ok" and not any(done.began <= at <= done.ended for at in effects):
            yield f"acknowledged without an effect before that (effects at {effects}): {done}"
        if done.outcome in {"failed", "refused"} and effects:
            yield f"failed for certain, and took effect at {effects}: {done}"
        if len(effects) > done.attempts:
            yield f"took effect {len(effects)} times, at {effects}: {done}"
        if effects and min(effects) < done.began:
            yield f"took effect before it was asked for, at {effects}: {done}"


def check_repeats(history: Iterable[Done], applied: Iterable[AppliedWrite]) -> Iterator[str]:
    """Each counter, where what may have happened is not to be repeated: it counts once at most."""
    times = _effects(applied)
    for done in history:
        if done.kind == "count" and len(times[done.value]) > 1:
            yield f"counted {len(times[done.value])} times, at {times[done.value]}: {done}"


def _effects(applied: Iterable[AppliedWrite]) -> dict[str, list[float]]:
    """When each value took effect."""
    times: dict[str, list[float]] = collections.defaultdict(list)
    for write in applied:
        if write.item is not None and "v" in write.item:
            times[orjson.loads(write.item["v"])["S"]].append(write.at)
    return times


def check_deletions(history: Iterable[Done], applied: Iterable[AppliedWrite]) -> Iterator[str]:
    """The deletions of each key, which bear no value to tell them apart, against those that took effect."""
    times: dict[_Place, list[float]] = collections.defaultdict(list)
    for write in applied:
        if write.item is None:
            times[_place(write)].append(write.at)
    possible: collections.Counter[_Place] = collections.Counter()
    for done in history:
        if done.kind not in _DELETIONS:
            continue
        place = done.table, done.key
        if done.outcome == "ok" and not any(done.began <= at <= done.ended for at in times[place]):
            yield f"acknowledged without an effect while it ran (of this key at {times[place]}): {done}"
        if done.outcome in {"ok", "unknown"}:
            possible[place] += done.attempts
    for place, effects in times.items():
        if len(effects) > possible[place]:
            yield f"{place} was deleted {len(effects)} times, at {effects}, in {possible[place]} attempts"


def check_late(applied: Iterable[AppliedWrite], last: float) -> Iterator[str]:
    """Nothing takes effect later than the server keeps what nobody waits for any more.

    Args:
        applied: What took effect.
        last: Until when something may.
    """
    yield from (f"took effect after {last:.3f}: {write}" for write in applied if write.at > last)


def check_reads(history: Iterable[Done], applied: Iterable[AppliedWrite]) -> Iterator[str]:
    """Each read against what was there while it ran."""
    states: dict[_Place, list[tuple[float, State]]] = collections.defaultdict(lambda: [(-math.inf, None)])
    rows: dict[_Place, Row] = collections.defaultdict(Row)
    for write in applied:
        place = _place(write)
        _carry_out(write, rows[place])
        states[place].append((write.at, _shown(rows[place])))
    for done in history:
        if not done.is_read or done.outcome != "ok":
            continue
        timeline = states[done.table, done.key]
        before = max(number for number, (at, _) in enumerate(timeline) if at < done.began)
        there = [state for at, state in timeline[before:] if at <= done.ended]
        if done.seen not in there:
            yield f"shows what was not there, which was {there}: {done}"


def check_transactions(history: Iterable[Done], hard: list[str]) -> Iterator[str]:
    """Each register of transactions: there is an order that explains everything.

    Args:
        history: What was done.
        hard: Takes the registers for which that cannot be said in reasonable time.
    """
    registers: dict[str, list[Done]] = collections.defaultdict(list)
    for done in history:
        if done.table == "lwt":
            registers[done.key].append(done)
    for key, dones in registers.items():
        try:
            if not is_linearizable(dones):
                yield f"register {key} is not linearizable:\n    {explain(dones)}"
        except TooHardError:
            hard.append(key)


def _place(write: AppliedWrite) -> _Place:
    return write.table, orjson.loads(write.key[0])["S"]


def _carry_out(write: AppliedWrite, row: Row) -> None:
    if write.item is None:
        row.delete(write.stamp)
    elif write.operation == "PutItem":
        row.put(write.item, write.stamp)
    else:
        row.update(write.item, (), write.stamp)


def _shown(row: Row) -> State:
    item = row.item()
    if item is None:
        return None
    value, count = (orjson.loads(item.get(name, "{}")) for name in ("v", "n"))
    return value.get("S", ""), int(count.get("N", "0"))

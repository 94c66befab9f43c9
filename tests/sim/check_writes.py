"""What became of writes: what the client said against what the server has on record, and what reads showed.

Rules: an acknowledged write took effect before it was acknowledged; one that failed for certain never did; none took
effect more often than it had attempts, and no counter twice unless the options allow it; a read shows a value that
was written to that very key, and not before it was.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator

import orjson

from alternator_trio.testing.simulation import AppliedWrite
from tests.sim.record import Done
from tests.sim.registers import TooHardError, explain, is_linearizable

__all__ = ["check_reads", "check_repeats", "check_transactions", "check_writes"]


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


def check_reads(history: Iterable[Done]) -> Iterator[str]:
    """Each read against the writes of its key."""
    written = {done.value: done for done in history if done.value is not None}
    for done in history:
        if done.seen is None:
            continue
        value = done.seen[0]
        write = written.get(value)
        if write is None or (write.table, write.key) != (done.table, done.key):
            yield f"shows {value}, which was not written there: {done}"
        elif write.began > done.ended or write.outcome in {"failed", "refused"}:
            yield f"shows {value} of {write}: {done}"


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

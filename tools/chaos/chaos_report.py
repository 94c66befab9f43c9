"""The findings in words, for people."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from vitals import JUDGED_FROM, growth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_run import Findings

MIB = 2**20
WIDTH = 110


def report(findings: Findings) -> str:
    """The whole report."""
    lines = [*_load(findings), *_errors(findings), *_held(findings), *_verdict(findings)]
    return "\n".join(
        textwrap.fill(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)
        for line in lines
    )


def _load(findings: Findings) -> Iterator[str]:
    tally = findings.tally
    yield f"{tally.begun:,} operations in {findings.seconds:.0f} s, {tally.begun / findings.seconds:,.0f} per second"
    yield "  " + ", ".join(f"{count:,} {name}" for name, count in tally.done.most_common())
    yield (
        f"{tally.done.total():,} results with {tally.retries:,} retries; {tally.errors.total():,} errors; "
        f"{tally.cancelled:,} cancelled by their callers; {tally.in_flight} lost"
    )
    yield (
        f"cancelled together {findings.strokes:,} times, at most {findings.most_cancelled} in one tick; "
        f"longest operation {tally.longest:.2f} s; latest end after an operation_timeout {tally.overshoot:.3f} s late"
    )
    yield f"{sum(findings.tally.faults.values()):,} faults:"
    kinds = sorted(findings.tally.faults.items(), key=lambda kind: -kind[1])
    yield "  " + ", ".join(f"{count} {kind}" for kind, count in kinds)


def _errors(findings: Findings) -> Iterator[str]:
    by_error: dict[str, dict[str, int]] = {}
    for (name, cause), count in findings.tally.errors.most_common():
        by_error.setdefault(name, {})[cause] = count
    yield "errors, with the fault that was on at their node (one of them, where there were several):"
    for name, causes in sorted(by_error.items(), key=lambda each: -sum(each[1].values())):
        yield f"  {sum(causes.values()):,} {name}: " + ", ".join(f"{count} {cause}" for cause, count in causes.items())
    yield (
        f"counters: {findings.acknowledged:,} additions acknowledged, {findings.possible:,} possible; "
        f"{findings.tally.doubtful:,} reads found a write of unknown outcome done"
    )


def _held(findings: Findings) -> Iterator[str]:
    healed = findings.healed_after
    yield f"healed {len(healed)} times, within {max(healed):.1f} s; {findings.connects:,} connections opened"
    rests = sorted({(held.descriptors, held.tasks, held.threads) for held in findings.rests})
    yield "at rest, connections not counted: " + " or ".join(
        f"{descriptors} descriptors, {tasks} tasks, {threads} threads" for descriptors, tasks, threads in rests
    )
    samples = findings.samples
    if samples:
        memory = [sample.rss / MIB for sample in samples]
        yield (
            f"memory {memory[0]:.1f} MiB after a second, {memory[-1]:.1f} MiB in the end, {max(memory):.1f} at most; "
            f"at most {max(sample.descriptors for sample in samples)} descriptors, "
            f"{max(sample.tasks for sample in samples)} tasks"
        )
    if findings.choices.seconds >= JUDGED_FROM:
        yield f"memory of the last third against the middle third: {growth(samples):+.2%}"
    yield f"the machine held a process up {findings.lags} times"


def _verdict(findings: Findings) -> Iterator[str]:
    tally = findings.tally
    if not tally.wrong:
        yield "Nothing was lost, nothing hung, and every error had its fault."
        return
    yield f"WRONG, {tally.wrong} times:"
    yield from (f"  {what}" for what in tally.complaints)

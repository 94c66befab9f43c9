"""One run: rounds of a storm, a calm and a rest, and what they have shown.

Rules:

* In a *storm* faults come and go as the seed's plan has it.
* Then everything is healed, and the clients have `HEALED_WITHIN` seconds to use exactly the nodes that they should.
* In the *calm* that follows the load goes on, and any error is one too many.
* At *rest* nothing is in flight: everything is read back, and what is held is counted.
* Callers are cancelled all the time.
"""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import trio
from accounts import Windows
from callers import Caller
from cancelling import Guillotine
from gate import Gate
from registers import Counter
from remote import running_cluster
from rest import Rest
from soon import comes_true
from tally import Tally
from vitals import Held, Sample, complaint, more
from watches import Watches
from weather import LONGEST, plan
from world import ROLES, TOPOLOGY, open_subjects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from accounts import Window
    from remote import RemoteCluster
    from weather import Fault
    from world import Subject

HEALED_WITHIN = 40.0
"""Seconds from the end of all faults until the clients must be as if nothing had been."""
ROUND = 60.0
STORM = 0.7
"""The share of a round that is a storm."""
HORIZON = LONGEST + 4.0
_COUNTERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What to run.

    Attributes:
        rounds: Storms, each with its calm and its rest; None: one a minute.
    """

    seed: int
    seconds: float
    callers: int = 48
    rate: float = 3.0
    pause: float = 0.04
    transport: Literal["native", "httpx"] = "native"
    signed: bool = True
    rounds: int | None = None


@dataclass(slots=True)
class Findings:
    """What a run has shown.

    Attributes:
        choices: What was run.
        tally: Operations, faults and complaints.
        samples: One per second.
        healed_after: Per round, seconds until the clients used all nodes again that they should.
        rests: Per round, what was held at rest, connections not counted.
        strokes: How often operations were cancelled together.
        most_cancelled: The most operations cancelled in one tick.
        lags: How often this machine held one of the processes up.
        connects: Connections that the clients have opened, discovery's and probes' included.
        acknowledged: Additions to counters that were acknowledged.
        possible: Those that may have been made.
        seconds: How long it took.
    """

    choices: Choices
    tally: Tally
    samples: list[Sample] = field(default_factory=list)
    healed_after: list[float] = field(default_factory=list)
    rests: list[Held] = field(default_factory=list)
    strokes: int = 0
    most_cancelled: int = 0
    lags: int = 0
    connects: int = 0
    acknowledged: int = 0
    possible: int = 0
    seconds: float = 0.0


async def run(choices: Choices) -> Findings:
    """Run it."""
    tally = Tally(Windows())
    findings = Findings(choices, tally)
    async with running_cluster(TOPOLOGY, ROLES if choices.signed else None) as cluster:
        before = Held.now()
        began = time.monotonic()
        async with (
            open_subjects(cluster, choices.transport, signed=choices.signed) as subjects,
            Course(choices, findings, cluster, subjects).under_way() as course,
        ):
            rounds = choices.rounds or max(1, round(choices.seconds / ROUND))
            for _ in range(rounds):
                await course.round(choices.seconds / rounds)
        findings.seconds = time.monotonic() - began
        if not await comes_true(lambda: more(before, Held.now()) is None):
            tally.complain(f"after the clients' blocks: {more(before, Held.now())}")
        if not await cluster.has_connections(0):
            tally.complain("after the clients' blocks the proxy has open connections")
        findings.connects = (await cluster.look()).connects
    tally.complain(complaint(findings.samples, choices.seconds))
    return findings


class Course:
    """A run under way."""

    def __init__(
        self, choices: Choices, findings: Findings, cluster: RemoteCluster, subjects: Sequence[Subject]
    ) -> None:
        self._choices = choices
        self._findings = findings
        self._tally = findings.tally
        self._began = time.monotonic()
        self._cluster = cluster
        self._subjects = subjects
        self._rng = random.Random(choices.seed)  # noqa: S311 - a plan that can be drawn again
        self._guillotine = Guillotine(random.Random(f"{choices.seed} guillotine"), 0.4)  # noqa: S311
        self._counters = [Counter(f"counter-{number}") for number in range(_COUNTERS)]
        self._gate = Gate()
        self._watches = Watches(cluster, self._tally, subjects)
        self._callers = [self._caller(number) for number in range(choices.callers)]
        self._rest = Rest(
            cluster, subjects, self._callers, self._counters, self._tally, native=choices.transport == "native"
        )

    def _caller(self, number: int) -> Caller:
        return Caller(
            number,
            self._subjects[number % len(self._subjects)].views,
            tally=self._tally,
            guillotine=self._guillotine,
            counters=self._counters,
            rng=random.Random(f"{self._choices.seed} caller {number}"),  # noqa: S311
            horizon=HORIZON,
            pause=self._choices.pause,
        )

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[Course]:
        """Let the load, the cancellations and the watches run for the length of the block."""
        async with trio.open_nursery() as nursery:
            for caller in self._callers:
                nursery.start_soon(caller.run, self._gate)
            for watch in (self._guillotine.run, self._watches.watch, self._watches.sample):
                nursery.start_soon(watch)
            yield self
            nursery.cancel_scope.cancel()
        findings = self._findings
        findings.samples, findings.lags = self._watches.samples, self._watches.lags
        findings.rests = self._rest.held
        findings.strokes, findings.most_cancelled = self._guillotine.strokes, self._guillotine.most
        findings.acknowledged = sum(counter.acknowledged for counter in self._counters)
        findings.possible = sum(counter.possible for counter in self._counters)

    async def round(self, seconds: float) -> None:
        """A storm, a calm and a rest."""
        ends = time.monotonic() + seconds
        self._gate.open()
        storm = plan(self._rng, seconds=seconds * STORM, nodes=len(self._cluster.nodes), rate=self._choices.rate)
        await self._storm(storm, seconds * STORM)
        await self._heal()
        self._tally.nodes.clear()
        self._tally.calm_since = time.monotonic()
        await trio.sleep(max(seconds * 0.1, ends - time.monotonic() - 1.0))
        await self._see_all_used()
        self._gate.shut()
        await self._gate.empty()
        await self._rest.see()
        self._tally.calm_since = None
        print(
            f"{time.monotonic() - self._began:.0f} s: {self._tally.begun:,} operations, "
            f"{self._tally.faults.total()} faults, {self._tally.wrong} complaints",
            flush=True,
        )

    async def _storm(self, faults: Sequence[Fault], seconds: float) -> None:
        began = time.monotonic()
        steps = [(fault.at, True, number) for number, fault in enumerate(faults)]
        steps += [(fault.at + fault.seconds, False, number) for number, fault in enumerate(faults)]
        windows: dict[int, Window] = {}
        for at, begins, number in sorted(steps, key=lambda step: (step[0], not step[1])):
            await trio.sleep(max(0.0, began + at - time.monotonic()))
            if begins:
                windows[number] = await self._begin(faults[number])
            else:
                self._tally.windows.end(windows[number], (await self._cluster.end(faults[number])).at)
        await trio.sleep(max(0.0, began + seconds - time.monotonic()))

    async def _begin(self, fault: Fault) -> Window:
        self._tally.faults[fault.kind] += 1
        window = self._tally.windows.begin(fault.kind, self._cluster.nodes[fault.node].url, time.monotonic())
        await self._cluster.begin(fault)
        return window

    async def _heal(self) -> None:
        """End whatever may be left, and wait until the clients have noticed."""
        began = (await self._cluster.heal()).at
        if not await comes_true(lambda: all(subject.is_well for subject in self._subjects), HEALED_WITHIN):
            for subject in self._subjects:
                self._tally.complain(f"not healed: {subject.client!r}, {subject.client.node_health()}")
        self._findings.healed_after.append(time.monotonic() - began)

    async def _see_all_used(self) -> None:
        everywhere = {node.url for node in self._cluster.nodes}
        if not await comes_true(lambda: self._tally.nodes >= everywhere):
            self._tally.complain(f"not used any more: {sorted(everywhere - self._tally.nodes)}")

"""One node of three is sick: what the application pays for it, with node health and without."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio
from load import Log, create_table, keep_calling
from remote import running_cluster

from alternator_trio import NodeHealth, open_alternator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from load import Done
    from remote import RemoteCluster

TOPOLOGY = {"dc1": {"rack1": 3}}
ONSET = 2.0
"""Seconds from the beginning of the sickness that are looked at apart: in them health has to find it out."""
LATER = 4.0
"""Seconds after that."""
WARM_UP = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sickness:
    """What one node does; ``order`` is one of the cluster process's, None for a node that is well."""

    name: str
    order: str | None
    in_words: str


SICKNESSES = {
    sickness.name: sickness
    for sickness in (
        Sickness(name="well", order=None, in_words="well"),
        Sickness(name="hangs", order="pause", in_words="accepts and never answers"),
        Sickness(name="resets", order="reset everything", in_words="resets every connection"),
        Sickness(name="500", order="answer 500", in_words="answers 500 to everything"),
        Sickness(name="slow", order="be slow", in_words="answers 250 ms late"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """What operations took, in milliseconds, and how many ended per second."""

    per_second: float
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, done: Iterable[Done], seconds: float) -> Latencies | None:
        """Those that ended within so many seconds; None when none did."""
        ordered = sorted(each.seconds * 1e3 for each in done)
        if not ordered:
            return None
        return cls(
            per_second=len(ordered) / seconds,
            p50=ordered[len(ordered) // 2],
            p99=ordered[len(ordered) * 99 // 100],
            longest=ordered[-1],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the application saw.

    Attributes:
        onset: From the beginning of the sickness.
        later: After that.
        sick_share: The sick node's share of the operations that ended later.
        errors: What was raised, with its count, in all.
        retries: Attempts beyond the first of their operation, in all.
        out_after: Seconds until the client's health had the node down; None: never.
    """

    sickness: str
    health: bool
    attempt_timeout: float
    in_flight: int
    onset: Latencies | None
    later: Latencies | None
    sick_share: float
    errors: dict[str, int]
    retries: int
    out_after: float | None


async def run(
    sickness: Sickness, *, health: bool, attempt_timeout: float, in_flight: int, pause: float, onset: float = ONSET
) -> Cost:
    """Measure one cell."""
    log = Log()
    async with running_cluster(TOPOLOGY) as cluster:
        sick = cluster.nodes[1]
        async with open_alternator(
            *cluster.seeds, attempt_timeout=attempt_timeout, node_health=NodeHealth() if health else None
        ) as client:
            await client.refresh()
            await create_table(client)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keep_calling, client, log, in_flight, pause)
                await trio.sleep(WARM_UP)
                began = await _begin(cluster, sickness)
                before = client.statistics().retries
                out_after: float | None = None
                while time.monotonic() < began + onset + LATER:
                    await trio.sleep(0.01)
                    standing = client.node_health().get(sick.url)
                    if out_after is None and standing is not None and standing.state == "DOWN":
                        out_after = time.monotonic() - began
                ended = time.monotonic()
                nursery.cancel_scope.cancel()
            retries = client.statistics().retries - before
    first = [each for each in log.done if began <= each.at < began + onset]
    then = [each for each in log.done if began + onset <= each.at < ended]
    return Cost(
        sickness=sickness.name,
        health=health,
        attempt_timeout=attempt_timeout,
        in_flight=in_flight,
        onset=Latencies.of(first, onset),
        later=Latencies.of(then, ended - began - onset),
        sick_share=_share(then, sick.url),
        errors=dict(log.errors),
        retries=retries,
        out_after=out_after,
    )


async def _begin(cluster: RemoteCluster, sickness: Sickness) -> float:
    if sickness.order is None:
        return time.monotonic()
    return await cluster.do(sickness.order, cluster.nodes[1:2])


def _share(done: Sequence[Done], node: str) -> float:
    return sum(each.node == node for each in done) / len(done) if done else 0.0

"""What goes wrong, where, when and for how long: a plan drawn from a seed before anything happens. Pure.

Rules: a plan is a function of its seed alone; each node has at most one fault per layer (its process, its node list,
the link to it) at a time; every fault passes by itself before the storm ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

Layer = Literal["process", "list", "link"]
Arguments = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: which kind, at which node (by number), from when on (since the storm began), for how many seconds."""

    kind: str
    node: int
    at: float
    seconds: float
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: where it is, how often compared to others, its longest duration, and what else is drawn."""

    layer: Layer
    weight: int
    longest: float
    draw: Callable[[random.Random], Arguments] = lambda _: {}


def _times(rng: random.Random) -> int:
    return rng.choice((1, 1, 2, 3, 10, 30))


def _spoiled(rng: random.Random) -> Arguments:
    return {"executed": rng.random() < 0.5, "times": _times(rng)}  # noqa: PLR2004 - a coin


KINDS: Mapping[str, Kind] = {
    "kill": Kind("process", 4, 4.0, lambda rng: {"listed_for": rng.uniform(0, 5)}),
    "stop": Kind("process", 3, 3.0),
    "restart": Kind("process", 3, 0.0),
    "pause": Kind("process", 4, 4.0),
    "reset": Kind("process", 3, 2.0, _spoiled),
    "close": Kind("process", 3, 2.0, _spoiled),
    "hang": Kind("process", 2, 2.0, _spoiled),
    "truncate": Kind(
        "process", 3, 2.0,
        lambda rng: {"body_bytes": rng.randrange(200), "chunked": rng.random() < 0.3, "times": _times(rng)},  # noqa: PLR2004
    ),
    "5xx": Kind("process", 3, 2.0, lambda rng: {"status": rng.choice((500, 502, 503, 504)), **_spoiled(rng)}),
    "throttle": Kind("process", 2, 1.0, lambda rng: {"times": rng.choice((1, 2, 5))}),
    "shed": Kind("process", 3, 2.0, lambda rng: {"drop": rng.random() < 0.5, "times": _times(rng)}),  # noqa: PLR2004
    "delay": Kind("process", 3, 3.0, lambda rng: {"by": 0.4 * rng.random() ** 2}),
    "stale list": Kind("list", 3, 4.0, lambda rng: {"keep": [rng.random() < 0.6 for _ in range(64)]}),  # noqa: PLR2004
    "empty list": Kind("list", 2, 3.0),
    "no list": Kind("list", 2, 3.0),
    "cut": Kind("link", 4, 0.0),
    "cut after": Kind(
        "link", 10, 1.0, lambda rng: {"count": int(10 ** rng.uniform(0, 4.5)), "reset": rng.random() < 0.6}  # noqa: PLR2004
    ),
    "refuse": Kind("link", 3, 3.0),
    "half-open": Kind("link", 4, 4.0),
    "slow link": Kind("link", 4, 4.0, lambda rng: {"by": 0.2 * rng.random() ** 2}),
    "stall": Kind("link", 3, 1.0, lambda rng: {"by": rng.uniform(0.3, 1.5)}),
}  # fmt: skip

LONGEST = max(kind.longest for kind in KINDS.values()) + 2.0
"""Seconds for which anything can hold a request back: the longest fault, and what a link then still delivers."""


def plan(rng: random.Random, *, seconds: float, nodes: int, rate: float) -> Sequence[Fault]:
    """Draw a storm: on average ``rate`` faults per second, less where a node has its share already."""
    names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
    busy_until: dict[tuple[Layer, int], float] = {}
    faults: list[Fault] = []
    at = rng.expovariate(rate)
    while at < seconds:
        name, node = rng.choices(names, weights)[0], rng.randrange(nodes)
        kind = KINDS[name]
        duration = min(kind.longest * rng.uniform(0.1, 1.0), seconds - at)
        fault = Fault(kind=name, node=node, at=at, seconds=duration, arguments=kind.draw(rng))
        if busy_until.get((kind.layer, node), 0.0) <= at:
            busy_until[kind.layer, node] = at + duration
            faults.append(fault)
        at += rng.expovariate(rate)
    return faults

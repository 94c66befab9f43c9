"""When each known node is probed next.

Rules (spec §5): one probe per node at a time; a node that appears is probed at once, one that went down soon and then
ever later; a node that is waited for because its scope has no routable node is probed every 0.25 s. A probe of which
nothing is heard any more is forgotten after a while.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Final

from alternator_trio._core.health import Standing, probe_delay
from alternator_trio.nodes import Node

__all__ = ["Probing", "due_at", "due_now", "next_due"]

FORGOTTEN_AFTER: Final = 60.0  # seconds; a queue of probes at 5 s each is shorter


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """One node's probes.

    Attributes:
        since: When it appeared, went down, or its last probe ended (Trio's clock).
        appeared: Whether it has not been probed since it came onto the list.
        streak: Probes in a row that ended alike; negative for failures.
        in_flight_until: A probe is in flight, or wanted, until it settles or this time passes; else minus infinity.
    """

    since: float
    appeared: bool = False
    streak: int = 0
    in_flight_until: float = -math.inf

    def settled(self, now: float, *, succeeded: bool | None) -> Probing:
        """After a probe; None: it was not made."""
        if succeeded is None:
            return Probing(since=now, appeared=False, streak=self.streak)
        alike = (self.streak > 0) is succeeded and self.streak != 0
        step = 1 if succeeded else -1
        return Probing(since=now, streak=self.streak + step if alike else step)


def due_at(probing: Probing, standing: Standing, *, any_routable: bool) -> float:
    """When the node is to be probed (Trio's clock)."""
    delay = probe_delay(standing, appeared=probing.appeared, streak=probing.streak, any_routable=any_routable)
    return max(probing.since + delay, probing.in_flight_until)


def next_due(
    probings: Mapping[Node, Probing], standings: Mapping[Node, Standing], any_routable: Callable[[Node], bool]
) -> float:
    """When the first of them is due."""
    dues = (
        due_at(probing, standings[node], any_routable=any_routable(node))
        for node, probing in probings.items()
        if node in standings
    )
    return min(dues, default=math.inf)


def due_now(
    probings: Mapping[Node, Probing],
    standings: Mapping[Node, Standing],
    any_routable: Callable[[Node], bool],
    now: float,
) -> list[Node]:
    """Those that are due."""
    return [
        node
        for node, probing in probings.items()
        if node in standings and due_at(probing, standings[node], any_routable=any_routable(node)) <= now
    ]

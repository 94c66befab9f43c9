"""When each known node is probed next.

Rules (spec §5): one probe per node at a time; a node that appears is probed at once, one that went down soon and then
ever later; a node that is waited for because its scope has no routable node is probed every 0.25 s. A probe of which
nothing is heard any more is forgotten after a while.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from alternator_trio._core.health import NodeState, Standing, probe_delay
from alternator_trio.nodes import Node

__all__ = ["Probing", "due_at", "due_now"]

FORGOTTEN_AFTER: Final = 60.0  # seconds; a queue of probes at 5 s each is shorter


MADE_LATER: Final = 0.25  # seconds after a probe that could not be made


class Probing(NamedTuple):
    """One node's probes.

    Attributes:
        since: When it appeared, went down, or its last probe ended (Trio's clock).
        appeared: Whether it has not been probed since it came onto the list.
        streak: Probes in a row that ended alike; negative for failures.
        in_flight_until: A probe is in flight, or wanted, until it settles or this time passes; else minus infinity. One
            that was not made is held to be so for a moment longer.
    """

    since: float
    appeared: bool = False
    streak: int = 0
    in_flight_until: float = -math.inf

    def settled(self, now: float, *, succeeded: bool | None) -> Probing:
        """After a probe; None: it was not made."""
        if succeeded is None:
            return self._replace(in_flight_until=now + MADE_LATER)
        alike = (self.streak > 0) is succeeded and self.streak != 0
        step = 1 if succeeded else -1
        return Probing(since=now, streak=self.streak + step if alike else step)


def due_at(probing: Probing, standing: Standing, *, any_routable: bool) -> float:
    """When the node is to be probed (Trio's clock)."""
    delay = probe_delay(standing, appeared=probing.appeared, streak=probing.streak, any_routable=any_routable)
    return max(probing.since + delay, probing.in_flight_until)


def due_now(
    probings: Mapping[Node, Probing],
    standings: Mapping[Node, Standing],
    any_routable: Callable[[Node], bool],
    now: float,
) -> tuple[list[Node], float]:
    """Those that are due, and when the first of the others will be.

    Args:
        probings: Of all nodes that are listed.
        standings: Their health.
        any_routable: Whether nobody waits for this node for want of a routable one.
        now: Trio's clock.
    """
    due: list[Node] = []
    next_at = math.inf
    for node, probing in probings.items():
        standing = standings.get(node)
        # Most nodes are active, and thousands of them cost a look each.
        if standing is None or standing.state is NodeState.ACTIVE:
            continue
        when = due_at(probing, standing, any_routable=any_routable(node))
        if when <= now:
            due.append(node)
        else:
            next_at = min(next_at, when)
    return due, next_at

"""One node's health: what an observation makes of it, and when it is probed next.

    state         sees                               goes
    ACTIVE        traffic failure below threshold    failures+1, successes 0
                  traffic failure at threshold       DOWN, failures kept, generation+1
                  traffic success                    failures 0, successes = promotion threshold
                  probe or direct contact            unchanged
    QUARANTINED   traffic success below threshold    successes+1, failures 0
                  traffic success at threshold       ACTIVE
                  traffic failure below threshold    failures+1, successes 0
                  traffic failure at threshold       DOWN, generation+1
                  probe success or direct contact    ACTIVE
                  probe failure                      unchanged
    DOWN          probe success below threshold      successes+1
                  probe success at threshold         QUARANTINED, both counts 0
                  probe failure                      successes 0
                  traffic or direct contact          unchanged

Rules (spec §5): the table, and nothing beside it; thresholds are `NodeHealth`'s; who drops observations of an older
generation, and what counts as an observation, is decided where they are made. A node that comes to be ACTIVE has the
counts of one that has just had a success.
"""

from __future__ import annotations

import enum
import math
from typing import Final, NamedTuple, assert_never

from alternator_trio.routing import NodeHealth

__all__ = [
    "NEW",
    "NodeState",
    "Standing",
    "active",
    "after_direct_contact",
    "after_probe_failure",
    "after_probe_success",
    "after_traffic_failure",
    "after_traffic_success",
    "probe_delay",
]

_SOONEST: Final = 0.25  # seconds
_LATEST: Final = 30.0
_MAX_DOUBLINGS: Final = 7  # 0.25 s doubled seven times is past the latest


class NodeState(enum.Enum):
    """Whether a node gets traffic."""

    ACTIVE = "active"
    """It does."""
    QUARANTINED = "quarantined"
    """Only when no active node is left: it is new, or has been down."""
    DOWN = "down"
    """Never."""


class Standing(NamedTuple):
    """What is held of one node.

    Attributes:
        state: Whether it gets traffic.
        failures: Traffic failures in a row; for a node that is down, those that brought it there.
        successes: In a row: of traffic, or of probes for a node that is down.
        generation: How often it went down. An attempt carries the generation under which it began, so that its result
            can be dropped when the node has gone down meanwhile.
    """

    state: NodeState
    failures: int = 0
    successes: int = 0
    generation: int = 0


NEW: Final = Standing(state=NodeState.QUARANTINED)
"""A seed, or a node that is listed for the first time."""


def active(health: NodeHealth, *, generation: int = 0) -> Standing:
    """A node that is held to be well, as after a success."""
    return Standing(state=NodeState.ACTIVE, successes=health.quarantine_promotion, generation=generation)


def after_traffic_failure(standing: Standing, health: NodeHealth, count: int = 1) -> Standing:
    """The standing after requests that got no final response.

    Args:
        standing: The standing before.
        health: The thresholds.
        count: How many, in a row.

    Example:
        >>> after_traffic_failure(NEW, NodeHealth(quarantine_failure=3), count=3)
        Standing(state=<NodeState.DOWN: 'down'>, failures=3, successes=0, generation=1)
    """
    if count < 1 or standing.state is NodeState.DOWN:
        return standing
    threshold = health.active_failure if standing.state is NodeState.ACTIVE else health.quarantine_failure
    failures = standing.failures + count
    if failures < threshold:
        return standing._replace(failures=failures, successes=0)
    # Observations after the one that takes the node down find it down, and are ignored.
    return Standing(
        state=NodeState.DOWN, failures=max(threshold, standing.failures + 1), generation=standing.generation + 1
    )


def after_traffic_success(standing: Standing, health: NodeHealth, count: int = 1) -> Standing:
    """The standing after requests that got a final response which speaks for the node.

    Args:
        standing: The standing before.
        health: The thresholds.
        count: How many, in a row.

    Example:
        >>> after_traffic_success(NEW, NodeHealth(quarantine_promotion=10))
        Standing(state=<NodeState.QUARANTINED: 'quarantined'>, failures=0, successes=1, generation=0)
    """
    if count < 1 or standing.state is NodeState.DOWN:
        return standing
    successes = standing.successes + count
    if standing.state is NodeState.ACTIVE or successes >= health.quarantine_promotion:
        return active(health, generation=standing.generation)
    return standing._replace(failures=0, successes=successes)


def after_probe_success(standing: Standing, health: NodeHealth) -> Standing:
    """The standing after a probe that was answered with 200."""
    match standing.state:
        case NodeState.ACTIVE:
            return standing
        case NodeState.QUARANTINED:
            return active(health, generation=standing.generation)
        case NodeState.DOWN:
            successes = standing.successes + 1
            if successes < health.down_recovery:
                return standing._replace(successes=successes)
            return Standing(state=NodeState.QUARANTINED, generation=standing.generation)
        case _:
            assert_never(standing.state)


def after_probe_failure(standing: Standing, health: NodeHealth) -> Standing:
    """The standing after a probe that was not answered with 200."""
    del health  # no threshold is involved; all transitions are called alike
    if standing.state is NodeState.DOWN and standing.successes:
        return standing._replace(successes=0)
    return standing


def after_direct_contact(standing: Standing, health: NodeHealth) -> Standing:
    """The standing after the node has itself answered discovery with 200: no way out of DOWN, which is the probes'."""
    if standing.state is NodeState.QUARANTINED:
        return active(health, generation=standing.generation)
    return standing


def probe_delay(standing: Standing, *, appeared: bool, streak: int, any_routable: bool) -> float:
    """When a node is to be probed next.

    Args:
        standing: Its standing.
        appeared: Whether it has come onto the node list, or back onto it, and not been probed since.
        streak: Probes in a row that ended alike since it appeared or went down: how many successes, or, negative, how
            many failures; 0 before the first.
        any_routable: Whether any node of the list is active or quarantined.

    Returns:
        Seconds after the last of: it appeared, it went down, its last probe ended. Infinite: not at all.

    Example:
        >>> down = Standing(state=NodeState.DOWN, failures=10, generation=1)
        >>> [probe_delay(down, appeared=False, streak=-failed, any_routable=True) for failed in (0, 1, 2, 9)]
        [0.25, 0.5, 1.0, 30.0]
    """
    if standing.state is NodeState.ACTIVE:
        return math.inf
    if appeared:
        return 0.0
    if streak > 0 or not any_routable:
        return _SOONEST
    if standing.state is NodeState.QUARANTINED:
        return _LATEST
    return min(_SOONEST * 2.0 ** min(-streak, _MAX_DOUBLINGS), _LATEST)

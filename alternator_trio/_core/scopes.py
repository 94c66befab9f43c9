"""Which scope of the chain is in force, and what follows for the snapshot.

Rules (spec §2): only a non-empty valid answer replaces a scope's list. A scope is unusable when it is empty,
unreachable or all its nodes are down; the next one is then used at once. A more preferred scope returns when one of its
nodes is active, not when it is merely listed. With no usable scope left the list stays that we have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from alternator_trio._core.discovery import ScopeAnswer
from alternator_trio._core.health import NodeState, Standing
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

__all__ = ["ScopeList", "choose", "snapshot", "with_answers"]


class ScopeList(NamedTuple):
    """What is known of one scope.

    Attributes:
        nodes: Its last non-empty list.
        is_empty: Whether a node has said since that there are none.
    """

    nodes: tuple[Node, ...] = ()
    is_empty: bool = False


def with_answers(lists: Sequence[ScopeList], answers: Iterable[ScopeAnswer]) -> tuple[ScopeList, ...]:
    """The lists after a refresh; scopes that gave no answer keep theirs."""
    changed = list(lists)
    for answer in answers:
        old = changed[answer.position]
        changed[answer.position] = (
            ScopeList(nodes=tuple(sorted(set(answer.nodes)))) if answer.nodes else old._replace(is_empty=True)
        )
    return tuple(changed)


def choose(lists: Sequence[ScopeList], current: int | None, state_of: Callable[[Node], NodeState]) -> int | None:
    """The position of the scope to use; ``current`` when none is usable, None when no list was ever given."""
    usable = [position for position, known in enumerate(lists) if _is_usable(known, state_of)]
    for position in usable:
        preferred_again = current is not None and position < current
        if not preferred_again or any(state_of(node) is NodeState.ACTIVE for node in lists[position].nodes):
            return position
    if usable:
        return usable[0]
    if current is not None:
        return current
    return next((position for position, known in enumerate(lists) if known.nodes), None)


def snapshot(
    *,
    ring: Sequence[Node],
    chain: Sequence[RoutingScope],
    position: int,
    lists: Sequence[ScopeList],
    discovered: bool,
    standings: Mapping[Node, Standing],
) -> LiveNodes:
    """What is published."""

    def state_of(node: Node) -> NodeState:
        standing = standings.get(node)
        return NodeState.ACTIVE if standing is None else standing.state

    active = tuple(node for node in ring if state_of(node) is NodeState.ACTIVE)
    quarantined = () if active else tuple(node for node in ring if state_of(node) is NodeState.QUARANTINED)
    preferred = chain[0].datacenter_name
    listed = (node for known in lists for node in known.nodes)
    return LiveNodes(
        ring=tuple(ring),
        eligible=active or quarantined,
        scope=chain[position],
        position=position,
        crosses_datacenters=preferred is not None and chain[position].datacenter_name != preferred,
        discovered=discovered,
        known=tuple(dict.fromkeys((*ring, *listed))),
        standings=standings,
        watched=frozenset(
            node for node, standing in standings.items() if standing.failures or standing.state is not NodeState.ACTIVE
        ),
    )


def _is_usable(known: ScopeList, state_of: Callable[[Node], NodeState]) -> bool:
    return not known.is_empty and any(state_of(node) is not NodeState.DOWN for node in known.nodes)

"""Whether a cluster knows the datacenter and rack that a routing scope names.

Rules: an unknown name is answered with an empty list, and servers before 2025.1 ignore both parameters: a rack
that does not exist tells the two apart. Nothing is concluded from one node about another, and nothing is remembered.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from alternator_trio._wire.localnodes import LocalNodes
from alternator_trio.errors import AlternatorError, DiscoveryError
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

__all__ = ["RoutingCheck", "check_routing"]

_SECONDS: Final = 5.0
_NO_RACK: Final = "alternator-trio-checks-whether-racks-are-filtered"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RoutingCheck:
    """What a node says about a routing scope.

    Attributes:
        scope: The scope asked about, as text.
        node: Canonical endpoint of the node that answered.
        datacenter_known: Whether it lists nodes of the datacenter; None when the scope names none.
        rack_known: Whether it lists nodes of the rack; None when the scope names none.
        filters_racks: Whether it heeds the rack parameter at all; None when the scope names no datacenter.
    """

    scope: str
    node: str
    datacenter_known: bool | None
    rack_known: bool | None
    filters_racks: bool | None


async def check_routing(
    scope: RoutingScope,
    candidates: Sequence[Node],
    ask: Callable[[Node, RoutingScope, float], Awaitable[LocalNodes]],
) -> RoutingCheck:
    """Ask the candidates in turn until one answers.

    Raises:
        DiscoveryError: None does.
    """
    failures: list[tuple[str, str]] = []
    for node in candidates:
        try:
            return await _check_at(node, scope, ask)
        except AlternatorError as error:
            failures.append((node.endpoint, error.message))
    raise DiscoveryError("no node answers", failures=failures)


async def _check_at(
    node: Node, scope: RoutingScope, ask: Callable[[Node, RoutingScope, float], Awaitable[LocalNodes]]
) -> RoutingCheck:
    async def lists(asked: RoutingScope) -> bool:
        return bool((await ask(node, asked, _SECONDS)).hosts)

    datacenter = scope.datacenter_name
    if datacenter is None:
        await lists(scope)
        return RoutingCheck(
            scope=str(scope), node=node.endpoint, datacenter_known=None, rack_known=None, filters_racks=None
        )
    return RoutingCheck(
        scope=str(scope),
        node=node.endpoint,
        datacenter_known=await lists(RoutingScope.datacenter(datacenter)),
        rack_known=None if scope.rack_name is None else await lists(RoutingScope.rack(datacenter, scope.rack_name)),
        filters_racks=not await lists(RoutingScope.rack(datacenter, _NO_RACK)),
    )

"""What plans hand out, seen from inside: the one thing that the wire does not show.

Rules: a plan hands out no node that is down at that moment; a request's attempts repeat no node within a cycle, but for
the one that was refused for its signature, and is sent to the same node again, once; over one ring a key has one order
of its nodes: which of two active ones comes first does not depend on how the others stand.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator, Hashable, Iterator

from alternator_trio._core import query_plan
from alternator_trio._core.health import NodeState
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._request import Request
from alternator_trio._router import Router
from alternator_trio.nodes import Node

__all__ = ["watched_plans"]

PLANS = tuple(
    kind
    for kind in vars(query_plan).values()
    if isinstance(kind, type)
    and "next_node" in vars(kind)
    and hasattr(kind, "__slots__")
    and "_state_of" in kind.__slots__
)


@contextlib.contextmanager
def watched_plans() -> Generator[list[str], None, None]:
    """Look at all plans of this process; what is against the rules is added to the list."""
    violations: list[str] = []
    cycles: dict[int, _Cycle] = {}
    made: dict[int, _Made] = {}
    orders: dict[Hashable, Node] = {}
    with contextlib.ExitStack() as stack:
        for plan in PLANS:
            _replace(stack, plan, "next_node", lambda original: _judged(original, made, orders, violations))
        _replace(stack, Router, "plan_for", lambda original: _new_cycle(original, cycles, made))
        _replace(stack, Request, "begin_attempt", lambda original: _no_repetition(original, cycles, violations))
        _replace(stack, Request, "take_back_attempt", lambda original: _once_again(original, cycles, violations))
        yield violations


@dataclasses.dataclass(slots=True)
class _Cycle:
    """The nodes that a request has come to since its plan was made, and those to which it was sent again."""

    request: Request
    nodes: list[str] = dataclasses.field(default_factory=list)
    again: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True)
class _Made:
    """A plan that a router made: the plan itself as well, or its number might be another's."""

    plan: object
    router: Router
    ring: tuple[Node, ...]
    key: tuple[str, str] | None
    has_begun: bool = False


def _replace(stack, kind: type, name: str, make) -> None:
    original = vars(kind)[name]
    setattr(kind, name, make(original))
    stack.callback(setattr, kind, name, original)


def _judged(original, made, orders, violations):
    def next_node(plan):
        node = original(plan)
        known = made.get(id(plan))
        if node is not None and known is not None:
            # The snapshot is asked, not the plan: what the plan believes is what is in question.
            live = known.router._live.value
            if live.state_of(node) is NodeState.DOWN:
                violations.append(f"a plan hands out {node}, which is down")
            if known.key is not None and not known.has_begun and live.state_of(node) is NodeState.ACTIVE:
                violations.extend(_out_of_order(known, node, live, orders))
            known.has_begun = True
        return node

    return next_node


def _out_of_order(known: _Made, node: Node, live: LiveNodes, orders: dict[Hashable, Node]) -> Iterator[str]:
    """The first node of a key's plan comes before every other one that was to be had."""
    for other in known.ring:
        if other != node and live.state_of(other) is NodeState.ACTIVE:
            pair = (id(known.router), known.key, known.ring, *sorted((node, other)))
            first = orders.setdefault(pair, node)
            if first != node:
                yield f"{known.key} goes to {node} before {other}, and went to {other} before {node} over the same ring"


def _new_cycle(original, cycles, made):
    def plan_for(router, request, tried_last=None):
        cycles[id(request)] = _Cycle(request)
        ring = router._live.value.ring
        plan = original(router, request, tried_last)
        is_keyed = request.keyed_table is not None and isinstance(plan, query_plan.FirmPlan)
        made[id(plan)] = _Made(plan, router, ring, _key_of(request) if is_keyed else None)
        return plan

    return plan_for


def _key_of(request: Request) -> tuple[str, str]:
    """A table and a key of it."""
    item = request.parameters.get("Key") or request.parameters["Item"]
    return request.parameters["TableName"], str({name: item[name] for name in item if name == "id"})


def _no_repetition(original, cycles, violations):
    def begin_attempt(request, lease):
        nodes = cycles.setdefault(id(request), _Cycle(request)).nodes
        if lease.node.endpoint in nodes:
            violations.append(f"{request.operation} comes to {lease.node} again: {nodes}")
        nodes.append(lease.node.endpoint)
        return original(request, lease)

    return begin_attempt


def _once_again(original, cycles, violations):
    def take_back_attempt(request):
        cycle = cycles[id(request)]
        node = cycle.nodes.pop()
        if node in cycle.again:
            violations.append(f"{request.operation} is sent to {node} a third time")
        cycle.again.append(node)
        return original(request)

    return take_back_attempt

"""What plans hand out, seen from inside: the one thing that the wire does not show.

Rules: a plan hands out no node that is down at that moment; a request's attempts repeat no node within a cycle.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from alternator_trio._core import query_plan
from alternator_trio._core.health import NodeState
from alternator_trio._request import Request
from alternator_trio._router import Router

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
    cycles: dict[int, tuple[Request, list[str]]] = {}
    owners: dict[int, tuple[object, Router]] = {}  # the plan itself as well, or its number might be another's
    with contextlib.ExitStack() as stack:
        for plan in PLANS:
            _replace(stack, plan, "next_node", lambda original: _never_down(original, owners, violations))
        _replace(stack, Router, "plan_for", lambda original: _new_cycle(original, cycles, owners))
        _replace(stack, Request, "begin_attempt", lambda original: _no_repetition(original, cycles, violations))
        yield violations


def _replace(stack, kind: type, name: str, make) -> None:
    original = vars(kind)[name]
    setattr(kind, name, make(original))
    stack.callback(setattr, kind, name, original)


def _never_down(original, owners, violations):
    def next_node(plan):
        node = original(plan)
        # The snapshot is asked, not the plan: what the plan believes is what is in question.
        _, router = owners.get(id(plan), (plan, None))
        if node is not None and router is not None and router._live.value.state_of(node) is NodeState.DOWN:
            violations.append(f"a plan hands out {node}, which is down")
        return node

    return next_node


def _new_cycle(original, cycles, owners):
    def plan_for(router, request, tried_last=None):
        cycles[id(request)] = (request, [])
        plan = original(router, request, tried_last)
        owners[id(plan)] = (plan, router)
        return plan

    return plan_for


def _no_repetition(original, cycles, violations):
    def begin_attempt(request, lease):
        _, nodes = cycles.setdefault(id(request), (request, []))
        if lease.node.endpoint in nodes:
            violations.append(f"{request.operation} comes to {lease.node} again: {nodes}")
        nodes.append(lease.node.endpoint)
        return original(request, lease)

    return begin_attempt

"""NodeRegistry: owns the ring and publishes it as `LiveNodes`. It does no I/O.

Rules: only a non-empty answer replaces the list; the Dispatcher is told of a change before anybody who waits for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, assert_never

from alternator_trio._actors.messages import (
    AttemptSettled,
    DirectContact,
    DispatcherMessage,
    NodeRegistryMessage,
    NodesDiscovered,
    RingChanged,
)
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._supervision import Actor, Children, Inbox, Published, Reply
from alternator_trio.nodes import Node

__all__ = ["NodeRegistry", "NodeRegistryState"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeRegistryState:
    """What the registry knows.

    Attributes:
        live: The node list in force.
        failures: Attempts that failed in a row, per node; nodes without any are not in it.
    """

    live: LiveNodes
    failures: Mapping[Node, int] = dataclasses.field(default_factory=dict[Node, int])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Publish:
    live: LiveNodes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    reply: Reply[LiveNodes]
    live: LiveNodes


_Action: TypeAlias = _Publish | _Answer


class NodeRegistry(Actor[NodeRegistryState, NodeRegistryMessage, _Action]):
    """The actor.

    Args:
        inbox: Where it receives.
        live: Where it publishes; holds the first snapshot.
        dispatcher: Who is told of another ring.
    """

    def __init__(
        self, inbox: Inbox[NodeRegistryMessage], live: Published[LiveNodes], dispatcher: Inbox[DispatcherMessage]
    ) -> None:
        super().__init__("NodeRegistry", inbox, NodeRegistryState(live=live.value))
        self._live: Final = live
        self._dispatcher: Final = dispatcher

    def decide(
        self, state: NodeRegistryState, message: NodeRegistryMessage | None, now: float
    ) -> tuple[NodeRegistryState, Sequence[_Action]]:
        del now
        match message:
            case NodesDiscovered(nodes=nodes, replies=replies):
                live = state.live.with_ring(nodes) if nodes else state.live
                published = () if live is state.live else (_Publish(live=live),)
                answers = tuple(_Answer(reply=reply, live=live) for reply in replies)
                return dataclasses.replace(state, live=live), (*published, *answers)
            case AttemptSettled():
                return dataclasses.replace(state, failures=_counted(state.failures, message)), ()
            case DirectContact(node=node):
                return dataclasses.replace(state, failures=_without(state.failures, node)), ()
            case None:
                return state, ()
            case _:
                assert_never(message)

    def perform(self, action: _Action, children: Children[NodeRegistryMessage]) -> None:
        del children
        match action:
            case _Publish(live=live):
                self._live.publish(live)
                self._dispatcher.tell(RingChanged(live=live))
            case _Answer(reply=reply, live=live):
                reply.settle(live)
            case _:
                assert_never(action)


def _counted(failures: Mapping[Node, int], settled: AttemptSettled) -> Mapping[Node, int]:
    before = 0 if settled.successes else failures.get(settled.node, 0)
    count = before + settled.failures
    others = _without(failures, settled.node)
    return {**others, settled.node: count} if count else others


def _without(failures: Mapping[Node, int], node: Node) -> Mapping[Node, int]:
    return {other: count for other, count in failures.items() if other != node}

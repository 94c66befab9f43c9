"""NodeRegistry: owns the node lists of all scopes, the scope in force and the nodes' health. It does no I/O.

Rules: every change is published as one `LiveNodes`; the Dispatcher hears of another ring before anybody who waits for
it. Observations of an older generation are dropped. Omitted nodes keep their history. It decides when a node is to be
probed, and Discovery does it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, assert_never

from alternator_trio._actors.messages import (
    AttemptSettled,
    DirectContact,
    DiscoveryMessage,
    DispatcherMessage,
    KnownNodesChanged,
    NodeRegistryMessage,
    NodesDiscovered,
    ProbeSettled,
    ProbeWanted,
    RefreshWanted,
)
from alternator_trio._core.health import (
    NEW,
    NodeState,
    Standing,
    after_direct_contact,
    after_probe_failure,
    after_probe_success,
    after_traffic_failure,
    after_traffic_success,
)
from alternator_trio._core.live_nodes import HEALTHY, LiveNodes
from alternator_trio._core.probing import FORGOTTEN_AFTER, Probing, due_now
from alternator_trio._core.scopes import ScopeList, choose, snapshot, with_answers
from alternator_trio._supervision import Actor, Children, Inbox, Published, Reply
from alternator_trio.instruments import NodeStateChanged, Notifier, ScopeChanged
from alternator_trio.nodes import Node
from alternator_trio.routing import NodeHealth, RoutingScope

__all__ = ["NodeRegistry", "NodeRegistryState", "first_snapshot"]

MAX_HISTORY: Final = 8192  # nodes; twice what a list may name
_FALLBACK_SPACING: Final = 0.1  # seconds between refreshes for want of a routable node

_logger: Final = logging.getLogger("alternator_trio")


class NodeRegistryState(NamedTuple):
    """What the registry knows.

    Attributes:
        lists: Per scope of the chain.
        position: The scope in force; None before the first node list.
        live: The snapshot that was published last.
        standings: Per node that is or was listed; nothing where health is off.
        probings: Per node that is listed now.
        probe_at: When the next of them is due (Trio's clock).
    """

    lists: tuple[ScopeList, ...]
    position: int | None
    live: LiveNodes
    standings: Mapping[Node, Standing] = {}
    probings: Mapping[Node, Probing] = {}
    probe_at: float = math.inf

    def state_of(self, node: Node) -> NodeState:
        """The node's state."""
        return self.standings.get(node, HEALTHY).state

    def routable_beside(self) -> Callable[[Node], bool]:
        """Of a node: whether no scope that is in force, or preferred to it, waits for it for want of a routable one."""
        if not self.live.eligible:
            return lambda node: False  # noqa: ARG005  # whoever it is
        in_force = 0 if self.position is None else self.position
        waited_for = {
            node
            for known in self.lists[: in_force + 1]
            if all(self.state_of(other) is NodeState.DOWN for other in known.nodes)
            for node in known.nodes
        }
        return lambda node: node not in waited_for


class _Publish(NamedTuple):
    live: LiveNodes


class _TellNodes(NamedTuple):
    live: LiveNodes


class _Answer(NamedTuple):
    reply: Reply[LiveNodes]
    live: LiveNodes


class _Probe(NamedTuple):
    wanted: ProbeWanted


class _Refresh(NamedTuple):
    """Nothing more to say."""


class _Announce(NamedTuple):
    event: ScopeChanged | NodeStateChanged


_Action: TypeAlias = _Publish | _TellNodes | _Answer | _Probe | _Refresh | _Announce


def first_snapshot(
    seeds: Sequence[Node], chain: Sequence[RoutingScope], *, discovered: bool, health: NodeHealth | None
) -> LiveNodes:
    """Before the first answer the seeds are the node list."""
    standings = {} if health is None else dict.fromkeys(seeds, NEW)
    return snapshot(
        ring=sorted(set(seeds)), chain=chain, position=0, lists=(), discovered=discovered, standings=standings
    )


class NodeRegistry(Actor[NodeRegistryState, NodeRegistryMessage, _Action]):
    """The actor.

    Args:
        inbox: Where it receives.
        live: Where it publishes; holds the first snapshot.
        dispatcher: Who is told of another ring.
        discovery: Who is told what to probe.
        chain: The preferred scope, then its fallbacks.
        health: The thresholds; None: every node is held to be active.
        notifier: Who is told of changes of scope and health.
    """

    def __init__(
        self,
        inbox: Inbox[NodeRegistryMessage],
        live: Published[LiveNodes],
        dispatcher: Inbox[DispatcherMessage],
        discovery: Inbox[DiscoveryMessage],
        *,
        chain: Sequence[RoutingScope],
        health: NodeHealth | None,
        notifier: Notifier,
    ) -> None:
        first = live.value
        lists = tuple(ScopeList() for _ in chain)
        state = NodeRegistryState(lists=lists, position=None, live=first, standings=first.standings)
        super().__init__("NodeRegistry", inbox, state)
        self._live: Final = live
        self._dispatcher: Final = dispatcher
        self._discovery: Final = discovery
        self._chain: Final = tuple(chain)
        self._health: Final = health
        self._notifier: Final = notifier

    def started(self, state: NodeRegistryState, now: float) -> tuple[NodeRegistryState, Sequence[_Action]]:
        # The first refresh is a direct contact with the seeds: they need no probe beside it.
        probings = {node: Probing(since=now) for node in state.standings}
        return self._probe_due(state._replace(probings=probings), now)

    def recovered(self, state: NodeRegistryState, now: float) -> tuple[NodeRegistryState, Sequence[_Action]]:
        del now
        return state, (_Publish(live=state.live), _TellNodes(live=state.live))

    def wake_at(self, state: NodeRegistryState) -> float:
        return state.probe_at

    def decide(
        self, state: NodeRegistryState, message: NodeRegistryMessage | None, now: float
    ) -> tuple[NodeRegistryState, Sequence[_Action]]:
        before = state
        replies: tuple[Reply[LiveNodes], ...] = ()
        match message:
            case NodesDiscovered():
                replies = message.replies
                lists = with_answers(state.lists, message.answers)
                state = state if lists == state.lists else self._with_lists(state, lists, now)
            case AttemptSettled():
                state = self._settled(state, message, now)
            case ProbeSettled():
                state = self._probed(state, message, now)
            case DirectContact(node=node):
                if self._health is not None and node in state.standings:
                    state = self._stands(state, node, after_direct_contact(state.standings[node], self._health), now)
            case None:
                pass
            case _:
                assert_never(message)
        actions: Sequence[_Action] = ()
        if state is not before:
            failed = message if isinstance(message, AttemptSettled) else None
            state, actions = self._advance(state, failed)
        probes: Sequence[_Action] = ()
        if state is not before or now >= state.probe_at:
            state, probes = self._probe_due(state, now)
        answers = (_Answer(reply=reply, live=state.live) for reply in replies)
        return state, (*actions, *answers, *probes)

    def perform(self, action: _Action, children: Children[NodeRegistryMessage]) -> None:
        del children
        match action:
            case _Publish(live=live):
                self._live.publish(live)
            case _TellNodes(live=live):
                self._dispatcher.tell(KnownNodesChanged(live=live))
            case _Answer(reply=reply, live=live):
                reply.settle(live)
            case _Probe(wanted=wanted):
                self._discovery.tell(wanted)
            case _Refresh():
                self._discovery.tell(RefreshWanted(replies=(), spacing=_FALLBACK_SPACING))
            case _Announce(event=event):
                _log(event)
                self._notifier.notify(event)
            case _:
                assert_never(action)

    # What messages make of the state.

    def _with_lists(self, state: NodeRegistryState, lists: tuple[ScopeList, ...], now: float) -> NodeRegistryState:
        listed = list(dict.fromkeys(node for known in lists for node in known.nodes))
        if self._health is None or not listed:
            return state._replace(lists=lists)
        standings = dict(state.standings)
        probings: dict[Node, Probing] = {}
        was_listed = {node for known in state.lists for node in known.nodes}
        for node in listed:
            standings.setdefault(node, NEW)
            if node in was_listed and node in state.probings:
                probings[node] = state.probings[node]
            else:
                probings[node] = Probing(since=now, appeared=True)
        if len(standings) > MAX_HISTORY:
            standings = {node: standings[node] for node in listed}
        return state._replace(lists=lists, standings=standings, probings=probings)

    def _settled(self, state: NodeRegistryState, message: AttemptSettled, now: float) -> NodeRegistryState:
        standing = state.standings.get(message.node)
        if self._health is None or standing is None or standing.generation != message.generation:
            return state
        standing = after_traffic_success(standing, self._health, message.successes)
        standing = after_traffic_failure(standing, self._health, message.failures)
        return self._stands(state, message.node, standing, now)

    def _probed(self, state: NodeRegistryState, message: ProbeSettled, now: float) -> NodeRegistryState:
        node = message.node
        standing, probing = state.standings.get(node), state.probings.get(node)
        if self._health is None or standing is None or probing is None:
            return state
        probing = probing.settled(now, succeeded=message.succeeded)
        state = state._replace(probings={**state.probings, node: probing})
        if message.succeeded is None or message.generation != standing.generation:
            return state
        after = after_probe_success if message.succeeded else after_probe_failure
        return self._stands(state, node, after(standing, self._health), now)

    def _stands(self, state: NodeRegistryState, node: Node, standing: Standing, now: float) -> NodeRegistryState:
        old = state.standings[node]
        if standing == old:
            return state
        if standing.state is NodeState.DOWN and old.state is not NodeState.DOWN and node in state.probings:
            state = state._replace(probings={**state.probings, node: Probing(since=now)})
        return state._replace(standings={**state.standings, node: standing})

    # What the state then calls for.

    def _advance(
        self, state: NodeRegistryState, failed: AttemptSettled | None
    ) -> tuple[NodeRegistryState, Sequence[_Action]]:
        """Choose the scope, and publish what has changed."""
        position = choose(state.lists, state.position, state.state_of)
        old = state.live
        if position is None:
            ring: Sequence[Node] = old.ring
        else:
            ring = state.lists[position].nodes
        live = snapshot(
            ring=ring,
            chain=self._chain,
            position=position or 0,
            lists=state.lists,
            discovered=old.discovered or position is not None,
            standings=state.standings,
        )
        scope_changed = position != state.position
        actions: list[_Action] = []
        if live == old:
            live = old
        else:
            actions.append(_Publish(live=live))
        if live.ring != old.ring or live.known != old.known or scope_changed:
            actions.append(_TellNodes(live=live))
        if scope_changed:
            actions.append(_Announce(event=self._scope_event(state.position, live)))
        actions += [_Announce(event=event) for event in _state_events(old, live, failed)]
        if not live.eligible and old.eligible:
            actions.append(_Refresh())
        return state._replace(position=position, live=live), actions

    def _probe_due(self, state: NodeRegistryState, now: float) -> tuple[NodeRegistryState, Sequence[_Action]]:
        if self._health is None or not state.live.watched:
            return state._replace(probe_at=math.inf), ()
        due, probe_at = due_now(state.probings, state.standings, state.routable_beside(), now)
        if not due:
            return state._replace(probe_at=probe_at), ()
        forgotten_at = now + FORGOTTEN_AFTER
        in_flight = {node: state.probings[node]._replace(in_flight_until=forgotten_at) for node in due}
        state = state._replace(probings={**state.probings, **in_flight}, probe_at=min(probe_at, forgotten_at))
        wanted = [_Probe(wanted=ProbeWanted(node=node, generation=state.standings[node].generation)) for node in due]
        return state, wanted

    def _scope_event(self, old: int | None, live: LiveNodes) -> ScopeChanged:
        old_scope = None if old is None else str(self._chain[old])
        return ScopeChanged(old=old_scope, new=str(live.scope), crosses_datacenters=live.crosses_datacenters)


def _state_events(old: LiveNodes, new: LiveNodes, failed: AttemptSettled | None) -> list[NodeStateChanged]:
    if old.standings is new.standings:
        return []
    events: list[NodeStateChanged] = []
    for node, standing in new.standings.items():
        before = old.standings.get(node)
        if before is None or before.state is not standing.state:
            was = None if before is None else before.state.name
            went_down = standing.state is NodeState.DOWN
            reason = failed.reason if went_down and failed is not None and failed.node == node else ""
            events.append(NodeStateChanged(node=node.endpoint, old=was, new=standing.state.name, reason=reason))
    return events


def _log(event: ScopeChanged | NodeStateChanged) -> None:
    before = event.old or "none"
    match event:
        case ScopeChanged(crosses_datacenters=True):
            _logger.warning(
                "routing scope %s is in force, before: %s; requests leave the preferred datacenter, and with it "
                "isolation, order and read-your-writes",
                event.new,
                before,
            )
        case ScopeChanged():
            _logger.info("routing scope %s is in force, before: %s", event.new, before)
        case NodeStateChanged(new="DOWN"):
            why = f"; the last failure: {event.reason}" if event.reason else ""
            _logger.warning("node %s is %s, before: %s%s", event.node, event.new, before, why)
        case NodeStateChanged():
            _logger.info("node %s is %s, before: %s", event.node, event.new, before)

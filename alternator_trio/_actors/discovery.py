"""Discovery: keeps the node list fresh, and probes. One refresh at a time, one probe per node.

Rules (spec §2, §5): a refresh begins with the client, then after ``active_interval`` while requests flow and after
``idle_interval`` while none do; the first request after an idle time wakes it. Whom it asks is the `Refresher`'s.
Whether a node is to be probed the NodeRegistry decides. A restart after a crash clears the marks of the children that
died with it.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, assert_never

from alternator_trio._actors.messages import (
    Activity,
    DirectContact,
    DiscoveryMessage,
    NodeRegistryMessage,
    NodesDiscovered,
    ProbeFinished,
    ProbeSettled,
    ProbeWanted,
    RefreshFinished,
    RefreshWanted,
)
from alternator_trio._actors.refresher import Refresher
from alternator_trio._core.discovery import RefreshResult
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._supervision import Actor, Children, Inbox, Published, Reply, joined
from alternator_trio.errors import AlternatorError, ClientClosedError, DiscoveryError, PoolTimeoutError
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

__all__ = ["Discovery", "DiscoveryState"]

_MAX_LOGGED: Final = 8

_logger: Final = logging.getLogger("alternator_trio")

ProbeNode: TypeAlias = Callable[[Node, float], Awaitable[None]]
"""Asks one node, within so many seconds, whether it is well; raises `AlternatorError` when it is not."""


class DiscoveryState(NamedTuple):
    """Where discovery stands.

    Attributes:
        refreshing: Whether a refresh is in flight.
        began: When the last refresh began (Trio's clock).
        next_at: When the next one begins if nothing happens before.
        contacts: Nodes that answered in earlier refreshes.
        waiting: Who waits for the refresh in flight, or for the next.
        is_failing: Whether the last refresh found nothing; logged when it changes.
        probing: Probes in flight, by node.
        queued: Probes that wait for one of them to end, by node, the oldest first.
    """

    refreshing: bool = False
    began: float = -math.inf
    next_at: float = -math.inf
    contacts: tuple[Node, ...] = ()
    waiting: tuple[Reply[LiveNodes], ...] = ()
    is_failing: bool = False
    probing: Mapping[Node, ProbeWanted] = {}
    queued: Mapping[Node, ProbeWanted] = {}


class _Begin(NamedTuple):
    contacts: tuple[Node, ...]


class _Report(NamedTuple):
    result: RefreshResult
    replies: tuple[Reply[LiveNodes], ...]


class _WantActivityFrom(NamedTuple):
    when: float


class _Probe(NamedTuple):
    wanted: ProbeWanted


class _TellProbe(NamedTuple):
    settled: ProbeSettled


class _Log(NamedTuple):
    found: bool
    failures: tuple[tuple[str, str], ...]


_Action: TypeAlias = _Log | _Begin | _Report | _WantActivityFrom | _Probe | _TellProbe


class Discovery(Actor[DiscoveryState, DiscoveryMessage, _Action]):
    """The actor.

    Args:
        inbox: Where it receives.
        registry: Who is told what was found.
        activity_from: Where it publishes from when on (Trio's clock) callers shall tell `Activity`.
        refresher: Carries out refreshes.
        probe: Asks one node whether it is well.
        active_interval: Seconds between refreshes while requests flow.
        idle_interval: Seconds between refreshes while none do.
        chain: The preferred scope, then its fallbacks.
        probe_concurrency: Probes in flight at once.
        probe_timeout: Seconds for one probe.
    """

    def __init__(
        self,
        inbox: Inbox[DiscoveryMessage],
        registry: Inbox[NodeRegistryMessage],
        *,
        activity_from: Published[float],
        refresher: Refresher,
        probe: ProbeNode,
        active_interval: float,
        idle_interval: float,
        chain: Sequence[RoutingScope],
        probe_concurrency: int,
        probe_timeout: float,
    ) -> None:
        super().__init__("Discovery", inbox, DiscoveryState())
        self._registry = registry
        self._activity_from = activity_from
        self._refresher = refresher
        self._probe_node = probe
        self._active_interval = active_interval
        self._idle_interval = idle_interval
        self._chain = tuple(chain)
        self._probe_concurrency = probe_concurrency
        self._probe_timeout = probe_timeout

    def decide(
        self, state: DiscoveryState, message: DiscoveryMessage | None, now: float
    ) -> tuple[DiscoveryState, Sequence[_Action]]:
        match message:
            case RefreshWanted(replies=replies, spacing=spacing):
                state = state._replace(waiting=joined(state.waiting, replies))
                return self._begin_at(state, state.began + spacing, now)
            case Activity():
                return self._begin_at(state, state.began + self._active_interval, now)
            case RefreshFinished(result=result):
                return self._finish(state, result)
            case ProbeWanted() | ProbeFinished():
                return self._step_probes(state, message)
            case None:
                return self._begin_at(state, state.next_at, now)
            case _:
                assert_never(message)

    def started(self, state: DiscoveryState, now: float) -> tuple[DiscoveryState, Sequence[_Action]]:
        return self._begin_at(state, now, now)

    def recovered(self, state: DiscoveryState, now: float) -> tuple[DiscoveryState, Sequence[_Action]]:
        lost = (*state.probing.values(), *state.queued.values())
        state = state._replace(refreshing=False, probing={}, queued={})
        state, actions = self._begin_at(state, now, now)
        return state, (*(_TellProbe(_unmade(wanted)) for wanted in lost), *actions)

    def wake_at(self, state: DiscoveryState) -> float:
        return math.inf if state.refreshing else state.next_at

    def perform(self, action: _Action, children: Children[DiscoveryMessage]) -> None:
        match action:
            case _Begin(contacts=contacts):
                children.start(lambda: self._refresh(contacts), name="Discovery refresh")
            case _Probe(wanted=wanted):
                children.start(lambda: self._probe(wanted), name=f"Discovery probes {wanted.node}")
            case _TellProbe(settled=settled):
                self._registry.tell(settled)
            case _Report(result=result, replies=replies):
                self._report(result, replies)
            case _Log(found=found, failures=failures):
                _log(failures, found=found)
            case _WantActivityFrom(when=when):
                self._activity_from.publish(when)
            case _:
                assert_never(action)

    def abandon(self, error: Exception) -> None:
        """Settle who waits: there will be no refresh any more."""
        waiting, self.state = self.state.waiting, self.state._replace(waiting=())
        for reply in waiting:
            reply.fail(error)

    def _begin_at(self, state: DiscoveryState, when: float, now: float) -> tuple[DiscoveryState, Sequence[_Action]]:
        if state.refreshing:
            return state, ()
        if when > now:
            return state._replace(next_at=min(state.next_at, when)), ()
        state = state._replace(refreshing=True, began=now, next_at=math.inf)
        return state, (_WantActivityFrom(math.inf), _Begin(state.contacts))

    def _finish(self, state: DiscoveryState, result: RefreshResult) -> tuple[DiscoveryState, Sequence[_Action]]:
        found = any(answer.nodes for answer in result.answers)
        log = () if found is not state.is_failing else (_Log(found, self._reasons(result)),)
        actions = (_Report(result, state.waiting), _WantActivityFrom(state.began + self._active_interval), *log)
        state = state._replace(
            refreshing=False,
            next_at=state.began + self._idle_interval,
            contacts=result.contacts or state.contacts,
            waiting=(),
            is_failing=not found,
        )
        return state, actions

    def _step_probes(
        self, state: DiscoveryState, message: ProbeWanted | ProbeFinished
    ) -> tuple[DiscoveryState, Sequence[_Action]]:
        match message:
            case ProbeWanted(node=node):
                if node in state.probing or node in state.queued:
                    return state, ()
                return self._begin_probes(state._replace(queued={**state.queued, node: message}))
            case ProbeFinished(settled=settled):
                probing = {node: wanted for node, wanted in state.probing.items() if node != settled.node}
                state, probes = self._begin_probes(state._replace(probing=probing))
                return state, (_TellProbe(settled), *probes)

    def _begin_probes(self, state: DiscoveryState) -> tuple[DiscoveryState, Sequence[_Action]]:
        free = self._probe_concurrency - len(state.probing)
        begun = dict(itertools.islice(state.queued.items(), free))
        queued = dict(itertools.islice(state.queued.items(), len(begun), None))
        state = state._replace(probing={**state.probing, **begun}, queued=queued)
        return state, [_Probe(wanted) for wanted in begun.values()]

    def _report(self, result: RefreshResult, replies: tuple[Reply[LiveNodes], ...]) -> None:
        for node in result.answered:
            self._registry.tell(DirectContact(node=node))
        found = any(answer.nodes for answer in result.answers)
        if result.answers:
            self._registry.tell(NodesDiscovered(answers=result.answers, replies=replies if found else ()))
        if not found:
            error = DiscoveryError("no node gave a usable node list", failures=self._reasons(result))
            for reply in replies:
                reply.fail(error)

    def _reasons(self, result: RefreshResult) -> tuple[tuple[str, str], ...]:
        """Why a refresh found no node: the failures of nodes, and the scopes that have none (a name misspelt?)."""
        empty = ((str(self._chain[each.position]), "an empty node list") for each in result.answers if not each.nodes)
        return (*result.failures, *empty)

    # The children.

    async def _refresh(self, contacts: Sequence[Node]) -> RefreshFinished:
        return RefreshFinished(result=await self._refresher.refresh(contacts))

    async def _probe(self, wanted: ProbeWanted) -> ProbeFinished:
        succeeded: bool | None = True
        try:
            await self._probe_node(wanted.node, self._probe_timeout)
        except (PoolTimeoutError, ClientClosedError):
            succeeded = None
        except AlternatorError:
            succeeded = False
        settled = ProbeSettled(node=wanted.node, generation=wanted.generation, succeeded=succeeded)
        return ProbeFinished(settled=settled)


def _unmade(wanted: ProbeWanted) -> ProbeSettled:
    return ProbeSettled(node=wanted.node, generation=wanted.generation, succeeded=None)


def _log(failures: Sequence[tuple[str, str]], *, found: bool) -> None:
    if found:
        _logger.info("a node list is found again")
        return
    listed = "; ".join(f"{candidate}: {reason}" for candidate, reason in failures[:_MAX_LOGGED])
    _logger.warning("no node gives a usable node list, and the one in force stays: %s", listed or "nobody answered")

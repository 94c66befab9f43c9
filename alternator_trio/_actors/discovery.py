"""Discovery: keeps the node list fresh. One refresh at a time, whoever asks for it and however many do.

Rules (spec §2): a refresh begins with the client, then after ``active_interval`` while requests flow and after
``idle_interval`` while none do; the first request after an idle time wakes it. Of a refresh's candidates the next is
asked when the last has not answered within 500 ms, three at a time, and the whole ends within 5 s. A restart after a
crash clears the mark of the refresh that died with it and begins another.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias, assert_never

import trio

from alternator_trio._actors.messages import (
    Activity,
    DirectContact,
    DiscoveryMessage,
    NodeRegistryMessage,
    NodesDiscovered,
    RefreshFinished,
    RefreshWanted,
)
from alternator_trio._core.discovery import Refresh, RefreshResult
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._supervision import Actor, Children, Inbox, Published, Reply
from alternator_trio._wire.localnodes import LocalNodes
from alternator_trio.errors import AlternatorError, DiscoveryError
from alternator_trio.nodes import Node

__all__ = ["AskLocalNodes", "Discovery", "DiscoveryState"]

HEDGE_AFTER: Final = 0.5
MAX_IN_FLIGHT: Final = 3
REFRESH_TIMEOUT: Final = 5.0

AskLocalNodes: TypeAlias = Callable[[Node], Awaitable[LocalNodes]]
"""Asks one node for its list; raises `AlternatorError` when there is no usable answer."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryState:
    """Where discovery stands.

    Attributes:
        refreshing: Whether a refresh is in flight.
        began: When the last refresh began (Trio's clock).
        next_at: When the next one begins if nothing happens before.
        contacts: Nodes that answered in earlier refreshes.
        waiting: Who waits for the refresh in flight, or for the next.
    """

    refreshing: bool = False
    began: float = -math.inf
    next_at: float = -math.inf
    contacts: tuple[Node, ...] = ()
    waiting: tuple[Reply[LiveNodes], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class _Begin:
    contacts: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Report:
    result: RefreshResult
    replies: tuple[Reply[LiveNodes], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _WantActivityFrom:
    when: float


_Action: TypeAlias = _Begin | _Report | _WantActivityFrom


class Discovery(Actor[DiscoveryState, DiscoveryMessage, _Action]):
    """The actor.

    Args:
        inbox: Where it receives.
        registry: Who is told what was found.
        live: The node list in force, to choose candidates from.
        activity_from: Where it publishes from when on (Trio's clock) callers shall tell `Activity`.
        ask: Asks one node.
        seeds: Contacts of last resort.
        active_interval: Seconds between refreshes while requests flow.
        idle_interval: Seconds between refreshes while none do.
        rng: For the order of candidates.
    """

    def __init__(
        self,
        inbox: Inbox[DiscoveryMessage],
        registry: Inbox[NodeRegistryMessage],
        *,
        live: Published[LiveNodes],
        activity_from: Published[float],
        ask: AskLocalNodes,
        seeds: Sequence[Node],
        active_interval: float,
        idle_interval: float,
        rng: random.Random,
    ) -> None:
        super().__init__("Discovery", inbox, DiscoveryState())
        self._registry = registry
        self._live = live
        self._activity_from = activity_from
        self._ask = ask
        self._seeds = tuple(seeds)
        self._active_interval = active_interval
        self._idle_interval = idle_interval
        self._rng = rng

    def decide(
        self, state: DiscoveryState, message: DiscoveryMessage | None, now: float
    ) -> tuple[DiscoveryState, Sequence[_Action]]:
        match message:
            case RefreshWanted(replies=replies, spacing=spacing):
                state = dataclasses.replace(state, waiting=state.waiting + replies)
                return self._begin_at(state, state.began + spacing, now)
            case Activity():
                return self._begin_at(state, state.began + self._active_interval, now)
            case RefreshFinished(result=result):
                return self._finish(state, result)
            case None:
                return self._begin_at(state, state.next_at, now)
            case _:
                assert_never(message)

    def started(self, state: DiscoveryState, now: float) -> tuple[DiscoveryState, Sequence[_Action]]:
        return self._begin_at(state, now, now)

    def recovered(self, state: DiscoveryState, now: float) -> tuple[DiscoveryState, Sequence[_Action]]:
        return self._begin_at(dataclasses.replace(state, refreshing=False), now, now)

    def wake_at(self, state: DiscoveryState) -> float:
        return math.inf if state.refreshing else state.next_at

    def perform(self, action: _Action, children: Children[DiscoveryMessage]) -> None:
        match action:
            case _Begin(contacts=contacts):
                refresh = self._plan(contacts)
                children.start(lambda: self._refresh(refresh), name="Discovery refresh")
            case _Report(result=result, replies=replies):
                self._report(result, replies)
            case _WantActivityFrom(when=when):
                self._activity_from.publish(when)
            case _:
                assert_never(action)

    def abandon(self, error: Exception) -> None:
        """Settle who waits: there will be no refresh any more."""
        waiting, self.state = self.state.waiting, dataclasses.replace(self.state, waiting=())
        for reply in waiting:
            reply.fail(error)

    def _begin_at(self, state: DiscoveryState, when: float, now: float) -> tuple[DiscoveryState, Sequence[_Action]]:
        if state.refreshing:
            return state, ()
        if when > now:
            return dataclasses.replace(state, next_at=min(state.next_at, when)), ()
        state = dataclasses.replace(state, refreshing=True, began=now, next_at=math.inf)
        return state, (_WantActivityFrom(math.inf), _Begin(state.contacts))

    def _finish(self, state: DiscoveryState, result: RefreshResult) -> tuple[DiscoveryState, Sequence[_Action]]:
        actions = _Report(result, state.waiting), _WantActivityFrom(state.began + self._active_interval)
        contacts = result.contacts or state.contacts
        next_at = state.began + self._idle_interval
        return DiscoveryState(began=state.began, next_at=next_at, contacts=contacts), actions

    def _plan(self, contacts: Sequence[Node]) -> Refresh:
        live = self._live.value
        known = list(live.ring) if live.discovered else []
        seeds = list(self._seeds)
        self._rng.shuffle(known)
        self._rng.shuffle(seeds)
        return Refresh(known=known, contacts=contacts, seeds=seeds)

    def _report(self, result: RefreshResult, replies: tuple[Reply[LiveNodes], ...]) -> None:
        for node in result.answered:
            self._registry.tell(DirectContact(node=node))
        if result.nodes:
            self._registry.tell(NodesDiscovered(nodes=result.nodes, replies=replies))
            return
        error = DiscoveryError("no node gave a usable node list", failures=result.failures)
        for reply in replies:
            reply.fail(error)

    # The child that refreshes.

    async def _refresh(self, refresh: Refresh) -> RefreshFinished:
        with trio.move_on_after(REFRESH_TIMEOUT) as overall:
            async with trio.open_nursery() as nursery:
                await self._ask_all(refresh, nursery)
                nursery.cancel_scope.cancel()
        if overall.cancelled_caught:
            refresh.give_up(f"no answer within {REFRESH_TIMEOUT:g} s")
        return RefreshFinished(result=refresh.result())

    async def _ask_all(self, refresh: Refresh, nursery: trio.Nursery) -> None:
        changed = trio.Event()

        async def ask(node: Node) -> None:
            nonlocal changed
            try:
                answer = await self._ask(node)
            except AlternatorError as error:
                refresh.fail(node, error.message)
            else:
                refresh.answer(node, [node.at(host) for host in answer.hosts])
            changed.set()
            changed = trio.Event()

        while True:
            candidate = refresh.next_candidate() if len(refresh.in_flight) < MAX_IN_FLIGHT else None
            if candidate is not None:
                nursery.start_soon(ask, candidate, name=f"Discovery asks {candidate}")
            if not refresh.is_wanting:
                return
            with trio.move_on_after(HEDGE_AFTER):
                await changed.wait()

"""How a refresh goes: whom it asks, in which order, and what their answers come to.

Rules (spec §2): it starts at the preferred scope and goes on along the chain until a scope is usable. Of a scope's
candidates the next is asked when the last has not answered within 500 ms; three are in flight at most, the last of whom
gives way to the next, and the whole ends within 5 s. What is wrong with one node, or with the user's translation of
what it lists, is that node's failure.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import trio

from alternator_trio._core.discovery import ClusterRefresh, Refresh, RefreshResult, ScopeRefresh, united
from alternator_trio._core.health import NodeState
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._supervision import Published
from alternator_trio._wire.localnodes import LocalNodes
from alternator_trio.config import AddressTranslator
from alternator_trio.errors import AlternatorError, ConfigurationError
from alternator_trio.nodes import Node, canonical_host, host_problem
from alternator_trio.routing import RoutingScope

__all__ = ["AskLocalNodes", "Refresher"]

HEDGE_AFTER: Final = 0.5
MAX_IN_FLIGHT: Final = 3
REFRESH_TIMEOUT: Final = 5.0
MAX_COMPLAINTS: Final = 64  # nodes whose bad entries are remembered, so that they are logged once
_ORDER: Final = {NodeState.ACTIVE: 0, NodeState.QUARANTINED: 1, NodeState.DOWN: 2}

_logger: Final = logging.getLogger("alternator_trio")

AskLocalNodes: TypeAlias = Callable[[Node, RoutingScope, float], Awaitable[LocalNodes]]
"""Asks one node for the list of a scope, within so many seconds; raises `AlternatorError` without a usable answer."""


class Refresher:
    """Carries out refreshes, one at a time.

    Args:
        live: The node list in force, to choose candidates from.
        ask: Asks one node for a list.
        seeds: Contacts of last resort.
        chain: The preferred scope, then its fallbacks.
        translator: From listed hosts to dialled ones; None: they are the same.
        rng: For the order of candidates.
    """

    def __init__(
        self,
        live: Published[LiveNodes],
        ask: AskLocalNodes,
        *,
        seeds: Sequence[Node],
        chain: Sequence[RoutingScope],
        translator: AddressTranslator | None,
        rng: random.Random,
    ) -> None:
        self._live = live
        self._ask = ask
        self._seeds = tuple(seeds)
        self._chain = tuple(chain)
        self._translator = translator
        self._rng = rng
        self._complaints: dict[Node, int] = {}

    async def refresh(self, contacts: Sequence[Node]) -> RefreshResult:
        """Carry one out; ``contacts`` are the nodes that answered in earlier ones."""
        refreshes: list[Refresh] = []
        with trio.move_on_after(REFRESH_TIMEOUT) as overall:
            for scope in self._chain:
                failed = {node for refresh in refreshes for node, _ in refresh.failures}
                candidates = [node for node in self._candidates(contacts) if node not in failed]
                refresh = ClusterRefresh(candidates) if scope.is_cluster else ScopeRefresh(candidates)
                refreshes.append(refresh)
                async with trio.open_nursery() as nursery:
                    await self._ask_all(refresh, scope, nursery)
                    nursery.cancel_scope.cancel()
                if any(self._live.value.state_of(node) is not NodeState.DOWN for node in refresh.nodes):
                    break
        if overall.cancelled_caught:
            refreshes[-1].give_up(f"no answer within {REFRESH_TIMEOUT:g} s")
        return united(refreshes, contacts)

    def _candidates(self, contacts: Sequence[Node]) -> list[Node]:
        """Whom to ask: known nodes, the healthiest first, then contacts, then seeds; in random order among equals."""
        live = self._live.value
        known = list(live.known) if live.discovered else []
        seeds = list(self._seeds)
        self._rng.shuffle(known)
        self._rng.shuffle(seeds)
        known.sort(key=lambda node: _ORDER[live.state_of(node)])
        return [*known, *contacts, *seeds]

    async def _ask_all(self, refresh: Refresh, scope: RoutingScope, nursery: trio.Nursery) -> None:
        changed = trio.Event()
        asking: dict[Node, trio.CancelScope] = {}

        async def ask(node: Node) -> None:
            nonlocal changed
            with asking[node] as patience:
                try:
                    listed: list[Node] | AlternatorError = await self._listed_by(node, scope)
                except AlternatorError as error:
                    listed = error
                if patience.cancel_called:
                    return  # given up in the very tick of its answer
                if isinstance(listed, AlternatorError):
                    refresh.fail(node, listed.message)
                else:
                    refresh.answer(node, listed)
                changed.set()
                changed = trio.Event()

        overdue = False
        while True:
            is_full = len(refresh.in_flight) >= MAX_IN_FLIGHT
            candidate = refresh.next_candidate() if overdue or not is_full else None
            if candidate is not None:
                if is_full:
                    # Three that are silent must not keep all the others, the seeds for one, from being asked. The two
                    # that were asked first are waited for all the same: perhaps everybody is slow.
                    latest = refresh.in_flight[-2]
                    refresh.fail(latest, f"no answer within {HEDGE_AFTER:g} s")
                    asking[latest].cancel()
                asking[candidate] = trio.CancelScope()
                nursery.start_soon(ask, candidate, name=f"Discovery asks {candidate}")
            if not refresh.is_wanting:
                return
            with trio.move_on_after(HEDGE_AFTER) as hedge:
                await changed.wait()
            overdue = hedge.cancelled_caught

    async def _listed_by(self, node: Node, scope: RoutingScope) -> list[Node]:
        answer = await self._ask(node, scope, REFRESH_TIMEOUT)
        self._complain(node, answer.dropped)
        return [node.at(self._dialled(host)) for host in answer.hosts]

    def _dialled(self, host: str) -> str:
        """What a listed host is dialled as."""
        translate = self._translator
        if translate is None:
            return host
        try:
            dialled: object = translate(host) if callable(translate) else translate.get(host, host)
        except Exception as error:
            raise ConfigurationError(f"address_translator raised for {host!r}: {error!r}") from error
        if not isinstance(dialled, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # a user's table or function
            raise ConfigurationError(f"address_translator made {dialled!r} of {host!r}: it is no string")
        problem = host_problem(dialled)
        if problem is not None:
            raise ConfigurationError(f"address_translator made {dialled!r} of {host!r}: {problem}")
        return canonical_host(dialled)

    def _complain(self, node: Node, dropped: int) -> None:
        """Log how many entries of a node's list were refused; when that changes, and not with every refresh."""
        before = self._complaints.pop(node, 0)
        if not dropped:
            return
        if len(self._complaints) >= MAX_COMPLAINTS:
            self._complaints.clear()
        self._complaints[node] = dropped
        if dropped != before:
            _logger.warning(
                "node %s lists %d entries that are no acceptable addresses; they are dropped", node, dropped
            )

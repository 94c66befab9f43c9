"""Dispatcher: owns the connection pools, their timers and the retry quota.

Rules: callers use pools and quota through synchronous methods; everything that needs a clock happens here: exchanges
that are overdue, connections that were idle for too long, nodes that left. A restart opens a new epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias, assert_never

import trio

from alternator_trio._actors.messages import DispatcherMessage, KnownNodesChanged
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._supervision import Actor, Children, Inbox
from alternator_trio._transport.pools import Pools
from alternator_trio.nodes import Node

__all__ = ["Dispatcher", "DispatcherState"]


class DispatcherState(NamedTuple):
    """What the Dispatcher knows beside its pools.

    Attributes:
        kept: Nodes whose connections are kept though they are not listed: the seeds, which discovery goes on asking.
    """

    kept: tuple[Node, ...]


class _Retire(NamedTuple):
    live: LiveNodes


class _Sweep(NamedTuple):
    """Nothing more to say."""


class _OpenEpoch(NamedTuple):
    """Nothing more to say."""


_Action: TypeAlias = _Retire | _Sweep | _OpenEpoch


class Dispatcher(Actor[DispatcherState, DispatcherMessage, _Action]):
    """The actor.

    Args:
        inbox: Where it receives; its alarm is `Inbox.wake_by`.
        pools: What it owns; made by the composition root, because callers use them too.
        kept: Nodes whose connections are kept though they are not listed.
        forget: Called with each ring, so that what was built for other nodes can be dropped.
    """

    def __init__(
        self,
        inbox: Inbox[DispatcherMessage],
        pools: Pools,
        kept: Sequence[Node],
        forget: Callable[[LiveNodes], None],
    ) -> None:
        super().__init__("Dispatcher", inbox, DispatcherState(kept=tuple(kept)))
        self._pools: Final = pools
        self._forget: Final = forget

    def decide(
        self, state: DispatcherState, message: DispatcherMessage | None, now: float
    ) -> tuple[DispatcherState, Sequence[_Action]]:
        del now
        # A wake-up may have been lost to a message that came at the same time: sweeping is cheap and idempotent.
        match message:
            case KnownNodesChanged(live=live):
                return state, (_Retire(live=live), _Sweep())
            case None:
                return state, (_Sweep(),)
            case _:
                assert_never(message)

    def recovered(self, state: DispatcherState, now: float) -> tuple[DispatcherState, Sequence[_Action]]:
        del now
        return state, (_OpenEpoch(), _Sweep())

    def perform(self, action: _Action, children: Children[DispatcherMessage]) -> None:
        del children
        match action:
            case _Retire(live=live):
                self._pools.keep_only((*live.known, *self.state.kept))
                self._forget(live)
            case _Sweep():
                self._pools.sweep(trio.current_time())
            case _OpenEpoch():
                self._pools.open_epoch()
            case _:
                assert_never(action)

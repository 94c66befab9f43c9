"""KeyResolver: knows the name of each table's partition key, and finds it out where it does not.

Rules: one lookup per table at a time, in a task of its own; others share its result; a request never waits for one
unless it asks to. A restart after a crash clears the marks of the lookups that died with it; who waits is looked up for
again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias, assert_never

from alternator_trio._actors.messages import KeyNames, KeyResolverMessage, KeyWanted, LookupFinished, TableChanged
from alternator_trio._supervision import Actor, Children, Inbox, Published, Reply
from alternator_trio.errors import AlternatorError

__all__ = ["KeyResolver", "KeyResolverState", "LookUpKey"]

LookUpKey: TypeAlias = Callable[[str], Awaitable[str]]
"""Asks the cluster for the name of a table's partition key; raises `AlternatorError` when it cannot be told."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeyResolverState:
    """What the resolver knows.

    Attributes:
        names: Table to partition key name.
        lookups: The tables being looked up, and who waits for each.
    """

    names: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    lookups: Mapping[str, tuple[Reply[str], ...]] = dataclasses.field(default_factory=dict[str, tuple[Reply[str], ...]])


@dataclasses.dataclass(frozen=True, slots=True)
class _LookUp:
    table: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Answer:
    replies: tuple[Reply[str], ...]
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Refuse:
    replies: tuple[Reply[str], ...]
    error: Exception


@dataclasses.dataclass(frozen=True, slots=True)
class _Publish:
    pass


_Action: TypeAlias = _LookUp | _Answer | _Refuse | _Publish


class KeyResolver(Actor[KeyResolverState, KeyResolverMessage, _Action]):
    """The actor.

    Args:
        inbox: Where it receives.
        names: Where it publishes.
        look_up: Asks the cluster.
    """

    def __init__(self, inbox: Inbox[KeyResolverMessage], names: Published[KeyNames], look_up: LookUpKey) -> None:
        super().__init__("KeyResolver", inbox, KeyResolverState(names=names.value.names))
        self._published: Final = names
        self._look_up: Final = look_up

    def decide(
        self, state: KeyResolverState, message: KeyResolverMessage | None, now: float
    ) -> tuple[KeyResolverState, Sequence[_Action]]:
        del now
        match message:
            case KeyWanted(table=table, replies=replies):
                return _wanted(state, table, replies)
            case LookupFinished():
                return _finished(state, message)
            case TableChanged(table=table):
                names = {other: name for other, name in state.names.items() if other != table}
                return dataclasses.replace(state, names=names), (_Publish(),)
            case None:
                return state, ()
            case _:
                assert_never(message)

    def recovered(self, state: KeyResolverState, now: float) -> tuple[KeyResolverState, Sequence[_Action]]:
        del now
        lookups = {table: replies for table, replies in state.lookups.items() if replies}
        return dataclasses.replace(state, lookups=lookups), (_Publish(), *(_LookUp(table) for table in lookups))

    def perform(self, action: _Action, children: Children[KeyResolverMessage]) -> None:
        match action:
            case _LookUp(table=table):
                children.start(lambda: self._run_lookup(table), name=f"KeyResolver looks up {table}")
            case _Answer(replies=replies, name=name):
                for reply in replies:
                    reply.settle(name)
            case _Refuse(replies=replies, error=error):
                for reply in replies:
                    reply.fail(error)
            case _Publish():
                pending = frozenset(self.state.lookups)
                self._published.publish(KeyNames(names=self.state.names, pending=pending))
            case _:
                assert_never(action)

    def abandon(self, error: Exception) -> None:
        """Settle who waits: there will be no answer any more."""
        lookups, self.state = self.state.lookups, dataclasses.replace(self.state, lookups={})
        for replies in lookups.values():
            for reply in replies:
                reply.fail(error)

    async def _run_lookup(self, table: str) -> LookupFinished:
        try:
            return LookupFinished(table=table, name=await self._look_up(table))
        except AlternatorError as error:
            return LookupFinished(table=table, name=None, error=error)


def _wanted(
    state: KeyResolverState, table: str, replies: tuple[Reply[str], ...]
) -> tuple[KeyResolverState, Sequence[_Action]]:
    name = state.names.get(table)
    if name is not None:
        return state, (_Answer(replies, name),)
    waiting = state.lookups.get(table)
    lookups = {**state.lookups, table: (waiting or ()) + replies}
    actions = (_Publish(), _LookUp(table)) if waiting is None else ()
    return dataclasses.replace(state, lookups=lookups), actions


def _finished(state: KeyResolverState, message: LookupFinished) -> tuple[KeyResolverState, Sequence[_Action]]:
    lookups = dict(state.lookups)
    replies = lookups.pop(message.table, ())
    if message.name is None:
        error = message.error or AssertionError("a lookup ends with a name or an error")
        return dataclasses.replace(state, lookups=lookups), (_Publish(), _Refuse(replies, error))
    names = {**state.names, message.table: message.name}
    return KeyResolverState(names=names, lookups=lookups), (_Publish(), _Answer(replies, message.name))

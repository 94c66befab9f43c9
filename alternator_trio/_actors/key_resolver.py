"""KeyResolver: knows the name of each table's partition key, and finds it out where it does not.

Rules: one lookup per table at a time, in a task of its own; others share its result; a request never waits for one
unless it asks to. Names that the user gave stay; what was found out is void once the table has changed, and so is the
result of a lookup that was running then. A restart after a crash clears the marks of the lookups that died with it; who
waits is looked up for again. Nobody is left waiting: a lookup ends, however often it crashes.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, assert_never

import trio

from alternator_trio._actors.messages import (
    KeyDoubted,
    KeyNames,
    KeyResolverMessage,
    KeyWanted,
    LookupFinished,
    TableChanged,
)
from alternator_trio._core.keys import ATTEMPTS, MAX_TABLES, KnownKeys, is_permanent, partition_key_in, pause
from alternator_trio._supervision import Actor, Children, Inbox, Published, Reply, joined
from alternator_trio.errors import AlternatorError, DecodingError

__all__ = ["DescribeTable", "KeyResolver", "KeyResolverState", "Lookup"]

MAX_IN_FLIGHT: Final = 16  # DescribeTables at once, so that many tables at once do not take traffic's connections
MAX_CRASHES: Final = 3  # of one lookup

DescribeTable: TypeAlias = Callable[[str], Awaitable[Mapping[str, object]]]
"""Asks the cluster once about a table, and returns DescribeTable's answer; raises `AlternatorError`."""


class Lookup(NamedTuple):
    """A lookup that is running.

    Attributes:
        replies: Who waits for it.
        doubted: The name that it is to confirm or to replace.
        is_stale: Whether the table has changed since it began: whatever it finds is void.
        crashes: How many runs of the actor have ended in the middle of it.
    """

    replies: tuple[Reply[str], ...] = ()
    doubted: str | None = None
    is_stale: bool = False
    crashes: int = 0


class KeyResolverState(NamedTuple):
    """What the resolver knows, and the tables that it is looking up."""

    known: KnownKeys = KnownKeys()
    lookups: Mapping[str, Lookup] = {}


class _LookUp(NamedTuple):
    table: str


class _Answer(NamedTuple):
    replies: tuple[Reply[str], ...]
    name: str


class _Refuse(NamedTuple):
    replies: tuple[Reply[str], ...]
    error: AlternatorError


class _Publish(NamedTuple):
    """Nothing more to say."""


_Action: TypeAlias = _LookUp | _Answer | _Refuse | _Publish
_Decision: TypeAlias = tuple[KeyResolverState, Sequence[_Action]]


class KeyResolver(Actor[KeyResolverState, KeyResolverMessage, _Action]):
    """The actor.

    Args:
        inbox: Where it receives.
        names: Where it publishes. The names in it at first are the user's own.
        describe: Asks the cluster; one attempt each time.
        rng: Where the jitter comes from.
    """

    def __init__(
        self,
        inbox: Inbox[KeyResolverMessage],
        names: Published[KeyNames],
        describe: DescribeTable,
        rng: random.Random,
    ) -> None:
        super().__init__("KeyResolver", inbox, KeyResolverState(known=KnownKeys(given=names.value.names)))
        self._published: Final = names
        self._describe: Final = describe
        self._rng: Final = rng
        self._in_flight: Final = trio.CapacityLimiter(MAX_IN_FLIGHT)

    def decide(self, state: KeyResolverState, message: KeyResolverMessage | None, now: float) -> _Decision:
        match message:
            case KeyWanted(table=table, replies=replies):
                return _wanted(state, table, replies, now)
            case LookupFinished():
                return _finished(state, message, now)
            case TableChanged(table=table):
                return _changed(state, table)
            case KeyDoubted(table=table):
                return _doubted(state, table, now)
            case None:
                return state, ()
            case _:
                assert_never(message)

    def recovered(self, state: KeyResolverState, now: float) -> _Decision:
        del now
        lookups: dict[str, Lookup] = {}
        actions: list[_Action] = []
        for table, lookup in state.lookups.items():
            crashes = lookup.crashes + 1
            if lookup.replies and crashes < MAX_CRASHES:
                lookups[table] = Lookup(replies=lookup.replies, crashes=crashes)
                actions.append(_LookUp(table))
            else:
                error = AlternatorError(f"the lookup of {table!r} crashed {crashes} times")
                actions.append(_Refuse(lookup.replies, error))
        return state._replace(lookups=lookups), (_Publish(), *actions)

    def perform(self, action: _Action, children: Children[KeyResolverMessage]) -> None:
        match action:
            case _LookUp(table=table):
                children.start(lambda: self._look_up(table), name=f"KeyResolver looks up {table}")
            case _Answer(replies=replies, name=name):
                for reply in replies:
                    reply.settle(name)
            case _Refuse(replies=replies, error=error):
                for reply in replies:
                    reply.fail(error)
            case _Publish():
                self._publish()
            case _:
                assert_never(action)

    def abandon(self, error: Exception) -> None:
        """Settle who waits: there will be no answer any more."""
        lookups, self.state = self.state.lookups, self.state._replace(lookups={})
        self._publish()
        for lookup in lookups.values():
            for reply in lookup.replies:
                reply.fail(error)

    def _publish(self) -> None:
        known = self.state.known
        cooldowns = {table: cooldown.until for table, cooldown in known.cooldowns.items()}
        names = KeyNames(names=known.names, pending=frozenset(self.state.lookups), cooldowns=cooldowns)
        self._published.publish(names)

    async def _look_up(self, table: str) -> LookupFinished:
        failures = 0
        while True:
            try:
                async with self._in_flight:
                    answer = await self._describe(table)
            except AlternatorError as error:
                failures += 1
                permanent = is_permanent(error)
                if permanent or failures == ATTEMPTS:
                    return LookupFinished(table=table, error=error, is_permanent=permanent)
            else:
                return _read(table, answer)
            await trio.sleep(pause(failures, self._rng.random()))


def _read(table: str, answer: Mapping[str, object]) -> LookupFinished:
    name = partition_key_in(answer)
    if name is not None:
        return LookupFinished(table=table, name=name)
    error = DecodingError(f"DescribeTable of {table!r} names no partition key", operation="DescribeTable")
    return LookupFinished(table=table, error=error, is_permanent=True)


def _wanted(state: KeyResolverState, table: str, replies: tuple[Reply[str], ...], now: float) -> _Decision:
    name = state.known.name_of(table)
    if name is not None:
        return state, (_Answer(replies, name),)
    lookup = state.lookups.get(table)
    if lookup is not None:
        return _with_lookup(state, table, lookup._replace(replies=joined(lookup.replies, replies))), ()
    cooldown = state.known.cooldown_of(table, now)
    if cooldown is not None:
        return state, (_Refuse(replies, cooldown.error),)
    if len(state.lookups) >= MAX_TABLES:
        return state, (_Refuse(replies, AlternatorError(f"{MAX_TABLES} tables are being looked up already")),)
    return _with_lookup(state, table, Lookup(replies=replies)), (_Publish(), _LookUp(table))


def _finished(state: KeyResolverState, message: LookupFinished, now: float) -> _Decision:
    table, known = message.table, state.known
    lookups = dict(state.lookups)
    lookup = lookups.pop(table, Lookup())
    ended = KeyResolverState(known=known, lookups=lookups)
    if lookup.is_stale:
        if not lookup.replies:
            return ended, (_Publish(),)
        return _with_lookup(ended, table, Lookup(replies=lookup.replies)), (_LookUp(table),)
    if message.name is not None:
        confirmed_at = now if message.name == lookup.doubted else None
        known = known.with_name(table, message.name, confirmed_at=confirmed_at)
        return ended._replace(known=known), (_Publish(), _Answer(lookup.replies, message.name))
    error = message.error or AlternatorError(f"the lookup of {table!r} came to nothing")
    if message.is_permanent:
        ended = ended._replace(known=known.with_cooldown(table, error, now))
    return ended, (_Publish(), _Refuse(lookup.replies, error))


def _changed(state: KeyResolverState, table: str) -> _Decision:
    state = state._replace(known=state.known.without(table))
    lookup = state.lookups.get(table)
    if lookup is not None:
        state = _with_lookup(state, table, lookup._replace(is_stale=True))
    return state, (_Publish(),)


def _doubted(state: KeyResolverState, table: str, now: float) -> _Decision:
    """Drop the name and look it up. An application whose requests are just invalid costs one lookup a minute."""
    if not state.known.may_doubt(table, now) or len(state.lookups) >= MAX_TABLES:
        return state, ()
    doubted = state.known.name_of(table)
    state = state._replace(known=state.known.without(table))
    return _with_lookup(state, table, Lookup(doubted=doubted)), (_Publish(), _LookUp(table))


def _with_lookup(state: KeyResolverState, table: str, lookup: Lookup) -> KeyResolverState:
    return state._replace(lookups={**state.lookups, table: lookup})

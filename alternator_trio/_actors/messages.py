"""The architecture on one page: every message, who sends it to whom, and how it merges.

======================  ====================================  ==============  ====================================
Message                 from                                  to              merges
======================  ====================================  ==============  ====================================
`NodesDiscovered`       Discovery                             NodeRegistry    the latest per scope; replies are kept
`DirectContact`         Discovery                             NodeRegistry    per node
`ProbeSettled`          Discovery                             NodeRegistry    per node
`AttemptSettled`        callers                               NodeRegistry    per node and generation
`KnownNodesChanged`     NodeRegistry                          Dispatcher      the latest
`ProbeWanted`           NodeRegistry                          Discovery       per node
`Activity`              callers                               Discovery       all into one
`RefreshWanted`         callers                               Discovery       all into one; its replies are kept
`RefreshFinished`       Discovery's own child                 Discovery       never
`ProbeFinished`         Discovery's own children              Discovery       never
`KeyWanted`             callers                               KeyResolver     per table; its replies are kept
`TableChanged`          callers                               KeyResolver     per table
`KeyDoubted`            callers                               KeyResolver     per table
`LookupFinished`        KeyResolver's own children            KeyResolver     never
`CredentialsWanted`     callers                               CredentialsKeeper  per provider; its replies are kept
`CredentialsRefused`    callers                               CredentialsKeeper  per provider and credentials; the same
`ProviderCalled`        CredentialsKeeper's own children      CredentialsKeeper  never
======================  ====================================  ==============  ====================================

Published: `LiveNodes` by NodeRegistry, the time from which
`Activity` is wanted by Discovery, `KeyNames` by KeyResolver, credentials and their times by CredentialsKeeper.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from typing import ClassVar, Final, NamedTuple, Self, TypeAlias

from alternator_trio._core.discovery import RefreshResult, ScopeAnswer
from alternator_trio._core.held_credentials import HeldCredentials
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._supervision import Message, MessageDroppedError, Reply, joined
from alternator_trio.credentials import Credentials, CredentialsProvider
from alternator_trio.errors import AlternatorError, CredentialsError, DiscoveryError
from alternator_trio.nodes import Node

__all__ = [
    "Activity",
    "AttemptSettled",
    "CredentialsByProvider",
    "CredentialsMessage",
    "CredentialsRefused",
    "CredentialsWanted",
    "DirectContact",
    "DiscoveryMessage",
    "DispatcherMessage",
    "KeyDoubted",
    "KeyNames",
    "KeyResolverMessage",
    "KeyWanted",
    "KnownNodesChanged",
    "LookupFinished",
    "NodeRegistryMessage",
    "NodesDiscovered",
    "ProbeFinished",
    "ProbeSettled",
    "ProbeWanted",
    "ProviderCalled",
    "RefreshFinished",
    "RefreshWanted",
    "TableChanged",
]

# As many nodes as a node list may name, and as many tables as anybody may look up in one tick.
MAX_NODES: Final = 4096
MAX_TABLES: Final = 4096
MAX_PROVIDERS: Final = 1024  # as many tenants, each with a provider of their own

_RefreshReplies: TypeAlias = tuple[Reply[LiveNodes], ...]


def _fail_all(
    replies: tuple[Reply[LiveNodes], ...] | tuple[Reply[str], ...] | tuple[Reply[Credentials], ...],
    error: Exception,
    kind: type[AlternatorError],
) -> None:
    """Tell those who wait: a crash as the cause of an error of ours, a full inbox as it is, for who asks to word it."""
    if isinstance(error, (AlternatorError, MessageDroppedError)):
        told: Exception = error
    else:
        told = kind(f"it was lost in a crash: {error!r}")
        told.__cause__ = error
    for reply in replies:
        reply.fail(told)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodesDiscovered(Message):
    """A refresh has found a node list. Who asked for the refresh is answered once the list is in force."""

    answers: tuple[ScopeAnswer, ...]
    replies: _RefreshReplies = ()

    def merged_with(self, newer: Self) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]  # see Message
        latest = {answer.position: answer for answer in (*self.answers, *newer.answers)}
        return dataclasses.replace(newer, answers=tuple(latest.values()), replies=joined(self.replies, newer.replies))

    def abandon(self, error: Exception) -> None:
        _fail_all(self.replies, error, DiscoveryError)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DirectContact(Message):
    """A node has itself answered ``/localnodes`` with 200."""

    limit: ClassVar[int] = MAX_NODES
    node: Node

    @property
    def merge_key(self) -> Hashable:
        return self.node


@dataclasses.dataclass(slots=True, kw_only=True)
class AttemptSettled(Message):
    """How attempts at a node have ended: ``successes``, then ``failures`` since the last of them, and why that was.

    Nobody changes one, but it is not frozen: a failing node has two made per request, and freezing triples their price.
    """

    limit: ClassVar[int] = 2 * MAX_NODES
    node: Node
    generation: int
    successes: int = 0
    failures: int = 0
    reason: str = ""

    @property
    def merge_key(self) -> Hashable:
        return self.node, self.generation

    def merged_with(self, newer: Self) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]  # see Message
        if newer.successes:
            # A success ends the row of failures before it, and a failure in between ends the row of successes.
            before = 0 if self.failures else self.successes
            successes, failures = before + newer.successes, newer.failures
        else:
            successes, failures = self.successes, self.failures + newer.failures
        reason = newer.reason or self.reason
        return type(self)(
            node=self.node, generation=self.generation, successes=successes, failures=failures, reason=reason
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProbeWanted(Message):
    """A node is to be asked whether it is well."""

    limit: ClassVar[int] = MAX_NODES
    node: Node
    generation: int

    @property
    def merge_key(self) -> Hashable:
        return self.node


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettled(Message):
    """How a probe ended.

    Attributes:
        succeeded: None when it was not made: no connection was free, or it died with a crash.
    """

    limit: ClassVar[int] = MAX_NODES
    node: Node
    generation: int
    succeeded: bool | None

    @property
    def merge_key(self) -> Hashable:
        return self.node


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KnownNodesChanged(Message):
    """Another node list is in force, or one that is not has changed: connections to who is in none are closed."""

    live: LiveNodes


@dataclasses.dataclass(frozen=True, slots=True)
class Activity(Message):
    """Requests flow, and the node list is older than the active interval."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefreshWanted(Message):
    """Somebody waits for a refresh; the one in flight will do.

    Attributes:
        spacing: Seconds that must have passed since the last refresh began.
    """

    replies: _RefreshReplies
    spacing: float = 0.0

    def merged_with(self, newer: Self) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]  # see Message
        replies = joined(self.replies, newer.replies)
        return dataclasses.replace(self, replies=replies, spacing=min(self.spacing, newer.spacing))

    def abandon(self, error: Exception) -> None:
        _fail_all(self.replies, error, DiscoveryError)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFinished(Message):
    """A refresh is over."""

    result: RefreshResult


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFinished(Message):
    """A probe is over."""

    settled: ProbeSettled


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeyWanted(Message):
    """Somebody needs the name of a table's partition key; with replies: and waits for it."""

    limit: ClassVar[int] = MAX_TABLES
    table: str
    replies: tuple[Reply[str], ...] = ()

    @property
    def merge_key(self) -> Hashable:
        return self.table

    def merged_with(self, newer: Self) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]  # see Message
        return dataclasses.replace(self, replies=joined(self.replies, newer.replies))

    def abandon(self, error: Exception) -> None:
        _fail_all(self.replies, error, AlternatorError)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableChanged(Message):
    """A table was created or deleted: what was found out about it is void, a cooldown included."""

    limit: ClassVar[int] = MAX_TABLES
    table: str

    @property
    def merge_key(self) -> Hashable:
        return self.table


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeyDoubted(Message):
    """A request that was routed by a table's key was refused as invalid: the table may have another key now."""

    limit: ClassVar[int] = MAX_TABLES
    table: str

    @property
    def merge_key(self) -> Hashable:
        return self.table


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LookupFinished(Message):
    """A table's lookup is over: with the key's name, or with an error.

    Attributes:
        is_permanent: Whether the error is one that another lookup would only meet again.
    """

    table: str
    name: str | None = None
    error: AlternatorError | None = None
    is_permanent: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsWanted(Message):
    """Somebody signs with what a provider gives; with replies: and waits for it."""

    limit: ClassVar[int] = MAX_PROVIDERS
    provider: CredentialsProvider = dataclasses.field(repr=False)
    replies: tuple[Reply[Credentials], ...] = ()

    @property
    def merge_key(self) -> Hashable:
        return self.provider

    def merged_with(self, newer: Self) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]  # see Message
        return dataclasses.replace(self, replies=joined(self.replies, newer.replies))

    def abandon(self, error: Exception) -> None:
        _fail_all(self.replies, error, CredentialsError)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsRefused(Message):
    """A node refuses what a provider gave; who asks waits for what it gives now, be it the same."""

    limit: ClassVar[int] = MAX_PROVIDERS
    provider: CredentialsProvider = dataclasses.field(repr=False)
    credentials: Credentials
    replies: tuple[Reply[Credentials], ...]

    @property
    def merge_key(self) -> Hashable:
        return self.provider, self.credentials

    def merged_with(self, newer: Self) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]  # see Message
        return dataclasses.replace(self, replies=joined(self.replies, newer.replies))

    def abandon(self, error: Exception) -> None:
        _fail_all(self.replies, error, CredentialsError)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCalled(Message):
    """A call of a provider is over: with credentials and the seconds that they hold for, or with an error."""

    provider: CredentialsProvider = dataclasses.field(repr=False)
    result: tuple[Credentials, float] | CredentialsError


NodeRegistryMessage: TypeAlias = NodesDiscovered | DirectContact | AttemptSettled | ProbeSettled
DispatcherMessage: TypeAlias = KnownNodesChanged
DiscoveryMessage: TypeAlias = Activity | RefreshWanted | RefreshFinished | ProbeWanted | ProbeFinished
KeyResolverMessage: TypeAlias = KeyWanted | TableChanged | KeyDoubted | LookupFinished
CredentialsMessage: TypeAlias = CredentialsWanted | CredentialsRefused | ProviderCalled

CredentialsByProvider: TypeAlias = Mapping[CredentialsProvider, HeldCredentials]
"""What is held now. `HeldCredentials.ask_at` says from when on a `CredentialsWanted` would start a call."""


class KeyNames(NamedTuple):
    """What is known about partition keys.

    Attributes:
        names: Table to partition key name.
        pending: Tables that are being looked up.
        cooldowns: Tables that are not to be looked up, and until when (Trio's clock); some may be over.
    """

    names: Mapping[str, str] = {}
    pending: frozenset[str] = frozenset()
    cooldowns: Mapping[str, float] = {}

    def is_wanted(self, table: str, now: float) -> bool:
        """Whether a `KeyWanted` would start a lookup: tell none that would not."""
        return table not in self.names and table not in self.pending and self.cooldowns.get(table, now) <= now

"""CredentialsKeeper: holds what providers of credentials gave, and asks them again when it is time.

Rules: one call of a provider at a time, in a task of its own; others share its result. A provider is called only for a
request: ahead of the credentials' end in the background, and by those that wait when none hold. A call ends within a
minute; one that failed leaves what is held untouched, and its provider alone for a while. What nodes refuse is asked
for again, but not in a storm. A restart after a crash clears the marks of the calls that died with it; for those who
wait the provider is called again, a few times. What a provider raises is told by its type: its text may hold a secret.
"""

from __future__ import annotations

import datetime as dt
import inspect
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, assert_never

import trio

from alternator_trio._actors.messages import (
    MAX_PROVIDERS,
    CredentialsByProvider,
    CredentialsMessage,
    CredentialsRefused,
    CredentialsWanted,
    ProviderCalled,
)
from alternator_trio._core.held_credentials import REJECTIONS_APART, HeldCredentials, cooldown, held_for
from alternator_trio._supervision import Actor, Children, Inbox, Published, Reply, joined
from alternator_trio.credentials import Credentials, CredentialsProvider, provider_name
from alternator_trio.errors import CredentialsError

__all__ = ["Account", "Call", "CredentialsKeeper"]

CALL_SECONDS: Final = 60.0  # a provider that hangs must not hold up for ever those that ask later
MAX_CRASHES: Final = 3  # in the middle of one call

_logger: Final = logging.getLogger("alternator_trio")

_Replies: TypeAlias = tuple[Reply[Credentials], ...]


class Call(NamedTuple):
    """A call of a provider that is running.

    Attributes:
        replies: Who waits for it.
        crashes: How many runs of the actor have ended in the middle of it.
    """

    replies: _Replies = ()
    crashes: int = 0


class Account(NamedTuple):
    """What is known of one provider. Times are Trio's.

    Attributes:
        held: What it gave last.
        call: The call in flight.
        failures: Calls in a row that failed.
        error: How the last one did.
        call_from: When the cooldown after a failure ends.
        doubt_from: From when on a refusal by a node is reason for another call.
    """

    held: HeldCredentials | None = None
    call: Call | None = None
    failures: int = 0
    error: CredentialsError | None = None
    call_from: float = -math.inf
    doubt_from: float = -math.inf

    def usable(self, now: float) -> Credentials | None:
        """What may be signed with."""
        return self.held.credentials if self.held is not None and now < self.held.usable_until else None

    @property
    def published(self) -> HeldCredentials | None:
        """What is held; ``ask_at`` is when to tell that others are wanted."""
        if self.held is None:
            return None
        ask_at = math.inf if self.call is not None else max(self.held.ask_at, self.call_from)
        return self.held._replace(ask_at=ask_at)


_State: TypeAlias = Mapping[CredentialsProvider, Account]


class _Ask(NamedTuple):
    provider: CredentialsProvider


class _Answer(NamedTuple):
    replies: _Replies
    credentials: Credentials


class _Refuse(NamedTuple):
    replies: _Replies
    error: CredentialsError


class _Warn(NamedTuple):
    error: CredentialsError
    credentials: Credentials


class _Publish(NamedTuple):
    """Nothing more to say."""


_Action: TypeAlias = _Ask | _Answer | _Refuse | _Warn | _Publish
_Decision: TypeAlias = tuple[_State, Sequence[_Action]]


class CredentialsKeeper(Actor[_State, CredentialsMessage, _Action]):
    """The actor.

    Args:
        inbox: Where it receives.
        held: Where it publishes.
        wall_clock: Seconds since the epoch, by which credentials end.
    """

    def __init__(
        self,
        inbox: Inbox[CredentialsMessage],
        held: Published[CredentialsByProvider],
        wall_clock: Callable[[], float],
    ) -> None:
        super().__init__("CredentialsKeeper", inbox, dict[CredentialsProvider, Account]())
        self._published: Final = held
        self._wall_clock: Final = wall_clock

    def decide(self, state: _State, message: CredentialsMessage | None, now: float) -> _Decision:
        match message:
            case CredentialsWanted(provider=provider, replies=replies):
                return _wanted(state, provider, replies, now)
            case CredentialsRefused():
                return _refused(state, message, now)
            case ProviderCalled(provider=provider, result=result):
                return _called(state, provider, result, now)
            case None:
                return state, ()
            case _:
                assert_never(message)

    def recovered(self, state: _State, now: float) -> _Decision:
        del now
        actions: list[_Action] = []
        accounts = dict(state)
        for provider, account in state.items():
            if account.call is None:
                continue
            replies, crashes = account.call.replies, account.call.crashes + 1
            call = Call(replies=replies, crashes=crashes) if replies and crashes < MAX_CRASHES else None
            accounts[provider] = account._replace(call=call)
            if call is not None:
                actions.append(_Ask(provider))
            else:
                error = CredentialsError(f"the call of {_named(provider)} crashed {crashes} times")
                actions.append(_Refuse(replies, error))
        return accounts, (_Publish(), *actions)

    def perform(self, action: _Action, children: Children[CredentialsMessage]) -> None:
        match action:
            case _Ask(provider=provider):
                children.start(lambda: self._call(provider), name=f"CredentialsKeeper asks {provider_name(provider)}")
            case _Answer(replies=replies, credentials=credentials):
                for reply in replies:
                    reply.settle(credentials)
            case _Refuse(replies=replies, error=error):
                for reply in replies:
                    reply.fail(error)
            case _Warn(error=error, credentials=credentials):
                _logger.warning("%s; its credentials are used until %s", error.message, credentials.expires_at)
            case _Publish():
                self._publish()
            case _:
                assert_never(action)

    def abandon(self, error: Exception) -> None:
        """Settle who waits: there will be no answer any more."""
        accounts, self.state = self.state, dict[CredentialsProvider, Account]()
        self._publish()
        for account in accounts.values():
            for reply in account.call.replies if account.call is not None else ():
                reply.fail(error)

    def _publish(self) -> None:
        published = {provider: account.published for provider, account in self.state.items()}
        self._published.publish({provider: held for provider, held in published.items() if held is not None})

    async def _call(self, provider: CredentialsProvider) -> ProviderCalled:
        error: Exception | None = None
        problem = f"gave nothing within {CALL_SECONDS:g} s"
        with trio.move_on_after(CALL_SECONDS):
            try:
                given: object = provider()
                if inspect.isawaitable(given):
                    given = await given
                    return ProviderCalled(provider=provider, result=self._checked(given))
                problem = f"is no async callable: it gave a {type(given).__name__} at once"
            except _UnusableError as unusable:
                problem = str(unusable)
            except Exception as raised:  # noqa: BLE001  # whatever a user's provider raises is for those who wait
                error, problem = raised, f"raised {type(raised).__name__}"
        failure = CredentialsError(f"{_named(provider)} {problem}")
        failure.__cause__ = error
        return ProviderCalled(provider=provider, result=failure)

    def _checked(self, given: object) -> tuple[Credentials, float]:
        """What a provider gave, and for how many seconds it holds."""
        if not isinstance(given, Credentials):
            raise _UnusableError(f"gave a {type(given).__name__}, not Credentials")
        if given.expires_at is None:
            return given, math.inf
        now = self._wall_clock()
        seconds = given.expires_at.timestamp() - now
        if seconds <= 0:
            here = dt.datetime.fromtimestamp(int(now), dt.UTC)
            raise _UnusableError(f"gave credentials that ended at {given.expires_at}; here it is {here}")
        return given, seconds


class _UnusableError(Exception):
    """A provider gave what cannot be used; the message says why."""


def _named(provider: CredentialsProvider) -> str:
    return f"the credentials provider {provider_name(provider)!r}"


def _wanted(state: _State, provider: CredentialsProvider, replies: _Replies, now: float) -> _Decision:
    account = state.get(provider)
    if account is None:
        return _opened(state, provider, replies)
    actions: list[_Action] = []
    usable = account.usable(now)
    if usable is not None:
        actions.append(_Answer(replies, usable))
        replies = ()
        if account.held is not None and now < account.held.ask_at:
            return state, actions
    if account.call is None and now < account.call_from:
        return state, (*actions, *_refuse(replies, account))
    called, further = _with_call(state, provider, account, replies)
    return called, (*actions, *further)


def _refused(state: _State, message: CredentialsRefused, now: float) -> _Decision:
    provider, replies = message.provider, message.replies
    account = state.get(provider)
    if account is None:
        return _opened(state, provider, replies)
    usable = account.usable(now)
    if usable is not None and usable != message.credentials:
        return state, (_Answer(replies, usable),)
    if account.call is None:
        if now < max(account.doubt_from, account.call_from):
            return state, (_Answer(replies, message.credentials),)
        account = account._replace(doubt_from=now + REJECTIONS_APART)
    return _with_call(state, provider, account, replies)


def _called(
    state: _State, provider: CredentialsProvider, result: tuple[Credentials, float] | CredentialsError, now: float
) -> _Decision:
    before = state.get(provider, Account())
    replies = () if before.call is None else before.call.replies
    if not isinstance(result, CredentialsError):
        credentials, seconds = result
        account = Account(held=held_for(credentials, seconds, now), doubt_from=before.doubt_from)
        others = {known: theirs for known, theirs in state.items() if known != provider}
        return {**others, provider: account}, (_Publish(), _Answer(replies, credentials))
    failures = before.failures + 1
    account = before._replace(call=None, failures=failures, error=result, call_from=now + cooldown(failures))
    usable = account.usable(now)
    warnings = (_Warn(result, usable),) if usable is not None and failures == 1 else ()
    return {**state, provider: account}, (_Publish(), *warnings, _Refuse(replies, result))


def _opened(state: _State, provider: CredentialsProvider, replies: _Replies) -> _Decision:
    """An account for a provider that was not called before; the one whose credentials are oldest makes room for it."""
    accounts = dict(state)
    if len(accounts) >= MAX_PROVIDERS:
        idle = next((known for known, account in accounts.items() if account.call is None), None)
        if idle is None:
            error = CredentialsError(f"{MAX_PROVIDERS} providers of credentials are being called already")
            return state, (_Refuse(replies, error),)
        del accounts[idle]
    return _with_call(accounts, provider, Account(), replies)


def _with_call(state: _State, provider: CredentialsProvider, account: Account, replies: _Replies) -> _Decision:
    """With those that wait added to the call in flight, or to one that begins now."""
    call = account.call
    if call is not None:
        call = call._replace(replies=joined(call.replies, replies))
        return {**state, provider: account._replace(call=call)}, ()
    account = account._replace(call=Call(replies=replies))
    return {**state, provider: account}, (_Publish(), _Ask(provider))


def _refuse(replies: _Replies, account: Account) -> tuple[_Action, ...]:
    return () if account.error is None else (_Refuse(replies, account.error),)

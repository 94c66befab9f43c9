"""Who signs an attempt, and at what time; and what is done about a node that does not accept it.

Rules: credentials that are given, or held and fresh, are found without waiting. What a node refuses for its signature
was not executed, so that any operation may be sent again: to the same node, as the same attempt, with the plan and the
retry quota untouched. That is done for three reasons, each bounded. Each shard remembers a role's secret: within a
minute of the first signature by new credentials an attempt is sent twice. What a provider gave may have ended early:
it is asked again once per request. This client's clock may be wrong: once per attempt it is corrected by the node's,
where the node may be believed. A node's clock says nothing about another's, so corrections are kept by node; and what
is a minute old by one clock may be an hour old by another, so each clock has a signer.
"""

from __future__ import annotations

import datetime as dt
import logging
import ssl
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from alternator_trio._actors.messages import (
    CredentialsByProvider,
    CredentialsMessage,
    CredentialsRefused,
    CredentialsWanted,
)
from alternator_trio._request import Refusals, Request
from alternator_trio._supervision import Inbox, MessageDroppedError, Published, Reply, ask
from alternator_trio._wire.http_date import parse_http_date
from alternator_trio._wire.operation_names import target
from alternator_trio._wire.sigv4 import Signer
from alternator_trio.config import AlternatorConfig
from alternator_trio.credentials import Credentials
from alternator_trio.errors import AlternatorError, CredentialsError, ServiceError
from alternator_trio.instruments import ClockSkewCorrected, Notifier
from alternator_trio.nodes import Node
from alternator_trio.transports import HttpxTransport

__all__ = ["Authenticator"]

_NEW_FOR: Final = 60.0  # seconds for which a shard may know an older secret
# Rounded, so that nodes whose clocks agree are signed for in one second and share its work. 15 minutes are tolerated.
_SKEW_STEP: Final = 60.0
_MAX_SKEW: Final = 24 * 3600.0  # a wrong time zone is 14 hours at most; a clock further off is to be mended
_MAX_CORRECTED: Final = 1024  # nodes whose clocks are remembered though they may have left

_WRONG_KEY: Final = "UnrecognizedClientException"
_WRONG_SIGNATURE: Final = "InvalidSignatureException"
_REFUSALS: Final = frozenset({_WRONG_KEY, _WRONG_SIGNATURE, "ExpiredTokenException", "ExpiredToken"})
_WRONG_TIMES: Final = ("Signature expired", "Signature not yet current")

_logger: Final = logging.getLogger("alternator_trio")


class _Clock(NamedTuple):
    """A clock: how many seconds ahead of this client's it is, and who signs by it."""

    skew: float
    signer: Signer


class Authenticator:
    """Signs the attempts of one client.

    Args:
        config: The client's.
        held: What providers of credentials gave.
        keeper: Who asks them.
        notifier: Is told of corrections.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        config: AlternatorConfig,
        *,
        held: Published[CredentialsByProvider],
        keeper: Inbox[CredentialsMessage],
        notifier: Notifier,
        wall_clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._held = held
        self._keeper = keeper
        self._notifier = notifier
        self._wall_clock = wall_clock
        self._clock = _Clock(0.0, Signer(config.region))
        self._corrected: dict[Node, _Clock] = {}
        self._has_warned = False

    def sign(self, request: Request, node: Node) -> bytes:
        """The header lines that sign an attempt; none for a request without credentials."""
        credentials = request.credentials
        if credentials is None:
            return b""
        clock = self._clock_of(node) if self._corrected else self._clock
        return clock.signer.sign(
            credentials,
            authority=node.authority,
            target=target(request.operation),
            body=request.body,
            now=self._wall_clock() + clock.skew,
        )

    def supplies(self, request: Request, now: float) -> bool:
        """Give a request what its provider gave before, if that still holds; `obtain` it otherwise."""
        provider = request.provider
        if provider is None:
            return True
        held = self._held.value.get(provider)
        if held is None or now >= held.usable_until:
            return False
        if now >= held.ask_at:
            self._keeper.tell(CredentialsWanted(provider=provider))
        request.credentials = held.credentials
        return True

    async def obtain(self, request: Request) -> None:
        """Wait for a request's provider.

        Raises:
            CredentialsError: It gives nothing.
            ClientClosedError: The client was closed.
        """
        provider = request.provider
        if provider is None:
            return

        def wanted(reply: Reply[Credentials]) -> CredentialsMessage:
            return CredentialsWanted(provider=provider, replies=(reply,))

        request.credentials = await self._ask(wanted)

    async def overcomes(self, request: Request, node: Node, error: AlternatorError) -> bool:
        """Whether a failed attempt is to be sent to its node again; where a refused one is not, the error says why.

        Raises:
            ClientClosedError: The client was closed meanwhile.
        """
        if not isinstance(error, ServiceError) or error.code not in _REFUSALS or request.credentials is None:
            return False
        refusals = request.refusals = request.refusals or Refusals()
        if error.code == _WRONG_SIGNATURE and any(words in error.message for words in _WRONG_TIMES):
            again = self._sets_clock(request, refusals, node, error)
        else:
            again = self._is_new(request, refusals, node, error) or await self._finds_others(request, refusals, error)
        if again:
            request.take_back_attempt()
        return again

    def keep_only(self, nodes: Collection[Node]) -> None:
        """Forget nodes that left, where there are many: a request under way to one is to find its clock as it was."""
        if len(self._corrected) > _MAX_CORRECTED:
            self._corrected = {node: clock for node, clock in self._corrected.items() if node in nodes}

    # Below: the parts of the above.

    def _clock_of(self, node: Node) -> _Clock:
        return self._corrected.get(node, self._clock)

    async def _ask(self, make: Callable[[Reply[Credentials]], CredentialsMessage]) -> Credentials:
        try:
            return await ask(self._keeper, make)
        except MessageDroppedError as error:
            raise CredentialsError("the credentials provider is not called: too many providers at once") from error

    def _is_new(self, request: Request, refusals: Refusals, node: Node, error: ServiceError) -> bool:
        """Whether the node's shard may have known an older secret; it has forgotten that one now."""
        if error.code != _WRONG_KEY or request.credentials is None or refusals.repeated == request.attempts:
            return False
        clock = self._clock_of(node)
        if not clock.signer.is_new(request.credentials, self._wall_clock() + clock.skew, _NEW_FOR):
            return False
        refusals.repeated = request.attempts
        return True

    async def _finds_others(self, request: Request, refusals: Refusals, error: ServiceError) -> bool:
        """Whether the request's provider gives other credentials than those that were refused."""
        provider, refused = request.provider, request.credentials
        if provider is None or refused is None or refusals.asked_again:
            return False
        refusals.asked_again = True

        def doubted(reply: Reply[Credentials]) -> CredentialsMessage:
            return CredentialsRefused(provider=provider, credentials=refused, replies=(reply,))

        try:
            given = await self._ask(doubted)
        except CredentialsError as failure:
            error.message += f"; {failure.message}"
            return False
        if given == refused:
            return False
        request.credentials = given
        refusals.repeated = 0  # these are new to the shards
        return True

    def _sets_clock(self, request: Request, refusals: Refusals, node: Node, error: ServiceError) -> bool:
        """Whether the request's time can be corrected by the node's."""
        here = self._wall_clock()
        there = parse_http_date(request.date)
        if there is None:
            error.message += "; the answer has no Date by which to correct this client's clock"
            return False
        skew = there - here
        apart = f"this client's clock is {_direction(skew)}: {_time(here)} here, {_time(there)} at the node"
        if abs(skew) > _MAX_SKEW:
            error.message += f"; {apart}; more than {_MAX_SKEW / 3600:g} hours are not corrected"
        elif refusals.timed == request.attempts:
            error.message += f"; {apart}; signed by the node's clock it was refused as well"
        elif not self._may_believe(node):
            choice = "verified-tls" if self._is_verified(node) else "always"
            error.message += f"; {apart}; set it, or open the client with clock_skew_correction={choice!r}"
        else:
            refusals.timed = request.attempts
            self._correct(node, skew, apart)
            return True
        return False

    def _correct(self, node: Node, skew: float, apart: str) -> None:
        rounded = round(skew / _SKEW_STEP) * _SKEW_STEP
        if rounded == self._clock_of(node).skew:
            return  # a request beside this one did so before
        if rounded:
            same = (clock for clock in self._corrected.values() if clock.skew == rounded)
            self._corrected[node] = next(same, None) or _Clock(rounded, Signer(self._config.region))
        else:  # this client's clock has been set; ages by the time before are no ages
            del self._corrected[node]
            self._clock = _Clock(0.0, Signer(self._config.region))
        self._notifier.notify(ClockSkewCorrected(node=node.endpoint, seconds=skew))
        if not self._has_warned:
            self._has_warned = True
            _logger.warning("%s: %s; requests are signed by the node's clock", node.endpoint, apart)

    def _may_believe(self, node: Node) -> bool:
        how = self._config.clock_skew_correction
        return how == "always" or (how == "verified-tls" and self._is_verified(node))

    def _is_verified(self, node: Node) -> bool:
        policy = self._config.tls
        # What an httpx client of the user's own verifies is not known here.
        if node.scheme != "https" or not isinstance(self._config.transport, (str, HttpxTransport)):
            return False
        if isinstance(policy, ssl.SSLContext):
            return policy.verify_mode is ssl.CERT_REQUIRED and policy.check_hostname
        return policy is None or not policy.insecure_skip_verification


def _direction(skew: float) -> str:
    return f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead'}"


def _time(seconds: float) -> str:
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

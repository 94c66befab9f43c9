"""What to do after a failed attempt: again at once, again later, give up, or say that the outcome is unknown.

Rules (spec §7): the next attempt goes to the next node of the plan, at once when the failure belongs to that node
alone, with full jitter otherwise. An attempt of unknown outcome is repeated only when the operation is repeatable.
A retry costs tokens of a quota that all requests share: it is for servers that are overloaded. A refused connection
costs a server nothing and its retry no token; nor does a request's first after a lost one: a node, or a rack, that dies
under load would use the quota up with what was in flight there (at 14 tokens, 35 requests). What a server asks to wait
is waited, up to the longest pause of the policy, and some of the usual pause on top: not all come back at once.
"""

from __future__ import annotations

import enum
from typing import Final, Literal, NamedTuple, TypeAlias

from alternator_trio._core.randomness import Randomness
from alternator_trio.config import RetryPolicy

__all__ = ["Failure", "Retry", "RetryQuota", "Situation", "Verdict", "decide", "failure_of"]

QUOTA_TOKENS: Final = 500
RETRY_COST: Final = 14
THROTTLED_COST: Final = 5
SUCCESS_REFUND: Final = 1
_MAX_EXPONENT: Final = 32

_THROTTLING: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_SHEDDING: Final = "RequestLimitExceeded"
_TOO_MANY_REQUESTS: Final = 429  # what proxies say, often with a body of their own
_RETRIED_STATUSES: Final = frozenset({500, 502, 503, 504})
_REDIRECTION: Final = 300
_SERVER_ERROR: Final = 500


class Failure(enum.Enum):
    """How an attempt failed."""

    CONNECT = enum.auto()
    """No connection: refused, unreachable, TLS. Nothing was sent."""
    LOST = enum.auto()
    """Reset, closed or unintelligible after bytes may have been sent."""
    TIMEOUT = enum.auto()
    """No complete answer within the attempt timeout."""
    SERVER_ERROR = enum.auto()
    """500, 502, 503 or 504."""
    SHED = enum.auto()
    """RequestLimitExceeded: one shard is overloaded; not executed."""
    THROTTLED = enum.auto()
    """Any other throttling answer; not executed."""
    FINAL = enum.auto()
    """An answer that another attempt would not change; not executed."""
    UNCLEAR = enum.auto()
    """An answer that leaves open what happened, and that another attempt would not change: a status of no use."""


_UNKNOWN_OUTCOME: Final = frozenset({Failure.LOST, Failure.TIMEOUT, Failure.SERVER_ERROR, Failure.UNCLEAR})
_LAST_ATTEMPTS: Final = frozenset({Failure.FINAL, Failure.UNCLEAR})


def failure_of(code: str, status: int) -> Failure:
    """Which failure a service error is.

    Example:
        >>> failure_of("ValidationException", 400)
        <Failure.FINAL: 7>
    """
    if code == _SHEDDING:
        return Failure.SHED
    if code in _THROTTLING or status == _TOO_MANY_REQUESTS:
        return Failure.THROTTLED
    if status in _RETRIED_STATUSES:
        return Failure.SERVER_ERROR
    return Failure.FINAL if _REDIRECTION <= status < _SERVER_ERROR else Failure.UNCLEAR


class Situation(NamedTuple):
    """Where a request stands after a failed attempt.

    Attributes:
        failure: How the attempt failed.
        attempts: Attempts that count, this one included.
        retries_of_failure: How often this request failed in the same way before.
        unknown_outcome: Whether the attempt may have taken effect.
        repeatable: Whether a repetition cannot change the outcome.
        asked_delay: Seconds that the server asks to wait; 0: it does not.
    """

    failure: Failure
    attempts: int
    retries_of_failure: int
    unknown_outcome: bool
    repeatable: bool
    asked_delay: float = 0.0


class Retry(NamedTuple):
    """Try again.

    Attributes:
        delay: Seconds to wait before.
        cost: Tokens of the quota that it takes.
    """

    delay: float
    cost: int


Verdict: TypeAlias = Retry | Literal["give up", "indeterminate"]


def decide(situation: Situation, policy: RetryPolicy, rng: Randomness) -> Verdict:
    """What to do after a failed attempt."""
    failure = situation.failure
    if situation.unknown_outcome and not situation.repeatable:
        return "indeterminate"
    if failure in _LAST_ATTEMPTS or situation.attempts >= policy.max_attempts:
        return "give up"
    return Retry(delay=_delay(situation, policy, rng), cost=_cost(situation))


def has_unknown_outcome(failure: Failure) -> bool:
    """Whether a write that failed so may have taken effect."""
    return failure in _UNKNOWN_OUTCOME


class RetryQuota:
    """Tokens that retries take and successes bring back, shared by all requests of a client.

    A success without retries brings one: what the retries of failed requests have taken comes back in no other way.
    """

    __slots__ = ("tokens",)

    def __init__(self, tokens: int = QUOTA_TOKENS) -> None:
        self.tokens = tokens

    def take(self, cost: int) -> bool:
        """Take tokens for a retry; False when there are not enough left."""
        if cost > self.tokens:
            return False
        self.tokens -= cost
        return True

    def refund(self, cost: int) -> None:
        """Give back what the retries of a request took that came to succeed; one token if there were none."""
        self.tokens = min(QUOTA_TOKENS, self.tokens + (cost or SUCCESS_REFUND))


def _delay(situation: Situation, policy: RetryPolicy, rng: Randomness) -> float:
    failure, asked = situation.failure, situation.asked_delay
    if not asked:
        if failure in {Failure.CONNECT, Failure.LOST}:
            return 0.0
        if failure is Failure.SHED and not situation.retries_of_failure:
            return 0.0
    throttled = failure in {Failure.SHED, Failure.THROTTLED}
    base = policy.throttled_base_delay if throttled else policy.base_delay
    return min(asked + _jitter(base, situation.attempts, policy.max_delay, rng), policy.max_delay)


def _cost(situation: Situation) -> int:
    match situation.failure:
        case Failure.CONNECT:
            return 0
        case Failure.LOST if not situation.retries_of_failure:
            return 0
        case Failure.SHED | Failure.THROTTLED:
            return THROTTLED_COST
        case _:
            return RETRY_COST


def _jitter(base: float, attempts: int, ceiling: float, rng: Randomness) -> float:
    exponent = min(attempts - 1, _MAX_EXPONENT)  # a policy of very many attempts must not overflow
    return rng.random() * min(base * 2.0**exponent, ceiling)

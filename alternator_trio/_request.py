"""What one logical request carries from attempt to attempt, and what its failures amount to.

Rules: nothing here waits or sends; an error that leaves a request says its operation, its node, its attempts, and
whether a write may have happened. Refused connections do not count as attempts, for as long as one dial may take, where
health is about to hand the traffic over to another scope: a rack that dies would fail its few callers until then.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from typing import Final

from alternator_trio._core.retry import Failure, Situation, failure_of, has_unknown_outcome
from alternator_trio._transport.connection import Connection
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio._wire.repeatability import is_read, is_repeatable
from alternator_trio._wire.replies import blames_encoding, read_error
from alternator_trio.config import AlternatorConfig
from alternator_trio.credentials import Credentials, CredentialsProvider
from alternator_trio.errors import (
    AlternatorError,
    AttemptTimeoutError,
    IndeterminateWriteError,
    ServiceError,
    TransportError,
)
from alternator_trio.nodes import Node

__all__ = ["Refusals", "Request"]

_SCHEMA_CHANGES: Final = frozenset(
    {"CreateTable", "UpdateTable", "DeleteTable", "TagResource", "UntagResource", "UpdateTimeToLive"}
)
# What a repetition is told when the attempt before, of unknown outcome, has done the work.
_AMBIGUOUS_CODES: Final = frozenset({"ResourceInUseException", "ResourceNotFoundException"})
_AMBIGUOUS_TTL: Final = "TTL is already "  # enabled, or disabled
_COMPRESSED: Final = b"\r\ncontent-encoding: "
_MAX_EXAMINED: Final = 512 * 1024  # of body, whose values are looked at: 0.1 s in which no other task runs
_CONDITION_FAILED: Final = "ConditionalCheckFailedException"


class Refusals:
    """What was done about a request's signatures that nodes refused.

    Attributes:
        repeated: The attempt that was last sent twice because a shard may have known an older secret.
        asked_again: Whether the provider was asked again.
        timed: The attempt that was last signed anew by its node's clock.
        sent_again: The attempt that was last sent again, for whichever of these reasons.
    """

    __slots__ = ("asked_again", "repeated", "sent_again", "timed")

    def __init__(self) -> None:
        self.repeated = 0
        self.asked_again = False
        self.timed = 0
        self.sent_again = 0


class Request:
    """One logical request.

    Attributes:
        operation: Its name.
        parameters: As the caller gave them.
        config: The choices that hold for it: the client's, with those of the operation winning.
        provider: Who is asked for credentials; None when they are given, or there are none.
        credentials: Who signs the next attempt; None as long as the provider has not been asked, or without any.
        has_lines: Whether each attempt has header lines of its own: a signature, or what AWS's SDKs say.
        fields: The part of each attempt's head that the operation has to itself.
        body: Encoded once, for all attempts.
        deadline: When all attempts must be over (Trio's clock).
        attempts: Attempts begun.
        node: Where the last attempt went.
        lease: The connection of the attempt in progress.
        tried: The nodes that failed since the plan was made.
        spent: Tokens of the retry quota that its retries took.
        last_error: How the last attempt failed.
        keyed_table: The table by whose partition key it is routed; None for any other plan.
        unknown_outcome: Whether an attempt may have taken effect, or may still do so.
        refusals: What was done about refused signatures; None as long as none was refused.
        date: The Date of the last answer that was an error.
    """

    __slots__ = (
        "_failures",
        "_identity",
        "_refused_from",
        "attempts",
        "body",
        "config",
        "credentials",
        "date",
        "deadline",
        "fields",
        "has_lines",
        "keyed_table",
        "last_error",
        "lease",
        "node",
        "operation",
        "parameters",
        "provider",
        "refusals",
        "spent",
        "tried",
        "unknown_outcome",
    )

    def __init__(
        self, operation: str, parameters: Mapping[str, object], config: AlternatorConfig, fields: bytes, body: bytes
    ) -> None:
        self.operation = operation
        self.parameters = parameters
        self.config = config
        given = config.credentials
        if given is None or type(given) is Credentials:
            self.provider: CredentialsProvider | None = None
            self.credentials: Credentials | None = given
        else:
            self.provider, self.credentials = given, None
        self.has_lines = given is not None or not config.optimize_headers
        self.fields = fields
        self.body = body
        self.deadline = math.inf
        self.attempts = 0
        self.node: Node | None = None
        self.lease: Connection | None = None
        self.tried: list[Node] = []
        self.spent = 0
        self.last_error: AlternatorError | None = None
        self.keyed_table: str | None = None
        self.unknown_outcome = False
        self.refusals: Refusals | None = None
        self.date = b""
        self._failures: list[Failure] = []
        self._refused_from: float | None = None
        self._identity: str | None = None

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return is_read(self.operation)

    @property
    def is_schema_change(self) -> bool:
        """Whether the server waits for schema agreement before it answers."""
        return self.operation in _SCHEMA_CHANGES

    @property
    def is_sent_again(self) -> bool:
        """Whether the attempt that is about to begin has been sent to its node before."""
        return self.refusals is not None and self.refusals.sent_again > self.attempts

    def identity(self) -> str:
        """What all attempts of this request have in common, as a name that no other has."""
        if self._identity is None:
            self._identity = str(uuid.uuid4())
        return self._identity

    def begin_attempt(self, lease: Connection) -> Node:
        """Note an attempt, and say where it goes."""
        self.attempts += 1
        self.lease = lease
        self.node = lease.node
        return lease.node

    def take_back_attempt(self) -> None:
        """Note that the attempt was refused for who signed it, or when, and is sent again as the same one."""
        if self.refusals is not None:
            self.refusals.sent_again = self.attempts
        self.attempts -= 1

    def error_in(self, response: HttpResponse, now: float) -> ServiceError:
        """The service's error in an answer to the last attempt; ``now`` is the wall clock."""
        self.date = response.headers.get(b"date", b"")
        return read_error(
            self.operation,
            response,
            node="" if self.node is None else self.node.endpoint,
            attempts=self.attempts,
            may_have_happened=False,
            now=now,
            compressed=self._is_compressed,
            hidden=None if self.credentials is None else self.credentials.session_token,
            parameters=self.parameters if len(self.body) <= _MAX_EXAMINED else None,
        )

    def fail(self, node: Node, error: AlternatorError, now: float) -> Situation:
        """Note how an attempt failed, and say where the request stands.

        Args:
            node: Where the attempt went.
            error: How it failed.
            now: Trio's clock.

        Raises:
            IndeterminateWriteError: The answer is a refusal that an earlier attempt may have brought about.
        """
        repeat_anyway = self.config.ambiguous_writes == "retry"
        failure = self._failure_of(error)
        before = self._failures.count(failure)
        self._failures.append(failure)
        self.tried.append(node)
        self.last_error = error
        if isinstance(error, ServiceError) and self._is_ambiguous(error):
            raise self.indeterminate("an earlier attempt of unknown outcome may be why it is refused now") from error
        unknown = has_unknown_outcome(failure) and not self.is_read
        self.unknown_outcome = self.unknown_outcome or unknown
        return Situation(
            failure=failure,
            attempts=self.attempts - self._uncounted(now),
            retries_of_failure=before,
            unknown_outcome=unknown,
            repeatable=not unknown or repeat_anyway or is_repeatable(self.operation, self.parameters),
            asked_delay=error.retry_after if isinstance(error, ServiceError) else 0.0,
        )

    def interrupt(self) -> None:
        """Note that the attempt in progress was cut off: what was sent may take effect."""
        if self.lease is not None and self.lease.sent and not self.is_read:
            self.unknown_outcome = True

    def indeterminate(self, why: str) -> IndeterminateWriteError:
        """The error that says that nobody knows."""
        return IndeterminateWriteError(f"the outcome is unknown: {why}")

    def complete(self, error: AlternatorError) -> None:
        """Add what the request knows to an error that is about to leave."""
        error.operation = self.operation
        error.attempts = self.attempts
        if error.node is None and self.node is not None:
            error.node = self.node.endpoint
        error.may_have_happened = not self.is_read and (self.unknown_outcome or error.may_have_happened)

    def _uncounted(self, now: float) -> int:
        """The refused connections that do not count; once the time for them is over, all do."""
        refused = self._failures.count(Failure.CONNECT)
        config = self.config
        is_watched = config.discovery and config.node_health is not None
        has_fallback = len(config.routing_scope.chain) > 1
        if not (refused and is_watched and has_fallback and config.retry.max_attempts > 1):
            return 0
        if self._refused_from is None:
            self._refused_from = now
        return refused if now < self._refused_from + config.connect_timeout else 0

    @property
    def _is_compressed(self) -> bool:
        return _COMPRESSED in self.fields

    def _failure_of(self, error: AlternatorError) -> Failure:
        if isinstance(error, ServiceError):
            if self._is_compressed and blames_encoding(error.status, error.message):
                return Failure.UNCLEAR
            return failure_of(error.code, error.status)
        if not isinstance(error, TransportError):
            return Failure.FINAL  # the client was closed, or the answer is too large
        if not error.may_have_happened:
            return Failure.CONNECT
        return Failure.TIMEOUT if isinstance(error, AttemptTimeoutError) else Failure.LOST

    def _is_ambiguous(self, error: ServiceError) -> bool:
        if not self.unknown_outcome:
            return False
        if self.is_schema_change:
            return error.code in _AMBIGUOUS_CODES or _AMBIGUOUS_TTL in error.message
        return error.code == _CONDITION_FAILED

"""The exception tree: everything that this client raises on its own account.

Rules: an error says which operation, which node, how many attempts, and whether a write may have happened; all errors
pickle and copy; no error carries a credential or a request body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "AlternatorError",
    "AttemptTimeoutError",
    "ClientClosedError",
    "ClientStoppedError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "CredentialsError",
    "DecodingError",
    "DiscoveryError",
    "EncodingError",
    "IndeterminateWriteError",
    "NoLiveNodesError",
    "OperationTimeoutError",
    "PoolTimeoutError",
    "ProtocolError",
    "ServiceError",
    "TlsError",
    "TransportError",
    "UnknownServiceError",
]


class AlternatorError(Exception):
    """Base of every error of this package.

    Attributes:
        message: What went wrong, in a sentence.
        operation: The DynamoDB operation that failed, such as ``"PutItem"``; None outside an operation.
        node: The canonical endpoint of the node that was asked last; None when none was.
        attempts: How many attempts of the operation were begun, the first one included.
        may_have_happened: True when a write may have taken effect (or may still do so) although it raised.

    Example:
        >>> error = ConnectError("connection refused", node="http://10.0.0.1:8000", attempts=2)
        >>> str(error)
        'connection refused (node http://10.0.0.1:8000, 2 attempts)'
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        node: str | None = None,
        attempts: int = 0,
        may_have_happened: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.node = node
        self.attempts = attempts
        self.may_have_happened = may_have_happened

    def __str__(self) -> str:
        facts: list[str] = []
        if self.operation is not None:
            facts.append(self.operation)
        if self.node is not None:
            facts.append(f"node {self.node}")
        if self.attempts:
            facts.append("1 attempt" if self.attempts == 1 else f"{self.attempts} attempts")
        if self.may_have_happened:
            facts.append("the write may have happened")
        return f"{self.message} ({', '.join(facts)})" if facts else self.message

    def __repr__(self) -> str:
        facts = "".join(f", {name}={value!r}" for name, value in self._facts().items() if value)
        return f"{type(self).__name__}({self.message!r}{facts})"

    def _facts(self) -> dict[str, object]:
        """What `repr` shows beside the message."""
        return {name: getattr(self, name) for name in ("operation", "node", "attempts", "may_have_happened")}

    def __reduce__(self) -> tuple[Callable[..., AlternatorError], tuple[object, ...], dict[str, object]]:
        # Constructors take keyword arguments, which Exception's own __reduce__ loses.
        state = dict(self.__dict__)
        if "__notes__" in state:
            state["__notes__"] = list(self.__notes__)  # or a note on a copy would be on the original, too
        return _rebuild, (type(self), self.args), state


def _rebuild(cls: type[AlternatorError], args: tuple[object, ...]) -> AlternatorError:
    error = cls.__new__(cls, *args)
    error.args = args
    return error


class ConfigurationError(AlternatorError, ValueError):
    """An option or a seed is wrong; raised before anything is sent."""


class ClientClosedError(AlternatorError):
    """The client's block has ended, or the client is used after a fork or from another Trio run."""


class ClientStoppedError(AlternatorError):
    """The client gave up: one of its actors crashed too often. The cause is the last crash."""


class CredentialsError(AlternatorError):
    """The credentials provider raised, took too long or gave nothing usable; nothing was sent by the last attempt.

    The cause is what the provider raised.
    """


class DiscoveryError(AlternatorError):
    """No candidate gave a usable node list.

    Attributes:
        failures: ``(candidate, reason)`` pairs in the order of asking; a candidate is a canonical endpoint.
    """

    def __init__(self, message: str, *, failures: Sequence[tuple[str, str]] = ()) -> None:
        listed = "; ".join(f"{candidate}: {reason}" for candidate, reason in failures)
        super().__init__(f"{message}: {listed}" if listed else message)
        self.failures = tuple(failures)


class EncodingError(AlternatorError, ValueError):
    """The arguments of an operation cannot be written as a request; nothing was sent."""


class DecodingError(AlternatorError):
    """A node answered 200 with a body that is not the promised answer; the operation took effect if it was a write."""


class NoLiveNodesError(AlternatorError):
    """No node is left to send a request to; nothing was sent by the last attempt."""


class PoolTimeoutError(AlternatorError):
    """No connection became free within ``acquire_timeout``; the attempt was not sent."""


class OperationTimeoutError(AlternatorError):
    """The operation, all its attempts included, took longer than ``operation_timeout``."""


class TransportError(AlternatorError):
    """An attempt ended without a complete answer."""


class ConnectError(TransportError):
    """No connection could be made within ``connect_timeout``; nothing was sent."""


class TlsError(ConnectError):
    """The TLS handshake failed: certificate, name, protocol version or an alert; nothing has happened.

    Under TLS 1.3 a node refuses a client certificate after the client has begun to send; it has then read none of it.
    """


class ConnectionLostError(TransportError):
    """The connection broke before the answer was complete."""


class AttemptTimeoutError(TransportError):
    """The answer was not complete within ``attempt_timeout`` (``ddl_timeout`` for schema changes)."""


class ProtocolError(TransportError):
    """The node sent something that is not an acceptable HTTP/1.1 answer."""


class IndeterminateWriteError(AlternatorError):
    """A write whose outcome is unknown and which was not, or could not safely be, repeated.

    Read the item to learn what happened. The cause tells what was seen last.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        node: str | None = None,
        attempts: int = 0,
        may_have_happened: bool = True,
    ) -> None:
        super().__init__(
            message, operation=operation, node=node, attempts=attempts, may_have_happened=may_have_happened
        )


class ServiceError(AlternatorError):
    """The service answered with an error; subclasses bear DynamoDB's own names.

    Attributes:
        code: The error's name, such as ``"ConditionalCheckFailedException"``, without its namespace.
        status: The HTTP status, such as 400.
        response: The answer in botocore's shape: ``{"Error": {"Code", "Message"}, "ResponseMetadata": {…}}`` beside
            the further members of the error's body (``Item``, for one).
        retry_after: Seconds that the server asked to wait (Retry-After); 0.0 when it did not.

    Example:
        >>> raise UnknownServiceError("shard is busy", code="Busy", status=400, node="http://10.0.0.1:8000")
        Traceback (most recent call last):
        ...
        alternator_trio.errors.UnknownServiceError: Busy: shard is busy (node http://10.0.0.1:8000)
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        response: Mapping[str, object] | None = None,
        operation: str | None = None,
        node: str | None = None,
        attempts: int = 0,
        may_have_happened: bool = False,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(
            message, operation=operation, node=node, attempts=attempts, may_have_happened=may_have_happened
        )
        self.code = code
        self.status = status
        self.retry_after = retry_after
        self.response: Mapping[str, object] = {} if response is None else response

    def __str__(self) -> str:
        return f"{self.code}: {super().__str__()}"

    def _facts(self) -> dict[str, object]:
        # The response stays out: an item may be in it.
        return {"code": self.code, "status": self.status, **super()._facts()}


class UnknownServiceError(ServiceError):
    """A service error under a name that the service model does not have."""

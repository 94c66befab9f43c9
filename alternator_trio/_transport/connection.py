"""One connection to one node, leased to one exchange at a time.

Rules: a connection is dialled by whoever leases it first; it is used again only after a complete and clean exchange;
it is closed synchronously, by its lessee or by the Dispatcher, and then says why.
"""

from __future__ import annotations

import enum
import math
from typing import Final

import trio

from alternator_trio._core.retry import failure_of, has_unknown_outcome
from alternator_trio._transport.dialing import Dial
from alternator_trio._transport.tls_errors import MAYBE_HTTPS, describe, is_refusal
from alternator_trio._transport.wires import AlertError, NothingSentError, Peek, Wire
from alternator_trio._wire.http_head import Heads
from alternator_trio._wire.http_response import (
    HttpResponse,
    MalformedResponseError,
    ResponseReader,
    ResponseTooLargeError,
    read_whole,
)
from alternator_trio.errors import ConnectionLostError, DecodingError, ProtocolError, TlsError, TransportError
from alternator_trio.nodes import Node

__all__ = ["Connection", "Ending", "ends_connection", "too_large"]

# Above this a peer may well answer before it has read everything (413), so that sending and receiving must overlap.
_LARGE_REQUEST_BYTES: Final = 64 * 1024
_OK: Final = 200
_TOO_LARGE: Final = 413
_MAYBE_ANOTHER: Final = "; is the port Alternator's?"
_SHEDDING: Final = b"RequestLimitExceeded"
_BROKEN: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


class Ending(enum.Enum):
    """Why a connection was closed by another than its lessee."""

    TIMED_OUT = enum.auto()
    CLIENT_CLOSED = enum.auto()


class Connection:
    """A slot of the pool, with a wire once it has been dialled.

    Attributes:
        node: Where it leads.
        deadline: When the exchange in progress must be over (Trio's clock).
        idle_since: When it was last given back.
        retire_at: When it is too old to be used again.
        ending: Why somebody else has closed it; None as long as nobody has.
        sent: Whether bytes of the last exchange may have reached the node.
        exchanges: How many exchanges have begun on it.
    """

    __slots__ = (
        "_clean",
        "_dial_scope",
        "_reader",
        "_wire",
        "deadline",
        "ending",
        "exchanges",
        "idle_since",
        "node",
        "retire_at",
        "sent",
    )

    def __init__(self, node: Node, retire_at: float) -> None:
        self.node = node
        self.deadline = math.inf
        self.idle_since = 0.0
        self.retire_at = retire_at
        self.ending: Ending | None = None
        self.sent = False
        self.exchanges = 0
        self._clean = True
        self._reader: ResponseReader | None = None
        self._wire: Wire | None = None
        self._dial_scope: trio.CancelScope | None = None

    @property
    def is_reusable(self) -> bool:
        """Whether another exchange may begin on it: dialled, not closed, and no exchange left it in doubt."""
        return self._clean and self._wire is not None and self.ending is None

    @property
    def was_dialled(self) -> bool:
        """Whether there is, or has been, a wire."""
        return self._wire is not None

    @property
    def status(self) -> int:
        """Of an exchange that failed: the status of the answer, if its head had come; else 0."""
        return 0 if self._reader is None else self._reader.status

    @property
    def was_stale(self) -> bool:
        """Of an exchange that failed: whether the connection had served before, and bore no byte of an answer now."""
        return self.exchanges > 1 and (self._reader is None or not self._reader.has_begun)

    async def dial(self, dial: Dial) -> None:
        """Make the wire, if there is none yet.

        Raises:
            ConnectError: There is no way to the node. A connection that is closed meanwhile, `ending` being set, leaves
                without a wire.
        """
        if self._wire is not None or self.ending is not None:
            return  # there already, or closed between its lease and now: nothing is dialled for a client that is closed
        with trio.CancelScope() as scope:
            self._dial_scope = scope
            try:
                self._wire = await dial(self.node)
            finally:
                self._dial_scope = None

    async def exchange(self, request: bytes, max_body_bytes: int, heads: Heads) -> HttpResponse:
        """Send one request and read its answer.

        Args:
            request: Head and body.
            max_body_bytes: The largest body to accept.
            heads: The heads of answers that are known.

        Raises:
            ConnectionLostError: The connection broke before the answer was complete.
            TlsError: The node judged the handshake after we had taken it for done, and ended the connection.
            ProtocolError: What came is no acceptable answer.
            DecodingError: Its body is beyond the bound.
        """
        wire = self._wire
        assert wire is not None  # noqa: S101  # dialled before
        # The last moment at which a cancellation leaves the connection as it is.
        await trio.lowlevel.checkpoint_if_cancelled()
        self.exchanges += 1
        if self.exchanges == 1 and wire.peek() is Peek.STRAY:
            self._clean = self.sent = False
            hint = _MAYBE_ANOTHER if heads.are_none else ""
            raise ProtocolError(f"an answer came before the request was sent{hint}", node=self.node.endpoint)
        self.sent = True
        self._clean = False
        self._reader = None  # until the answer has begun
        try:
            if len(request) > _LARGE_REQUEST_BYTES:
                response = await _exchange_large(wire, request, self._new_reader(max_body_bytes, heads))
            else:
                await wire.send(request)
                data = await wire.receive()
                whole = read_whole(data, heads, max_body_bytes)
                response = whole or await _read(wire, self._new_reader(max_body_bytes, heads), data)
        except NothingSentError as error:
            self.sent = False
            raise ConnectionLostError(_reason(error), node=self.node.endpoint) from error.__cause__
        except AlertError as error:
            raise self._alerted(error) from error.__cause__
        except ResponseTooLargeError as error:
            raise too_large(str(error), self) from error
        except MalformedResponseError as error:
            hint = "" if str(error).endswith("?") or not heads.are_none else _MAYBE_ANOTHER
            raise ProtocolError(f"{error}{hint}", node=self.node.endpoint) from error
        except _BROKEN as error:
            hint = MAYBE_HTTPS if heads.are_none and self._may_be_https() else ""
            raise ConnectionLostError(f"{_reason(error)}{hint}", node=self.node.endpoint) from error
        self._reader = None  # which holds the answer: an idle connection must not
        self._clean = response.reusable and (
            response.status == _OK or not ends_connection(response.status, response.body)
        )
        return response

    def _alerted(self, error: AlertError) -> TransportError:
        """What an alert means: on a fresh connection, before any answer, it is about the handshake."""
        has_begun = self._reader is not None and self._reader.has_begun
        if self.exchanges > 1 or has_begun or not is_refusal(error.__cause__):
            return ConnectionLostError(_reason(error), node=self.node.endpoint)
        self.sent = False
        return TlsError(f"the node ended the TLS connection: {_reason(error)}", node=self.node.endpoint)

    def _may_be_https(self) -> bool:
        """Whether a node that speaks only TLS would end a connection as this one has ended."""
        has_begun = self._reader is not None and self._reader.has_begun
        return self.node.scheme == "http" and self.exchanges == 1 and not has_begun

    def peek(self) -> Peek:
        """Look whether an idle connection is still good."""
        return Peek.ENDED if self._wire is None else self._wire.peek()

    def close(self, ending: Ending | None = None) -> None:
        """Close it at once, also in the middle of an exchange or a dial; closing twice is harmless."""
        if ending is not None and self.ending is None:
            self.ending = ending
        if self._dial_scope is not None:
            self._dial_scope.cancel()
        if self._wire is not None:
            self._wire.close()

    def _new_reader(self, max_body_bytes: int, heads: Heads) -> ResponseReader:
        self._reader = reader = ResponseReader(max_body_bytes, heads)
        return reader


def too_large(why: str, connection: Connection) -> DecodingError:
    """That an answer is beyond the bound; what its status says was not done has not been done."""
    may_have_happened = has_unknown_outcome(failure_of("", connection.status))
    message = f"the answer is too large (max_response_bytes): {why}"
    return DecodingError(message, node=connection.node.endpoint, may_have_happened=may_have_happened)


async def _read(wire: Wire, reader: ResponseReader, data: bytes) -> HttpResponse:
    """Read an answer of which ``data`` has come; nothing is the end of the connection."""
    while data:
        response = reader.feed(data)
        if response is not None:
            return response
        data = await wire.receive()
    raise trio.BrokenResourceError(str(reader.feed_eof()))


async def _exchange_large(wire: Wire, request: bytes, reader: ResponseReader) -> HttpResponse:
    """Send in a task of its own: a node that refuses a body answers before it has read it, or instead."""
    response: HttpResponse | None = None
    failure: Exception | None = None
    refusal: NothingSentError | AlertError | None = None
    sent = False

    async def send() -> None:
        nonlocal sent, refusal
        try:
            await wire.send(request)
        except (NothingSentError, AlertError) as error:
            refusal = error
        except _BROKEN:
            pass  # what the node had to say may be readable all the same
        else:
            sent = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        try:
            response = await _read(wire, reader, await wire.receive())
        except (MalformedResponseError, *_BROKEN) as error:
            failure = error
        nursery.cancel_scope.cancel()
    if response is not None:
        response.reusable = response.reusable and sent
        return response
    assert failure is not None  # noqa: S101  # the one or the other
    raise failure if refusal is None or reader.has_begun or isinstance(failure, AlertError) else refusal


def ends_connection(status: int, body: bytes) -> bool:
    """Whether a refusal makes the connection useless, whatever it promises.

    A body that was refused for its size may not have been read; a shard that sheds load drops the connection in some
    versions, and in the others another connection may well lead to another shard.
    """
    return status == _TOO_LARGE or _SHEDDING in body


def _reason(error: BaseException) -> str:
    if isinstance(error, (NothingSentError, trio.BrokenResourceError)) and error.__cause__ is not None:
        return _reason(error.__cause__)
    if isinstance(error, OSError):
        return describe(error)
    return str(error) or type(error).__name__

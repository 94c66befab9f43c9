"""One exchange over httpx, in a task of its own, so that what becomes of its caller does httpx no harm.

Rules: a cancellation must not reach httpcore wherever it likes: its pools lose connections and slots to it, and an
HTTP/2 connection its frames and its flow window (read in httpcore 1.0.9). A caller that leaves does so at once. Of the
exchange that it leaves behind nothing is sent if nothing was before; over HTTP/1.1 it is cancelled, which costs its
connection alone; over HTTP/2 its answer is read and dropped, for `DRAIN_SECONDS` at most. It keeps its lease until it
has ended: what a node still works on counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol, cast

import httpcore
import httpx
import trio

from alternator_trio._transport.connection import Ending, too_large
from alternator_trio._transport.httpx_errors import translated
from alternator_trio._transport.httpx_lease import HttpxLease
from alternator_trio._transport.httpx_nodes import Carrier, NodePool
from alternator_trio._transport.pools import Pools
from alternator_trio._wire.http_response import MAX_HEAD_BYTES, HttpResponse
from alternator_trio.errors import (
    AlternatorError,
    AttemptTimeoutError,
    ClientClosedError,
    ConnectError,
    DecodingError,
    ProtocolError,
)

__all__ = ["DRAIN_SECONDS", "Exchange", "Send"]

DRAIN_SECONDS: Final = 10.0
"""How long an answer that nobody waits for is read on: as long as a node works on a request itself."""

_CLOSING_SECONDS: Final = 1.0
_FINAL: Final = 200
_LAST: Final = 599
_BODILESS: Final = frozenset({204, 304})
_PROXY_AUTHENTICATION: Final = 407


class Send(Protocol):
    """Sends a request and returns its answer as far as the head."""

    async def __call__(self, request: httpx.Request, /) -> httpx.Response: ...


class _LeftError(Exception):
    """Nobody waits any more, and nothing has been sent."""


class Exchange:
    """One exchange.

    Args:
        lease: The right to it; goes back to the pools when it has ended.
        pools: Where the lease came from.
        max_body_bytes: The largest acceptable body.
        retire: Called with what carried it when an HTTP/2 stream is left in its middle.
        unknown: Whether no node has answered yet.

    Attributes:
        carrier: Where it goes, and over what.
        settled: Set when its caller need not wait any more.
    """

    __slots__ = (
        "_answer",
        "_error",
        "_is_http2",
        "_is_left",
        "_is_over",
        "_lease",
        "_max_body_bytes",
        "_pools",
        "_retire",
        "_scope",
        "_stream_id",
        "_unknown",
        "carrier",
        "settled",
    )

    def __init__(
        self,
        lease: HttpxLease,
        pools: Pools,
        max_body_bytes: int,
        retire: Callable[[NodePool], None],
        *,
        unknown: bool,
    ) -> None:
        self.carrier = Carrier(lease.node)
        self.settled = trio.Event()
        self._lease = lease
        self._pools = pools
        self._max_body_bytes = max_body_bytes
        self._retire = retire
        self._unknown = unknown
        self._scope = trio.CancelScope()
        self._answer: HttpResponse | None = None
        self._error: Exception | None = None
        self._is_left = False
        self._is_over = False
        self._is_http2: bool | None = None  # unknown before anything is sent
        self._stream_id = 0

    async def run(self, send: Send, request: httpx.Request) -> None:
        """Carry it out; nothing is raised here."""
        try:
            with self._scope:
                if not self._is_left:
                    self._answer = await self._perform(send, request)
        except Exception as error:  # noqa: BLE001  # a user's client raises what it likes, and it is its caller's
            self._error = error
        finally:
            self._is_over = True
            pool = self.carrier.pool
            if self._is_http2 and self._answer is None and pool is not None:
                self._retire(pool)
            self._pools.give_back(self._lease, trio.current_time())
            self.settled.set()

    def leave(self) -> None:
        """Nobody waits for it any more."""
        self._is_left = True
        if self._is_over:
            return
        if self._is_http2 is False:
            self._scope.cancel()
            return
        lease = self._lease
        sent = lease.sent
        self._pools.begin(lease, trio.current_time() + DRAIN_SECONDS)
        lease.sent = sent

    def end(self) -> None:
        """Its time is over, or the client's: wake whoever waits; nobody does for one that was left."""
        if self._is_left or self._lease.ending is Ending.CLIENT_CLOSED:
            self._scope.cancel()
        self.settled.set()

    def outcome(self, seconds: float) -> HttpResponse:
        """The answer.

        Raises:
            AlternatorError: There is none.
        """
        if self._answer is not None:
            return self._answer
        lease, node = self._lease, self._lease.node.endpoint
        if lease.ending is Ending.TIMED_OUT:
            message = f"no complete answer within {seconds:g} s"
            raise AttemptTimeoutError(message, node=node, may_have_happened=lease.sent)
        if self._error is None:
            raise ClientClosedError("the client was closed", node=node, may_have_happened=lease.sent)
        error, cause = self._translated(self._error)
        raise error from cause

    async def trace(self, event: str, info: Mapping[str, object]) -> None:
        """What httpcore tells: where it is.

        Raises:
            _LeftError: It is about to send what nobody waits for.
        """
        if event == "connection.connect_tcp.started":
            self._lease.is_fresh = True
        elif event.endswith(".send_request_headers.started"):
            if cast("httpcore.Request", info["request"]).method == b"CONNECT":
                return  # which goes to a proxy
            if self._is_left:
                raise _LeftError
            self._lease.sent = True
            self._is_http2 = event.startswith("http2.")
            self._stream_id = cast("int", info.get("stream_id", 0))

    # Below: the parts of the above.

    async def _perform(self, send: Send, request: httpx.Request) -> HttpResponse:
        response = await send(request)
        try:
            headers = self._read_head(response)
            return HttpResponse(response.status_code, headers, await self._read_body(response), reusable=True)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSING_SECONDS):
                await response.aclose()

    def _read_head(self, response: httpx.Response) -> dict[bytes, bytes]:
        status, node = response.status_code, self._lease.node.endpoint
        self._lease.answer_status = status
        if status == _PROXY_AUTHENTICATION and self._may_be_a_proxys(response):
            self._lease.sent = False
            self._lease.answer_status = 0
            raise ConnectError(f"{self._proxy()} refuses: 407, it asks for authentication", node=node)
        if not _FINAL <= status <= _LAST:
            raise ProtocolError(f"status {status} is no final answer's", node=node)
        fields = response.headers.raw
        if sum(len(name) + len(value) for name, value in fields) > MAX_HEAD_BYTES:
            raise ProtocolError(f"the head is longer than {MAX_HEAD_BYTES} bytes", node=node)
        headers = {name.lower(): value for name, value in fields}
        if not _is_framed(response, headers):
            raise ProtocolError("neither Content-Length nor Transfer-Encoding", node=node)
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_body_bytes:
            raise self._too_large()
        return headers

    async def _read_body(self, response: httpx.Response) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_raw():
            size += len(part)
            if size <= self._max_body_bytes:
                parts.append(part)
            elif self._error is None:
                self._error = self._too_large()
                # To leave the loop would leave half a dozen generators in their middle: cancelled, they end themselves.
                self._scope.cancel()
                parts.clear()
        if self._error is not None:
            raise self._error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self) -> DecodingError:
        return too_large(f"at most {self._max_body_bytes} bytes are accepted", self._lease)

    def _may_be_a_proxys(self, response: httpx.Response) -> bool:
        pool = self.carrier.pool
        return (pool is None or pool.proxy is not None) and b"proxy-authenticate" in {
            name.lower() for name, _ in response.headers.raw
        }

    def _proxy(self) -> str:
        pool = self.carrier.pool
        return "a proxy" if pool is None or pool.proxy is None else f"the proxy {pool.proxy}"

    def _translated(self, error: Exception) -> tuple[AlternatorError, Exception | None]:
        lease, pool = self._lease, self.carrier.pool
        return translated(
            error,
            lease.node,
            sent=lease.sent,
            fresh=lease.is_fresh and not lease.answer_status,
            unknown=self._unknown,
            stream_id=self._stream_id,
            proxy=None if pool is None else pool.proxy,
        )


def _is_framed(response: httpx.Response, headers: Mapping[bytes, bytes]) -> bool:
    """Whether it can be told where the body ends; the end of an HTTP/1 connection cannot be told from a break."""
    if response.extensions.get("http_version") not in {b"HTTP/1.0", b"HTTP/1.1"}:
        return True
    return response.status_code in _BODILESS or b"content-length" in headers or b"transfer-encoding" in headers

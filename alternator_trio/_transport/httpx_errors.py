"""What httpx and httpcore raise, as this package's errors.

Rules: every error names the node; ``may_have_happened`` is False only where it is certain that no node has taken up the
request: no connection, a stream that the node refused (HTTP/2's REFUSED_STREAM), one beyond those that it says it will
still answer (GOAWAY). Texts of other packages are cut, and those that may quote a header of ours are not used at all.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Final

import h2.errors
import h2.events
import httpcore
import httpx

from alternator_trio._transport.tls_errors import MAYBE_HTTPS, is_refusal
from alternator_trio.errors import (
    AlternatorError,
    ConnectError,
    ConnectionLostError,
    DecodingError,
    ProtocolError,
    TlsError,
    TransportError,
)
from alternator_trio.nodes import Node

__all__ = ["translated"]

_MAX_TEXT: Final = 200
_NO_CONNECTION: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.UnsupportedProtocol,
)
_PROXY: Final = (httpx.ProxyError, httpcore.ProxyError)
_OURS: Final = (httpx.LocalProtocolError, httpcore.LocalProtocolError)
_READABLE: Final = (
    httpx.TransportError,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    OSError,
)
_PROTOCOL: Final = (httpx.RemoteProtocolError, httpcore.RemoteProtocolError, httpx.DecodingError)


def translated(
    error: Exception, node: Node, *, sent: bool, fresh: bool, unknown: bool, stream_id: int, proxy: str | None
) -> tuple[AlternatorError, Exception | None]:
    """An exception of an exchange as this package's, and the cause to raise it from.

    Args:
        error: What was raised.
        node: Where the exchange went.
        sent: Whether anything may have been sent to the node.
        fresh: Whether the connection was made for this exchange, and no answer has begun.
        unknown: Whether no node has answered yet.
        stream_id: The exchange's stream, in HTTP/2; else 0.
        proxy: The proxy in between, as it may be shown; None where none is known of.
    """
    if isinstance(error, DecodingError):  # raised by our own parts, which know the status
        return error, None
    if isinstance(error, TransportError):  # the same
        error.may_have_happened = sent
        return error, _as_exception(error.__cause__)
    if isinstance(error, _OURS):
        # Its text may quote a header. Under HTTP/2 httpcore says so, too, when it is the node that breaks a rule.
        text = "not an acceptable answer: it breaks HTTP's rules" if sent else "httpx does not send such a request"
        return ProtocolError(text, node=node.endpoint, may_have_happened=sent), None
    chain = list(_chain(error))
    if sent and not isinstance(error, (*_PROXY, *_NO_CONNECTION)):
        may_be_https = unknown and fresh and proxy is None and node.scheme == "http"
        return _lost(chain, node, fresh=fresh, stream_id=stream_id, hint=MAYBE_HTTPS if may_be_https else ""), error
    return _unconnected(chain, node, proxy), error


def _unconnected(chain: list[BaseException], node: Node, proxy: str | None) -> ConnectError:
    error, text = chain[0], _text(chain)
    if any(isinstance(each, ssl.SSLError) for each in chain):
        return TlsError(f"the TLS handshake failed: {text}", node=node.endpoint)
    if isinstance(error, _PROXY):
        return ConnectError(f"the proxy{_named(proxy)} refuses to connect: {text}", node=node.endpoint)
    through = "" if proxy is None else f" through the proxy{_named(proxy)}"
    return ConnectError(f"cannot connect{through}: {text}", node=node.endpoint)


def _lost(chain: list[BaseException], node: Node, *, fresh: bool, stream_id: int, hint: str) -> TransportError:
    text = _text(chain)
    if fresh and any(map(is_refusal, chain)):
        # Under TLS 1.3 a client certificate is refused after our handshake: by an alert in place of the first answer.
        return TlsError(f"the TLS handshake failed: {text}", node=node.endpoint)
    ended = next((event for event in map(_event, chain) if event is not None), None)
    if isinstance(ended, h2.events.StreamReset):
        refused = ended.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
        text = f"the node has reset the stream (HTTP/2 error {_number(ended.error_code)})"
        return ConnectionLostError(text, node=node.endpoint, may_have_happened=not refused)
    if isinstance(ended, h2.events.ConnectionTerminated):
        last = ended.last_stream_id
        text = f"the node has ended the connection (HTTP/2 error {_number(ended.error_code)})"
        return ConnectionLostError(text, node=node.endpoint, may_have_happened=last is None or stream_id <= last)
    if isinstance(chain[0], _PROTOCOL) and "disconnected" not in text:
        return ProtocolError(f"not an acceptable answer: {text}", node=node.endpoint, may_have_happened=True)
    text = f"{text.removesuffix('.')}{hint}" if hint else text
    return ConnectionLostError(text, node=node.endpoint, may_have_happened=True)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what lies below it."""
    seen: set[int] = set()
    below: BaseException | None = error
    while below is not None and id(below) not in seen:
        seen.add(id(below))
        yield below
        below = below.__cause__ or below.__context__


def _event(error: BaseException) -> object | None:
    """The HTTP/2 event that httpcore wraps into its exception."""
    event: object = error.args[0] if error.args else None
    return event if isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)) else None


def _number(code: object) -> str:
    return str(int(code)) if isinstance(code, int) else "unknown"


def _text(chain: list[BaseException]) -> str:
    """The first words that there are, from the top; not those of exceptions that nobody here knows."""
    for error in chain:
        text = str(error) if isinstance(error, _READABLE) else ""
        if text:
            return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"
    return type(chain[0]).__name__


def _named(proxy: str | None) -> str:
    return "" if proxy is None else f" {proxy}"


def _as_exception(error: BaseException | None) -> Exception | None:
    return error if isinstance(error, Exception) else None

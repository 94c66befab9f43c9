"""What httpx, httpcore and h2 raise, as this package's errors: which class, and whether it may have happened."""

from __future__ import annotations

import ssl

import h2.errors
import h2.events
import httpcore
import httpx
import pytest

from alternator_trio._transport.httpx_errors import translated
from alternator_trio.errors import ConnectError, ConnectionLostError, ProtocolError, TlsError
from alternator_trio.nodes import Node

NODE = Node("https", "10.0.0.1", 8043)


def reset(code: h2.errors.ErrorCodes) -> h2.events.StreamReset:
    event = h2.events.StreamReset(stream_id=5)
    event.error_code = code
    return event


def going_away(last: int) -> h2.events.ConnectionTerminated:
    event = h2.events.ConnectionTerminated()
    event.error_code = h2.errors.ErrorCodes.NO_ERROR
    event.last_stream_id = last
    return event


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def alert() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required")
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return error


REFUSED = httpcore.RemoteProtocolError(reset(h2.errors.ErrorCodes.REFUSED_STREAM))
CASES = {
    "refused": (httpcore.ConnectError("refused"), False, ConnectError, False),
    "refused, though another was sent before": (httpcore.ConnectError("refused"), True, ConnectError, False),
    "slow to connect": (httpx.ConnectTimeout(""), False, ConnectError, False),
    "no connection free": (httpx.PoolTimeout(""), True, ConnectError, False),
    "proxy": (httpx.ProxyError("407 Proxy Authentication Required"), False, ConnectError, False),
    "broken before it was sent": (httpcore.ReadError("reset"), False, ConnectError, False),
    "certificate": (caused(httpx.ConnectError("bad"), ssl.SSLCertVerificationError("x")), False, TlsError, False),
    "alert after the handshake": (caused(httpcore.ReadError("alert"), alert()), True, TlsError, False),
    "read": (httpcore.ReadError("reset"), True, ConnectionLostError, True),
    "write": (httpcore.WriteError("reset"), True, ConnectionLostError, True),
    "ended": (httpcore.RemoteProtocolError("Server disconnected"), True, ConnectionLostError, True),
    "no HTTP": (httpcore.RemoteProtocolError("illegal status line"), True, ProtocolError, True),
    "against the rules": (httpcore.LocalProtocolError("Invalid input"), True, ProtocolError, True),
    "stream reset": (
        httpcore.RemoteProtocolError(reset(h2.errors.ErrorCodes.INTERNAL_ERROR)),
        True,
        ConnectionLostError,
        True,
    ),
    "stream refused": (REFUSED, True, ConnectionLostError, False),
    "stream refused, by the user's client": (
        caused(httpx.RemoteProtocolError("x"), REFUSED),
        True,
        ConnectionLostError,
        False,
    ),
    "beyond the last stream": (httpcore.RemoteProtocolError(going_away(3)), True, ConnectionLostError, False),
    "up to the last stream": (httpcore.RemoteProtocolError(going_away(5)), True, ConnectionLostError, True),
    "anything": (KeyError("secret"), True, ConnectionLostError, True),
}


@pytest.mark.parametrize(("error", "sent", "kind", "may_have_happened"), CASES.values(), ids=CASES)
def test_each_is_ours(error, sent, kind, may_have_happened) -> None:
    """By class, with the node named."""
    ours, _ = translated(error, NODE, sent=sent, fresh=True, unknown=True, stream_id=5, proxy=None)
    assert type(ours) is kind
    assert ours.may_have_happened is may_have_happened
    assert ours.node == NODE.endpoint


@pytest.mark.parametrize("sent", [True, False])
def test_a_text_that_may_quote_a_header_is_not_used(sent) -> None:
    """Neither in the message nor as a cause."""
    error = httpx.LocalProtocolError("Illegal header value b'AWS4-HMAC-SHA256 secret'")
    ours, cause = translated(error, NODE, sent=sent, fresh=True, unknown=True, stream_id=0, proxy=None)
    assert "secret" not in str(ours)
    assert cause is None


def test_words_of_exceptions_that_nobody_knows_are_not_used() -> None:
    """A hook of the user's may raise with a header's value in it."""
    ours, _ = translated(ValueError("secret"), NODE, sent=True, fresh=True, unknown=True, stream_id=0, proxy=None)
    assert "secret" not in str(ours)


def test_long_texts_are_cut() -> None:
    """What a node sends may stand in them."""
    error = httpcore.RemoteProtocolError("x" * 10_000)
    ours, _ = translated(error, NODE, sent=True, fresh=True, unknown=True, stream_id=0, proxy=None)
    assert len(str(ours)) < 400

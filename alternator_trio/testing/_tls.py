"""The server's side of a TLS handshake, for nodes that speak HTTPS.

Rule: a handshake that fails ends with an alert that says why, as those of real servers do.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, cast

import trio

if TYPE_CHECKING:
    from alternator_trio.testing._stream import NodeStream


async def accept_tls(stream: NodeStream, context: ssl.SSLContext) -> trio.SSLStream[NodeStream]:
    """Shake hands with a client.

    Raises:
        trio.BrokenResourceError: It failed; a client that is still there has been told why.
    """
    remembering = _RememberingContext(context)
    # Trio asks a context for nothing but `wrap_bio`.
    secured = trio.SSLStream(stream, cast("ssl.SSLContext", remembering), server_side=True, https_compatible=True)
    try:
        await secured.do_handshake()
    except trio.BrokenResourceError as error:
        failure = error
    else:
        return secured
    alert = remembering.outgoing.read()  # Trio leaves it where OpenSSL has put it
    if alert:
        await stream.send_all(alert)
    raise failure


class _RememberingContext:
    """A context that remembers where OpenSSL puts what is to be sent."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.outgoing = ssl.MemoryBIO()

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **options: bool | str | None) -> ssl.SSLObject:
        self.outgoing = outgoing
        return self._context.wrap_bio(incoming, outgoing, server_side=bool(options["server_side"]))

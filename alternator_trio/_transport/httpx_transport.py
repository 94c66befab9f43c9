"""The transport over httpx: each attempt an exchange in a task of the client's own, on a lease of the same pools.

Rules: the head is written once, for all transports, and read back here, so that what was signed is what is sent; httpx
adds nothing to it, follows nothing, and remembers nothing. This is imported when it is chosen: httpx takes its time.
"""

from __future__ import annotations

import functools
import http.cookiejar
import logging
import math
import ssl
import urllib.request
from collections.abc import AsyncIterator
from typing import Final, cast

import httpx
import trio

from alternator_trio._transport.connection import Connection
from alternator_trio._transport.httpx_exchange import Exchange
from alternator_trio._transport.httpx_lease import HttpxLease
from alternator_trio._transport.httpx_network import TlsChoice
from alternator_trio._transport.httpx_nodes import CARRIER, NodeConnections, NodePool
from alternator_trio._transport.httpx_proxies import Proxies
from alternator_trio._transport.pools import Pools
from alternator_trio._transport.tls_contexts import TlsContexts, contexts_for
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio.config import AlternatorConfig
from alternator_trio.errors import ClientClosedError
from alternator_trio.nodes import Node
from alternator_trio.tls import Tls
from alternator_trio.transports import HttpxTransport

__all__ = ["OverHttpx", "over_httpx"]

_END_OF_HEAD: Final = b"\r\n\r\n"
_HOP_BY_HOP: Final = b"connection"  # HTTP/2 forbids it, and HTTP/1.1 does without


def over_httpx(config: AlternatorConfig, pools: Pools) -> OverHttpx:
    """The transport that a configuration asks for."""
    choice = config.transport
    if not isinstance(choice, (str, HttpxTransport)):
        return OverHttpx(pools, cast("httpx.AsyncClient", choice), None, config)
    options = choice if isinstance(choice, HttpxTransport) else HttpxTransport()
    _hush(logging.getLogger("hpack"))
    connections = NodeConnections(
        options,
        Proxies(options, urllib.request.getproxies_environment()),
        tls=_tls_choice(contexts_for(config)),
        connect_timeout=config.connect_timeout,
        idle_lifetime=config.idle_connection_lifetime,
        max_age=config.max_connection_age,
    )
    no_cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    client = httpx.AsyncClient(transport=connections, cookies=no_cookies, trust_env=False)
    return OverHttpx(pools, client, connections, config)


def _hush(logger: logging.Logger) -> None:
    """Keep headers, signatures and session tokens among them, out of logs that are at DEBUG as a whole."""
    if logger.level == logging.NOTSET:  # whoever asks for this very logger has it
        logger.setLevel(logging.INFO)


class OverHttpx:
    """Carries out attempts.

    Args:
        pools: Where leases come from and return to.
        client: The user's own client, which stays open, or one over ``connections``.
        connections: Our own; None: the client has its own.
        config: The client's configuration.
    """

    def __init__(
        self, pools: Pools, client: httpx.AsyncClient, connections: NodeConnections | None, config: AlternatorConfig
    ) -> None:
        self.pools = pools
        self._client = client
        self._connections = connections
        self._idle_lifetime = config.idle_connection_lifetime
        self._timeouts = httpx.Timeout(None, connect=config.connect_timeout).as_dict()
        self._nursery: trio.Nursery | None = None
        self._waiting: list[tuple[Exchange, httpx.Request]] = []
        self._is_closed = False
        self._has_answered = False

    async def attempt(
        self, lease: Connection, request: bytes, now: float, seconds: float, max_body_bytes: int
    ) -> HttpResponse:
        """Send ``request`` on ``lease`` and return the answer; see `Transport`."""
        lease = cast("HttpxLease", lease)  # the pools make no others here
        exchange = Exchange(lease, self.pools, max_body_bytes, self._retire, unknown=not self._has_answered)
        is_started = False
        try:
            self.pools.begin(lease, now + seconds)
            # Of a connection that the user's client has nothing is known before httpcore says where it is.
            lease.sent = self._connections is None
            lease.carried = exchange
            self._start(exchange, self._request(exchange, request))
            is_started = True
            await exchange.settled.wait()
        finally:
            if is_started:
                exchange.leave()
            else:
                self.pools.discard(lease)
        response = exchange.outcome(seconds)
        self._has_answered = True
        return response

    async def run(self) -> None:
        """Carry out exchanges for as long as the client lives; cancelled, all of them end."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for exchange, request in self._waiting:
                nursery.start_soon(exchange.run, self._send, request)
            self._waiting.clear()
            while True:
                await trio.sleep(self._idle_lifetime / 2 if self._connections is not None else math.inf)
                if self._connections is not None:
                    self._connections.expire(trio.current_time())

    def close(self) -> None:
        """Close what is ours, at once, and take nothing more."""
        self._is_closed = True
        if self._connections is not None:
            self._connections.close()

    def _start(self, exchange: Exchange, request: httpx.Request) -> None:
        if self._is_closed:
            raise ClientClosedError("the client is closed")
        if self._nursery is None:  # in the first moments of a client's life
            self._waiting.append((exchange, request))
        else:
            self._nursery.start_soon(exchange.run, self._send, request)

    async def _send(self, request: httpx.Request, /) -> httpx.Response:
        # Whatever the user's client does for others: no authentication of its own, no redirects.
        return await self._client.send(request, stream=True, auth=httpx.Auth(), follow_redirects=False)

    def _retire(self, pool: NodePool) -> None:
        if self._connections is not None:
            self._connections.retire(pool)

    def _request(self, exchange: Exchange, request: bytes) -> httpx.Request:
        head, _, body = request.partition(_END_OF_HEAD)
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.split(b" ")
        fields = [cast("tuple[bytes, bytes]", tuple(line.split(b": ", 1))) for line in lines]
        node = exchange.carrier.node
        extensions: dict[str, object] = {
            CARRIER: exchange.carrier,
            "trace": exchange.trace,
            "timeout": self._timeouts,
        }
        if self._connections is None and node.host.endswith("."):  # which certificates never have
            extensions["sni_hostname"] = node.host.removesuffix(".")
        return httpx.Request(
            method.decode("ascii"),
            _url(node, target),
            headers=[field for field in fields if field[0] != _HOP_BY_HOP],
            stream=_Whole(body),
            extensions=extensions,
        )


class _Whole(httpx.AsyncByteStream):
    """A request's body, in one piece: no generator, which a send that breaks off would leave in its middle."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._is_given = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._is_given = False
        return self

    async def __anext__(self) -> bytes:
        if self._is_given:
            raise StopAsyncIteration
        self._is_given = True
        return self._body


def _tls_choice(contexts: TlsContexts | None) -> TlsChoice:
    """The contexts of all handshakes. A proxy must prove itself to the system's trust, and is not shown who we are."""

    @functools.cache
    def for_proxies() -> TlsContexts:
        return TlsContexts(Tls())

    def choose(host: str, is_proxy: bool) -> tuple[ssl.SSLContext, str]:  # noqa: FBT001  # see TlsChoice
        chosen = for_proxies() if is_proxy or contexts is None else contexts
        return chosen.context(), chosen.server_name(host)

    return choose


@functools.lru_cache(maxsize=1024)
def _url(node: Node, target: bytes) -> httpx.URL:
    return httpx.URL(scheme=node.scheme, host=node.host, port=node.port, raw_path=target)

"""httpx's transport with a pool of httpcore's for each node: HTTP/1.1 or HTTP/2, straight or through a proxy.

Rules: httpcore never queues, because whoever comes here has been admitted already; a pool that is retired takes no new
exchange and is closed when its last has ended, so that an exchange that was left in the middle of an HTTP/2 connection
(httpcore neither resets its stream nor gives back what it has of the flow window) spoils nothing for those beside it.
"""

from __future__ import annotations

import dataclasses
import ssl
from functools import partial
from typing import Final, cast

import httpcore
import httpx
import trio

from alternator_trio._transport.httpx_body import AnswerBody
from alternator_trio._transport.httpx_network import NodeNetwork, TlsChoice
from alternator_trio._transport.httpx_proxies import Proxies
from alternator_trio.nodes import Node, without_user_info
from alternator_trio.transports import HttpxTransport

__all__ = ["CARRIER", "Carrier", "NodeConnections", "NodePool"]

CARRIER: Final = "alternator_trio.carrier"
"""The extension of a request that holds its `Carrier`."""


class NodePool:
    """The connections to one node.

    Args:
        node: The node.
        network: What they are opened on.
        core: What speaks HTTP over them.
        proxy: The proxy that they go through, as it may be shown; None: none.

    Attributes:
        born: When it was made (Trio's clock).
        idle_since: When its last exchange ended.
        under_way: How many exchanges there are.
        is_retired: Whether it takes no new ones.
    """

    __slots__ = ("born", "core", "idle_since", "is_retired", "network", "node", "proxy", "under_way")

    def __init__(self, node: Node, network: NodeNetwork, core: httpcore.AsyncConnectionPool, proxy: str | None) -> None:
        self.node = node
        self.network = network
        self.core = core
        self.proxy = proxy
        self.born = self.idle_since = trio.current_time()
        self.under_way = 0
        self.is_retired = False


@dataclasses.dataclass(slots=True)
class Carrier:
    """Where a request goes, and what carries it.

    Attributes:
        node: The node.
        pool: Its pool; None before the request has come there, and with the user's own client.
    """

    node: Node
    pool: NodePool | None = None


class NodeConnections(httpx.AsyncBaseTransport):
    """All connections of a client.

    Args:
        options: The user's choice.
        proxies: Which proxy leads where.
        tls: The contexts and names of handshakes.
        connect_timeout: Seconds for making one connection.
        idle_lifetime: Seconds after which an unused one is closed.
        max_age: Seconds after which one takes no new exchange; None: no limit.
    """

    def __init__(
        self,
        options: HttpxTransport,
        proxies: Proxies,
        *,
        tls: TlsChoice,
        connect_timeout: float,
        idle_lifetime: float,
        max_age: float | None,
    ) -> None:
        self._http2 = options.http2
        self._proxies = proxies
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._idle_lifetime = idle_lifetime
        self._max_age = max_age
        self._current: dict[Node, NodePool] = {}
        self._all: dict[NodePool, None] = {}
        # httpcore changes the context that it is given; the one that is used is NodeNetwork's.
        self._unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One exchange, as far as the head of its answer."""
        carrier = cast("Carrier", request.extensions[CARRIER])
        pool = carrier.pool = self._pool_to(carrier.node)
        pool.under_way += 1
        is_answered = False
        try:
            answer = await pool.core.handle_async_request(_for_httpcore(request))
            is_answered = True
        finally:
            if not is_answered:
                self.leave(pool)
        extensions: dict[str, object] = answer.extensions  # type: ignore[assignment]  # pyright: ignore[reportUnknownMemberType]  # httpcore leaves the types of its extensions open
        body = AnswerBody(answer, extensions, on_closed=partial(self.leave, pool))
        return httpx.Response(answer.status, headers=answer.headers, stream=body, extensions=extensions)

    def leave(self, pool: NodePool) -> None:
        """An exchange has ended."""
        pool.under_way -= 1
        pool.idle_since = trio.current_time()
        if pool.network.has_failed:
            pool.is_retired = True
        self._close_if_done(pool)

    def retire(self, pool: NodePool) -> None:
        """Give the next exchange another connection."""
        pool.is_retired = True
        self._close_if_done(pool)

    def expire(self, now: float) -> None:
        """Close what has been idle for its lifetime."""
        for pool in list(self._current.values()):
            if not pool.under_way and pool.idle_since + self._idle_lifetime <= now:
                self.retire(pool)

    def close(self) -> None:
        """Close every connection at once."""
        for pool in self._all:
            pool.is_retired = True
            pool.network.close()
        self._all.clear()
        self._current.clear()

    def _close_if_done(self, pool: NodePool) -> None:
        if not pool.is_retired or pool.under_way:
            return
        pool.network.close()
        self._all.pop(pool, None)
        if self._current.get(pool.node) is pool:
            del self._current[pool.node]

    def _pool_to(self, node: Node) -> NodePool:
        pool = self._current.get(node)
        if pool is not None and self._max_age is not None and pool.born + self._max_age <= trio.current_time():
            self.retire(pool)
        if pool is None or pool.is_retired:
            pool = self._current[node] = self._new_pool(node)
            self._all[pool] = None
        return pool

    def _new_pool(self, node: Node) -> NodePool:
        proxy = self._proxies.to(node)
        shown = None if proxy is None else without_user_info(proxy)
        network = NodeNetwork(
            node, connect_timeout=self._connect_timeout, tls=self._tls, http2=self._http2, proxy=shown
        )
        return NodePool(node, network, self._new_core(network, proxy), shown)

    def _new_core(self, network: NodeNetwork, proxy: str | None) -> httpcore.AsyncConnectionPool:
        if proxy is None:
            return httpcore.AsyncConnectionPool(
                ssl_context=self._unused,
                max_connections=None,
                keepalive_expiry=self._idle_lifetime,
                http2=self._http2,
                network_backend=network,
            )
        through = httpx.Proxy(proxy)
        return httpcore.AsyncHTTPProxy(
            proxy_url=_for_httpcore_url(through.url),
            proxy_auth=through.raw_auth,
            proxy_ssl_context=self._unused if through.url.scheme == "https" else None,
            ssl_context=self._unused,
            max_connections=None,
            keepalive_expiry=self._idle_lifetime,
            http2=self._http2,
            network_backend=network,
        )


def _for_httpcore(request: httpx.Request) -> httpcore.Request:
    return httpcore.Request(
        request.method,
        _for_httpcore_url(request.url),
        headers=request.headers.raw,
        content=cast("httpx.AsyncByteStream", request.stream),
        extensions=request.extensions,
    )


def _for_httpcore_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)

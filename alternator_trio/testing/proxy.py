"""CountingProxy: a TCP proxy in front of a local cluster that counts connections and makes networks go wrong.

One listener per node address, all on one port of the proxy's own: a client that discovers bare addresses and inherits
its seed's port reaches every node through the proxy. It looks at no byte, so it carries TLS as well as plain HTTP.
Counts are exact: a connection is counted before its first byte is forwarded, and every connect has its disconnect, at
the latest when the block ends. Control methods are synchronous, in force when they return, and belong to the Trio
thread that the block runs in. No task and no socket outlives the block.
"""

from __future__ import annotations

import ipaddress
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

from alternator_trio.testing._addresses import listen_on_all
from alternator_trio.testing._checks import check_trio_run
from alternator_trio.testing._no_network import check_network
from alternator_trio.testing._proxy_link import ConnectionHook, ProxyLink
from alternator_trio.testing._proxy_relay import ProxyConnection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Literal, Self
    from urllib.parse import SplitResult

__all__ = ["ConnectionHook", "CountingProxy", "ProxyConnection", "ProxyLink"]


class CountingProxy:
    """A TCP proxy between a client and the nodes of a local cluster.

    Args:
        targets: The nodes, as ``"127.0.0.1:8000"`` or as URLs (``cluster.seeds``); one per address, addresses being
            literal ones of this machine.
        scheme: The scheme of `seeds`: ``"http"``, or ``"https"`` for nodes that speak TLS. By default that of the
            targets, ``"http"`` when they have none. The proxy itself never decrypts.
        on_client_connect: Called with a `ProxyConnection` when a client has connected, before a byte is forwarded.
        on_client_disconnect: Called once for each of them when its client has left or it was reset. Both hooks are
            plain functions in the proxy's task; what they raise is logged and changes nothing.

    Raises:
        ValueError: A target is not ``address:port``, two have the same address, or schemes are mixed.

    Example:
        >>> async with CountingProxy(cluster.seeds) as proxy, open_alternator(*proxy.seeds, discovery=False) as client:
        ...     await client.list_tables()
        ...     proxy.cut("127.0.0.1")
        ...     await client.list_tables()
        ...     assert proxy.connects == 2
    """

    def __init__(
        self,
        targets: Sequence[str],
        *,
        scheme: Literal["http", "https"] | None = None,
        on_client_connect: ConnectionHook | None = None,
        on_client_disconnect: ConnectionHook | None = None,
    ) -> None:
        self._scheme, parsed = _scheme_and_targets(targets, scheme)
        self._port: int | None = None
        ids = count(1)
        self._links = {target[0]: ProxyLink(target, ids, on_client_connect, on_client_disconnect) for target in parsed}
        self._nursery_manager: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery | None = None

    def __repr__(self) -> str:
        where = "not entered" if self._port is None else f"port {self._port}"
        return f"<CountingProxy {where}: {self.connects} connects, {self.disconnects} disconnects>"

    async def __aenter__(self) -> Self:
        """Listen on every address.

        Raises:
            OSError: An address is not this machine's (the message says what to do about it).
            RuntimeError: The proxy has been entered before; or it is entered under asyncio, or in a simulation.
        """
        check_trio_run("CountingProxy")
        if self._nursery_manager is not None:
            raise RuntimeError("a CountingProxy is entered once: make another one")
        check_network("CountingProxy")
        await trio.lowlevel.checkpoint()
        self._port, listeners = listen_on_all(tuple(self._links), 0)
        self._nursery_manager = trio.open_nursery()
        self._nursery = await self._nursery_manager.__aenter__()
        for listener, link in zip(listeners, self._links.values(), strict=True):
            link.open(listener, self._nursery)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening, reset what is open, and wait for the proxy's tasks, which takes no time."""
        try:
            for link in self._links.values():
                link.close()
        finally:
            if self._nursery_manager is not None and self._nursery is not None:
                # The wait must not be cut short by a cancellation from outside, whose Cancelled would then replace the
                # body's own exception; nothing in it waits for the network. For the same reason the nursery is not
                # told of that exception: it leaves bare.
                self._nursery.cancel_scope.shield = True
                self._nursery.cancel_scope.cancel()
                await self._nursery_manager.__aexit__(None, None, None)

    @property
    def seeds(self) -> tuple[str, ...]:
        """Where clients reach the nodes through the proxy: one URL per target, in their order.

        Raises:
            RuntimeError: The proxy has not been entered.
        """
        return tuple(f"{self._scheme}://{address}:{self.port}" for address in self._links)

    @property
    def port(self) -> int:
        """The port of every listener.

        Raises:
            RuntimeError: The proxy has not been entered.
        """
        if self._port is None:
            raise RuntimeError("a CountingProxy has no port before it is entered")
        return self._port

    @property
    def links(self) -> Mapping[str, ProxyLink]:
        """The link to each node, by its address (``proxy.links["127.0.0.1"].connects``)."""
        return MappingProxyType(self._links)

    @property
    def connects(self) -> int:
        """Connections that clients have opened, over all addresses."""
        return sum(link.connects for link in self._links.values())

    @property
    def disconnects(self) -> int:
        """Connections that are over, over all addresses: the client left, or the connection was reset."""
        return sum(link.disconnects for link in self._links.values())

    @property
    def open_connections(self) -> int:
        """Connections that clients have open now, over all addresses."""
        return self.connects - self.disconnects

    @property
    def latency(self) -> float:
        """Seconds that every byte is on its way, each way; the greatest of the links' when they differ.

        Assigning sets it for all links, for the bytes that come from then on. It is a delay and not a bandwidth: a
        direction holds up to 1 MiB on its way, more than that waits. Connecting takes no longer.
        """
        return max(link.latency for link in self._links.values())

    @latency.setter
    def latency(self, seconds: float) -> None:
        for link in self._links.values():
            link.latency = seconds

    def cut(self, address: str | None = None) -> None:
        """Reset (RST) every open connection now, those to one address or all; new ones are accepted."""
        for link in self._chosen(address):
            link.cut()

    def cut_after(self, count: int | None, address: str | None = None, *, reset: bool = True) -> None:
        """Cut one connection of each address at any byte: in the middle of a head, say, or of an answer.

        Args:
            count: How many bytes pass before, counted over both directions and all connections of the address; None
                forgets an earlier order.
            address: Which one; None: each of them.
            reset: True for a reset (RST), False for an end in order (FIN).

        Raises:
            ValueError: ``count`` is less than one.
        """
        for link in self._chosen(address):
            link.cut_after(count, reset=reset)

    def refuse(self, address: str | None = None) -> None:
        """Stop listening on an address, or on all: connecting is refused. Connections that are open go on.

        Raises:
            RuntimeError: The proxy is not open, and so for `accept`.
        """
        for link in self._chosen(address):
            link.refuse()

    def accept(self, address: str | None = None) -> None:
        """Listen again after `refuse`, on the same port."""
        for link in self._chosen(address):
            link.accept()

    def black_hole(self, address: str | None = None) -> None:
        """Swallow every byte both ways; connections stay open, and new ones are accepted and silent.

        Bytes that latency or a slow reader kept on their way are lost too. A client that leaves is noticed; a node that
        closes is not passed on before `restore`.
        """
        for link in self._chosen(address):
            link.black_hole()

    def restore(self, address: str | None = None) -> None:
        """End a black hole: connections that lost nothing go on, those that lost bytes are reset.

        What was swallowed does not come back, and a stream must not go on behind a hole.
        """
        for link in self._chosen(address):
            link.restore()

    def _chosen(self, address: str | None) -> tuple[ProxyLink, ...]:
        if address is None:
            return tuple(self._links.values())
        if address not in self._links:
            raise ValueError(f"the proxy has no link to {address!r}, only to {', '.join(self._links)}")
        return (self._links[address],)


def _scheme_and_targets(targets: Sequence[str], scheme: str | None) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Return the scheme for the seeds, and address and port of every target."""
    if isinstance(targets, str):
        raise TypeError(f"targets: {targets!r} is one string; give a list of them")
    urls = [urlsplit(target if "://" in target else f"//{target}") for target in targets]
    schemes = {scheme} if scheme else {url.scheme for url in urls if url.scheme} or {"http"}
    parsed = tuple(_address_and_port(url, target) for url, target in zip(urls, targets, strict=True))
    if not parsed or len({address for address, _ in parsed}) < len(parsed):
        raise ValueError(f"a CountingProxy needs targets, each on an address of its own, not {list(targets)!r}")
    if len(schemes) > 1:
        raise ValueError(f"the targets are of different schemes: {list(targets)!r}")
    return schemes.pop(), parsed


def _address_and_port(url: SplitResult, target: str) -> tuple[str, int]:
    try:
        address, port = ipaddress.IPv4Address(url.hostname or ""), url.port
    except ValueError as error:
        raise ValueError(f"a target is an IPv4 address and a port, not {target!r}: {error}") from error
    if not port:
        raise ValueError(f"a target needs a port: {target!r}")
    return str(address), port

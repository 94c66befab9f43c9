"""What a user says about how requests travel: over the native transport, or over httpx.

Rules: frozen values, validated when they are built, each error naming its option; httpx itself is not imported here.
"""

from __future__ import annotations

import dataclasses
import sys
import urllib.parse
from typing import Final, Literal, Protocol, TypeAlias

from alternator_trio.errors import ConfigurationError
from alternator_trio.nodes import without_user_info

__all__ = ["HttpxClient", "HttpxTransport", "TransportChoice", "check_transport"]

_PROXY_SCHEMES: Final = ("http", "https")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HttpxTransport:
    """Requests travel over httpx: for HTTP/2 front proxies and for forward proxies. It costs much more CPU.

    Attributes:
        http2: HTTP/2 is offered to ``https`` nodes (by ALPN); without it, and over ``http``, it is HTTP/1.1.
        proxy: A forward proxy for all nodes, ``http://[user:password@]host:port`` or ``https://…``; None: none.
        trust_env: The environment names the proxy (``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``) where
            ``proxy`` does not.

    Raises:
        ConfigurationError: A value is wrong; the message names it.

    Example:
        >>> HttpxTransport(proxy="http://ada:secret@proxy:3128")
        HttpxTransport(http2=True, proxy='http://…@proxy:3128', trust_env=False)
    """

    http2: bool = True
    proxy: str | None = None
    trust_env: bool = False

    def __post_init__(self) -> None:
        for name in ("http2", "trust_env"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"transport.{name}: {getattr(self, name)!r} is neither True nor False")
        if self.proxy is not None:
            _check_proxy(self.proxy)

    def __repr__(self) -> str:
        proxy = None if self.proxy is None else without_user_info(self.proxy)
        return f"HttpxTransport(http2={self.http2!r}, proxy={proxy!r}, trust_env={self.trust_env!r})"


class HttpxClient(Protocol):
    """An ``httpx.AsyncClient``, without importing httpx for its name; nothing else is taken for one."""

    @property
    def is_closed(self) -> bool: ...
    @property
    def trust_env(self) -> bool: ...
    async def aclose(self) -> None: ...


TransportChoice: TypeAlias = Literal["native", "httpx"] | HttpxTransport | HttpxClient
"""``"native"``, ``"httpx"`` (which is ``HttpxTransport()``), or the user's own client of httpx, which stays open."""


def _is_httpx_client(value: object) -> bool:
    """Whether it is an ``httpx.AsyncClient``; who has one has imported httpx."""
    httpx = sys.modules.get("httpx")
    return httpx is not None and isinstance(value, httpx.AsyncClient)


def check_transport(value: object, *, has_tls: bool) -> None:
    """Raise unless it is a `TransportChoice`.

    Args:
        value: What the user gave.
        has_tls: Whether a TLS context was given as well, which the user's own client would not take.

    Raises:
        ConfigurationError: It is none, or a client that cannot be used.
    """
    if isinstance(value, HttpxTransport) or (isinstance(value, str) and value in ("native", "httpx")):
        return
    if not _is_httpx_client(value):
        shown = repr(without_user_info(value)) if isinstance(value, str) else type(value).__name__
        shown = f"the class {value.__name__}" if isinstance(value, type) else shown
        raise ConfigurationError(
            f"transport: {shown} is neither 'native' nor 'httpx' nor an HttpxTransport nor an httpx.AsyncClient"
        )
    if has_tls:
        raise ConfigurationError("tls: an httpx.AsyncClient as transport has its own; give it verify=context")
    if getattr(value, "is_closed", False):
        raise ConfigurationError("transport: the httpx.AsyncClient is closed")


def _check_proxy(proxy: object) -> None:
    if not isinstance(proxy, str):
        raise ConfigurationError(f"transport.proxy: {type(proxy).__name__} is no URL")
    shown = repr(without_user_info(proxy))
    try:
        parts = urllib.parse.urlsplit(proxy)
        has_host = bool(parts.hostname)
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"transport.proxy: {shown} is no URL") from None
    if parts.scheme not in _PROXY_SCHEMES or not proxy.isascii() or not proxy.isprintable() or " " in proxy:
        raise ConfigurationError(f"transport.proxy: {shown} is no http:// or https:// URL")
    if not has_host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigurationError(f"transport.proxy: {shown} is more or less than scheme://[user:password@]host:port")

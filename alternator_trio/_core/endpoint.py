"""Canonical endpoints of addresses in any spelling, and the order in which they make a ring.

Rules (spec §3): lower-case ``scheme://host[:port]``; no user info, path, query or fragment; port 80 of http and 443 of
https left out; IPv6 in brackets. Lenient where a seed is judged strictly (`alternator_trio.nodes.parse_endpoint`): this
is for comparing addresses that others wrote. Hosts are compared as text: an IPv6 address is not compressed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["canonical_endpoint", "order_endpoints"]

_URL: Final = re.compile(
    r"""
    (?P<scheme> [a-z] [a-z0-9+.-]* ) ://
    (?: [^/?\#]* @ )?
    (?P<host> \[ [^\]/?\#@]+ \] | [^\[\]:/?\#@]+ )
    (?: : (?P<port> [0-9]* ) )?
    (?: [/?\#] .* )?
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def canonical_endpoint(url: str) -> str:
    """The canonical endpoint of an address.

    Raises:
        ValueError: It has no scheme or no host, or its port is no number.

    Example:
        >>> canonical_endpoint("HTTP://user@[2001:DB8::1]:80/path?x=y")
        'http://[2001:db8::1]'
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError(f"{url!r} is no address of the form scheme://host[:port]")
    scheme, host = parts["scheme"].lower(), parts["host"].lower()
    port = parts["port"] and (parts["port"].lstrip("0") or "0")
    return f"{scheme}://{host}:{port}" if port and port != _DEFAULT_PORTS.get(scheme) else f"{scheme}://{host}"


def order_endpoints(urls: Iterable[str]) -> list[tuple[str, str]]:
    """The ring that addresses make.

    Returns:
        ``(canonical endpoint, its first spelling)``, each endpoint once, sorted bytewise.

    Example:
        >>> order_endpoints(["http://10.0.0.1:8000", "http://10.0.0.10:8000", "HTTP://10.0.0.1:8000/"])
        [('http://10.0.0.10:8000', 'http://10.0.0.10:8000'), ('http://10.0.0.1:8000', 'http://10.0.0.1:8000')]
    """
    spellings: dict[str, str] = {}
    for url in urls:
        spellings.setdefault(canonical_endpoint(url), url)
    return sorted(spellings.items(), key=lambda pair: pair[0].encode())

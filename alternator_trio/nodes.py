"""A node's address: what a seed may look like, and the canonical endpoint by which nodes are told apart.

Rules: raw characters are judged before anything is parsed, because ``urlsplit`` drops some silently and ``getaddrinfo``
reads ``127.1`` or ``0x7f.1`` as addresses; two spellings of one canonical endpoint are one node; the canonical endpoint
is lower-case ``scheme://host[:port]`` without the scheme's default port, IPv6 in brackets. A name with a trailing dot
is another name than the one without: resolvers may complete only the latter. User info, which may be a password, is
refused and never shown.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, Literal, TypeAlias

from alternator_trio.errors import ConfigurationError

__all__ = ["Node", "Scheme", "canonical_host", "host_problem", "parse_endpoint", "without_user_info"]

Scheme: TypeAlias = Literal["http", "https"]

_DEFAULT_PORTS: Final[dict[str, int]] = {"http": 80, "https": 443}
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# What getaddrinfo reads as a number, and therefore a name's last label must not be (WHATWG URL, "ends in a number").
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_HOST_LENGTH: Final = 253
_MAX_PORT: Final = 65_535
_MAX_SHOWN: Final = 80


class Node:
    """One node of the cluster: an immutable address that compares by its canonical endpoint.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        host: What is dialled: a lower-case name or an IP literal, IPv6 without brackets.
        port: 1 to 65535.
        endpoint: The canonical endpoint; ``str(node)`` is the same.
        authority: The Host header's value.

    Example:
        >>> Node("http", "10.0.0.1", 8000)
        Node('http://10.0.0.1:8000')
        >>> str(Node("https", "2001:db8::1", 443))
        'https://[2001:db8::1]'
    """

    __slots__ = ("_hash", "authority", "endpoint", "host", "port", "scheme")

    def __init__(self, scheme: Scheme, host: str, port: int) -> None:
        bracketed = f"[{host}]" if ":" in host else host
        self.scheme: Final[Scheme] = scheme
        self.host: Final = host
        self.port: Final = port
        self.authority: Final = bracketed if port == _DEFAULT_PORTS[scheme] else f"{bracketed}:{port}"
        self.endpoint: Final = f"{scheme}://{self.authority}"
        # Nodes are keys on every request's way: hash the endpoint once.
        self._hash: Final = hash(self.endpoint)

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, "_hash"):  # set last, in the constructor
            raise AttributeError(f"a node is a key and cannot be changed: {name}")
        object.__setattr__(self, name, value)

    def at(self, host: str) -> Node:
        """Another host of the same cluster: same scheme, same port."""
        return Node(self.scheme, host, self.port)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Node) and self.endpoint == other.endpoint

    def __lt__(self, other: Node) -> bool:
        return self.endpoint < other.endpoint  # ASCII: the same order as bytewise

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self.endpoint

    def __repr__(self) -> str:
        return f"Node({self.endpoint!r})"

    def __reduce__(self) -> tuple[type[Node], tuple[Scheme, str, int]]:
        return Node, (self.scheme, self.host, self.port)


def parse_endpoint(entry: object) -> Node:
    """Read a seed, ``scheme://host[:port]``.

    Args:
        entry: The seed as the user gave it. A missing port is the scheme's default; one trailing slash is allowed.

    Raises:
        ConfigurationError: The entry is not an endpoint; the message names it and says why.

    Example:
        >>> parse_endpoint("HTTP://Node-1.Example:8000/")
        Node('http://node-1.example:8000')
        >>> parse_endpoint("http://10.0.0.1:99999")
        Traceback (most recent call last):
        ...
        alternator_trio.errors.ConfigurationError: seed 'http://10.0.0.1:99999': port 99999 is not within 1 to 65535
    """
    if not isinstance(entry, str):
        raise ConfigurationError(
            f"seed {_shortened(without_user_info(repr(entry)))}: a seed is a string like 'http://10.0.0.1:8000'; "
            "a list of them is given as *seeds, a configuration as config=…"
        )
    problem = _characters_problem(entry)
    if problem is not None:
        raise _bad(entry, problem)
    scheme, separator, rest = entry.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise _bad(entry, "it has no scheme; write 'http://…' or 'https://…'")
    if scheme not in _DEFAULT_PORTS:
        raise _bad(entry, f"scheme {scheme!r} is neither 'http' nor 'https'")
    host, port_text = _split_authority(entry, rest.removesuffix("/"))
    known: Scheme = "https" if scheme == "https" else "http"
    return Node(known, _canonical_host(entry, host), _port(entry, port_text, known))


def host_problem(host: str) -> str | None:
    """Why a bare host (a name, or an IP literal without brackets) cannot be dialled as one; None when it can."""
    if not host:
        return "the host is empty"
    if not host.isascii():  # before lower(), which makes the Kelvin sign a k
        return f"{host!r} is not ASCII; write an international name in its xn-- form"
    return _ipv6_problem(host) if ":" in host else _name_problem(host)


def canonical_host(host: str) -> str:
    """The one spelling of a host that `host_problem` has nothing against.

    Example:
        >>> canonical_host("Node-1.Example"), canonical_host("2001:DB8:0::1")
        ('node-1.example', '2001:db8::1')
    """
    return ipaddress.IPv6Address(host).compressed if ":" in host else host.lower()


def without_user_info(entry: str) -> str:
    """The entry as an error may show it.

    Example:
        >>> without_user_info("http://user:password@node:8000")
        'http://…@node:8000'
    """
    before, at, after = entry.rpartition("@")
    scheme, separator, _ = before.partition("://")
    return f"{scheme if separator else ''}{separator}…@{after}" if at else entry


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _characters_problem(entry: str) -> str | None:
    if not entry:
        return "it is empty"
    for character in entry:
        if not "!" <= character <= "~":
            hint = "; write an international name in its xn-- form" if character > "\x7f" else ""
            return f"character {character!r} has no place in an endpoint{hint}"
    for character, what in (
        ("@", "user info"),
        ("?", "a query"),
        ("#", "a fragment"),
        ("\\", "a backslash"),
        (",", "a comma; each seed is an argument of its own"),
    ):
        if character in entry:
            return f"it contains {what}"
    return None


def _split_authority(entry: str, authority: str) -> tuple[str, str | None]:
    if "/" in authority:
        raise _bad(entry, "it has a path; an endpoint ends after its port")
    if authority.startswith("["):
        host, closed, rest = authority[1:].partition("]")
        if not closed:
            raise _bad(entry, "the bracket before the IPv6 address is not closed")
        if ":" not in host:
            raise _bad(entry, "only an IPv6 address stands in brackets")
        if rest and not rest.startswith(":"):
            raise _bad(entry, f"{rest!r} after the bracket is no port")
        return host, rest[1:] if rest else None
    if authority.count(":") > 1:
        raise _bad(entry, _colons_problem(entry.partition("://")[0], authority))
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _colons_problem(scheme: str, authority: str) -> str:
    address, _, port = authority.rpartition(":")
    if port.isdecimal() and not _ipv6_problem(
        address
    ):  # '2001:db8::1:8000' is a valid address as well: one that lost its port
        return f"an IPv6 address stands in brackets, as in '{scheme}://[{address}]:{port}'"
    if not _ipv6_problem(authority):
        return f"an IPv6 address stands in brackets, as in '{scheme}://[{authority}]'"
    return "it has more than one ':' after the scheme and is no IPv6 address"


def _canonical_host(entry: str, host: str) -> str:
    problem = host_problem(host)
    if problem is not None:
        raise _bad(entry, problem)
    return canonical_host(host)


def _port(entry: str, text: str | None, scheme: Scheme) -> int:
    if text is None:
        return _DEFAULT_PORTS[scheme]
    if not text:
        raise _bad(entry, "the port after ':' is missing")
    if not text.isdecimal():
        raise _bad(entry, f"port {text!r} is not a number")
    if text.startswith("0") and text != "0":
        raise _bad(entry, f"port {text[:12]} has a leading zero")
    # The length first: a thousand digits are no integer worth making.
    if len(text) > len(str(_MAX_PORT)) or not 1 <= int(text) <= _MAX_PORT:
        raise _bad(entry, f"port {text[:12]} is not within 1 to {_MAX_PORT}")
    return int(text)


def _name_problem(host: str) -> str | None:
    name = host.lower().removesuffix(".")
    if len(name) > _MAX_HOST_LENGTH:
        return f"the host is longer than {_MAX_HOST_LENGTH} characters"
    labels = name.split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        return _ipv4_problem(host)
    for label in labels:
        if not _LABEL.fullmatch(label):
            return f"{label!r} in the host is no label of a host name (letters, digits, '-' and '_'; 1 to 63 of them)"
    return None


def _ipv4_problem(host: str) -> str | None:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return f"{host!r} ends in a number but is no IPv4 address of four decimal parts"
    return None


def _ipv6_problem(host: str) -> str | None:
    if "%" in host:
        return f"{host!r} has a zone; link-local addresses are not supported"
    try:
        mapped = ipaddress.IPv6Address(host).ipv4_mapped
    except ValueError:
        return f"{host!r} is no IPv6 address"
    # It would be a second name for one node, and Python's versions disagree on how it is written.
    return None if mapped is None else f"{host!r} is an IPv4 address in disguise; write '{mapped}'"


def _bad(entry: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"seed {without_user_info(entry)!r}: {why}")

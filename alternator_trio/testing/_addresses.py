"""Addresses and the port of an embedded cluster: 127.0.0.1, 127.0.0.2, … and one port that is free on all of them.

The port is taken from below every system's range of ephemeral ports. In that range a client that dials a dead node in
a loop is sooner or later given the node's own port as its source, connects to itself, and the node cannot come back.
"""

from __future__ import annotations

import errno
import random
import socket
from typing import Final

_PORTS: Final = range(11000, 32000)
_ATTEMPTS: Final = 100
_BACKLOG: Final = 1024


def addresses(count: int) -> tuple[str, ...]:
    """The first `count` loopback addresses, from 127.0.0.1."""
    return tuple(f"127.0.0.{number}" for number in range(1, count + 1))


def listen(address: str, port: int) -> socket.socket:
    """A listening, non-blocking socket.

    Raises:
        OSError: the address cannot be bound; where the system has it not, the message says how to add it.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(0)
        sock.bind((address, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise _missing_address(address) from error
        raise OSError(error.errno, f"cannot listen on {address}:{port}: {error.strerror}") from error
    return sock


def listen_on_all(wanted: tuple[str, ...], port: int) -> tuple[int, list[socket.socket]]:
    """One listener per address, all on one port: `port`, or a free one for 0.

    Raises:
        OSError: an address does not exist here, or the port is taken.
    """
    if port:
        return port, _listen_on_each(wanted, port)
    chosen = random.Random()  # noqa: S311 - a port, not a secret
    for _ in range(_ATTEMPTS):
        candidate = chosen.choice(_PORTS)
        try:
            return candidate, _listen_on_each(wanted, candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"no port is free on all of {', '.join(wanted)}")


def _listen_on_each(wanted: tuple[str, ...], port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    try:
        for address in wanted:
            listeners.append(listen(address, port))  # noqa: PERF401 - those before a failure are closed
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _missing_address(address: str) -> OSError:
    return OSError(
        errno.EADDRNOTAVAIL,
        f"this system has no address {address}, which a node of the embedded cluster needs. Linux has all of "
        f"127.0.0.0/8; on macOS run, once per address: sudo ifconfig lo0 alias {address} up",
    )

"""A Trio run without a network: what is simulated must not touch a socket, and who tries is told what to use instead.

Rules: it is refused by Trio's own hooks, for this run only, so that other libraries on Trio are refused too; once
nothing is simulated any more, the hooks are what they were.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Final, NoReturn, TypeAlias

import trio

from alternator_trio._transport.dialing import NO_NETWORK

__all__ = ["check_network", "no_network"]

_Hooks: TypeAlias = tuple[trio.abc.SocketFactory | None, trio.abc.HostnameResolver | None]

_WHY: Final = (
    "a simulation has no network: open clients with cluster.open_client() of a SimulatedCluster, and use no socket"
)

_depth: Final[trio.lowlevel.RunVar[int]] = trio.lowlevel.RunVar("alternator_trio: blocks without a network", 0)
_hooks: Final[trio.lowlevel.RunVar[_Hooks]] = trio.lowlevel.RunVar("alternator_trio: hooks")


@contextlib.contextmanager
def no_network() -> Generator[None, None, None]:
    """Refuse the network to the whole Trio run; blocks may overlap, and the last one's end gives it back."""
    if not _depth.get():
        refusing = _Refusing()
        _hooks.set(
            (
                trio.socket.set_custom_socket_factory(refusing),
                trio.socket.set_custom_hostname_resolver(refusing),
            )
        )
        NO_NETWORK.set(_WHY)
    _depth.set(_depth.get() + 1)
    try:
        yield
    finally:
        _depth.set(_depth.get() - 1)
        if not _depth.get():
            factory, resolver = _hooks.get()
            trio.socket.set_custom_socket_factory(factory)
            trio.socket.set_custom_hostname_resolver(resolver)
            NO_NETWORK.set("")


def check_network(who: str) -> None:
    """Refuse to open what listens on real sockets where there are none.

    Raises:
        RuntimeError: This Trio run has no network.
    """
    if why := NO_NETWORK.get():
        raise RuntimeError(f"{who}: {why}")


class _Refusing(trio.abc.SocketFactory, trio.abc.HostnameResolver):
    """Trio's hooks, all of which refuse."""

    def socket(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError(_WHY)

    async def getaddrinfo(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError(_WHY)

    async def getnameinfo(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError(_WHY)

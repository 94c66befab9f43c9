"""The way between one client and one node.

Rules: a cut link delivers nothing, and what was sent meanwhile arrives after it is mended; a link to a node whose
machine is off swallows everything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from alternator_trio.testing.simulation.history import History
from alternator_trio.testing.simulation.weather import Weather

__all__ = ["Link", "LinkWatcher"]


class LinkWatcher(Protocol):
    """Who looks at what clients do on the wire; called synchronously, and must not raise.

    Give one to a cluster with ``cluster.network.watchers.append(...)``. A client is ``"c1"``, the second one ``"c2"``;
    a node goes by its name; a connection by a number that no other of the cluster has.
    """

    def dialled(self, client: str, node: str, number: int, address: str) -> None:
        """A connection was made, to a node under an address."""
        ...

    def sent(self, client: str, node: str, number: int, data: bytes) -> None:
        """The client began to send a request."""
        ...

    def read(self, client: str, node: str, number: int, data: bytes) -> None:
        """The client has read some bytes."""
        ...

    def received(self, client: str, node: str, number: int) -> None:
        """The client has read everything that had been sent to it."""
        ...

    def closed(self, client: str, node: str, number: int) -> None:
        """The client closed the connection."""
        ...


class Link:
    """One client's way to one node.

    Args:
        client: The client's name.
        node: The node's.
        weather: What happens on the way.
        history: Where it is written down.
        watchers: Who looks on.
        is_answering: Whether the node's machine runs, and so refuses what it does not know.

    Attributes:
        is_cut: Whether nothing passes.
        slowness: By which latency is multiplied.
        ends: Both ends of each open connection.
    """

    def __init__(
        self,
        client: str,
        node: str,
        *,
        weather: Weather,
        history: History,
        watchers: list[LinkWatcher],
        is_answering: Callable[[], bool],
    ) -> None:
        self.client = client
        self.node = node
        self.weather = weather
        self.slowness = 1.0
        self.is_cut = False
        self._history = history
        self._watchers = watchers
        self._is_answering = is_answering
        self._listeners: dict[Callable[[], object], None] = {}

    @property
    def is_answering(self) -> bool:
        """Whether the node's machine runs."""
        return self._is_answering()

    def latency(self) -> float:
        """Seconds one way, for what is sent now."""
        return self.weather.latency(self.slowness)

    def cut(self) -> None:
        """Let nothing pass any more."""
        self.is_cut = True

    def mend(self) -> None:
        """End `cut`."""
        if self.is_cut:
            self.is_cut = False
            for tell in list(self._listeners):
                tell()

    def attach(self, tell: Callable[[], object]) -> Callable[[], None]:
        """Call ``tell`` when the link is mended, until the function that is returned is called."""
        self._listeners[tell] = None

        def detach() -> None:
            self._listeners.pop(tell, None)

        return detach

    def record(self, kind: str, number: int) -> None:
        """Write down what became of a connection."""
        self._history.record(kind, self.client, self.node, number)

    def dialled(self, number: int, address: str) -> None:
        """Tell of a new connection."""
        self.record("connect", number)
        for watcher in self._watchers:
            watcher.dialled(self.client, self.node, number, address)

    def sent(self, number: int, data: bytes) -> None:
        """Tell of a request."""
        self._history.record("send", self.client, self.node, number, len(data))
        for watcher in self._watchers:
            watcher.sent(self.client, self.node, number, data)

    def read(self, number: int, data: bytes) -> None:
        """Tell of bytes that were read."""
        for watcher in self._watchers:
            watcher.read(self.client, self.node, number, data)

    def received(self, number: int) -> None:
        """Tell that everything was read."""
        for watcher in self._watchers:
            watcher.received(self.client, self.node, number)

    def closed(self, number: int) -> None:
        """Tell of a connection that the client closed."""
        self.record("close", number)
        for watcher in self._watchers:
            watcher.closed(self.client, self.node, number)

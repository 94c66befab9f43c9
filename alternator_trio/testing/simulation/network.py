"""The network of a simulated cluster: links, dials, and who of the clients has which connections.

Rules: every connection goes over the link of one client to one node; a dial takes a round trip, and reaches whoever has
the address when it arrives; the client's ends are counted here, so that nothing of a client can outlive it unseen.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Final

import trio

from alternator_trio._transport.dialing import Dial
from alternator_trio.errors import ConnectError
from alternator_trio.nodes import Node
from alternator_trio.testing._connection import Answering, Rendering
from alternator_trio.testing.simulation.history import History
from alternator_trio.testing.simulation.link import Link, LinkWatcher
from alternator_trio.testing.simulation.node import SimulatedNode
from alternator_trio.testing.simulation.weather import Weather
from alternator_trio.testing.simulation.wire import ClientEnd, connect

__all__ = ["Network"]

_RETRY_SYN: Final = 1.0


class Network:
    """All links.

    Args:
        weather: What happens to messages.
        history: Where things are written down.
        nodes: The nodes that there are now.
        answer: What a node answers with: its application and renderer.

    Attributes:
        watchers: Who looks on.
        dialling: Dials in progress, by client.
        open_ends: Open connections on the client's side, by client.
    """

    def __init__(
        self,
        *,
        weather: Weather,
        history: History,
        nodes: Callable[[], Iterable[SimulatedNode]],
        answer: Callable[[SimulatedNode], tuple[Answering, Rendering]],
    ) -> None:
        self.watchers: list[LinkWatcher] = []
        self.dialling: dict[str, int] = {}
        self.open_ends: dict[str, dict[ClientEnd, SimulatedNode]] = {}
        self._weather = weather
        self._history = history
        self._nodes = nodes
        self._answer = answer
        self._links: dict[tuple[str, str], Link] = {}
        self._cut_off: set[str] = set()
        self._numbers = itertools.count(1)

    def link(self, client: str, node: SimulatedNode) -> Link:
        """The link of a client to a node."""
        link = self._links.get((client, node.name))
        if link is None:
            link = self._links[client, node.name] = Link(
                client,
                node.name,
                weather=self._weather,
                history=self._history,
                watchers=self.watchers,
                is_answering=lambda: node.is_powered,
            )
            if node.name in self._cut_off:
                link.cut()
        return link

    def cut_off(self, node: SimulatedNode) -> None:
        """Let nothing pass between a node and any client, those that come included."""
        self._cut_off.add(node.name)
        for link in self._links_of(node):
            link.cut()

    def mend(self, node: SimulatedNode) -> None:
        """End `cut_off`."""
        self._cut_off.discard(node.name)
        for link in self._links_of(node):
            link.mend()

    def slow_down(self, node: SimulatedNode, factor: float) -> None:
        """Multiply the latency of a node's links as they are now; 1 is as before."""
        for link in self._links_of(node):
            link.slowness = factor

    def dialer(self, client: str, connect_timeout: float) -> Dial:
        """What a client connects with, in place of TCP."""
        self.dialling[client] = 0
        self.open_ends[client] = {}

        async def dial(address: Node) -> ClientEnd:
            self.dialling[client] += 1
            try:
                with trio.move_on_after(connect_timeout):
                    return await self._dial(client, address)
            finally:
                self.dialling[client] -= 1
            raise ConnectError(f"no connection within {connect_timeout:g} s", node=address.endpoint)

        return dial

    # Below: the parts of the above.

    def _links_of(self, node: SimulatedNode) -> list[Link]:
        return [link for (_, name), link in self._links.items() if name == node.name]

    async def _dial(self, client: str, address: Node) -> ClientEnd:
        while True:
            node = self._at(address)
            if node is None:
                await trio.sleep(2 * self._weather.latency(1.0))
                raise self._refused(client, address)
            link = self.link(client, node)
            await trio.sleep(link.latency())
            if not link.is_cut and node.is_powered:
                break
            await trio.sleep(_RETRY_SYN)
        if not node.is_running or self._at(address) is not node or self._weather.refuses():
            await trio.sleep(link.latency())
            raise self._refused(client, address)
        return self._connect(client, link, node)

    def _connect(self, client: str, link: Link, node: SimulatedNode) -> ClientEnd:
        number = next(self._numbers)
        mine, theirs = connect(number, link, node.gate)
        mine.on_close = self._entered(client, mine, node, link)
        theirs.on_close = link.attach(theirs.tell)
        link.dialled(number, node.address)
        node.accept(theirs, *self._answer(node))
        return mine

    def _entered(self, client: str, end: ClientEnd, node: SimulatedNode, link: Link) -> Callable[[], None]:
        """Count a client's end; what is returned counts it out again."""
        self.open_ends[client][end] = node
        detach = link.attach(end.tell)

        def left() -> None:
            del self.open_ends[client][end]
            detach()
            link.closed(end.number)

        return left

    def _refused(self, client: str, address: Node) -> ConnectError:
        self._history.record("refuse", client, address.endpoint)
        return ConnectError("cannot connect: Connection refused", node=address.endpoint)

    def _at(self, address: Node) -> SimulatedNode | None:
        """Who has an address: whoever runs there, else whoever was there last."""
        there = [node for node in self._nodes() if (node.address, node.port) == (address.host, address.port)]
        if address.scheme != "http":
            return None
        return next((node for node in there if node.is_running), there[-1] if there else None)

"""One node of a simulated cluster, as a test drives it.

All of it is synchronous and has taken effect when it returns. A node is known by its name; its address may change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import trio

from alternator_trio.testing._connection import Answering, Connection, Rendering
from alternator_trio.testing._script import Script, Scripted
from alternator_trio.testing._stream import Gate
from alternator_trio.testing.simulation.gossip import CONVICTION_SECONDS

if TYPE_CHECKING:
    from alternator_trio.testing.engine import Engine
    from alternator_trio.testing.simulation.register_engine import RegisterEngine
    from alternator_trio.testing.simulation.wire import NodeEnd

__all__ = ["NodeWorld", "SimulatedNode"]


class NodeWorld(Protocol):
    """What a node has from its cluster."""

    def comes(self, node: SimulatedNode) -> None:
        """The node runs from now on."""
        ...

    def goes(self, node: SimulatedNode, *, convicted_after: float) -> None:
        """The node does not run any more."""
        ...

    def lists(self, node: SimulatedNode, datacenter: str | None, rack: str | None) -> list[str]:
        """The addresses that it lists."""
        ...

    def record(self, kind: str, *facts: str | float | None) -> None:
        """Write something down."""
        ...


class SimulatedNode(Scripted):
    """One node of a `SimulatedCluster`; the cluster makes it.

    Attributes:
        name: What it is called in traces: ``"n1"``. It stays, whatever the address.
        address: Its address, ``"10.0.0.1"``, as ``/localnodes`` lists it.
        port: The port, the same for all nodes.
        datacenter: The datacenter it is in.
        rack: The rack it is in.
        engine: The store that it was started with; None: the cluster's.
        starts: How often it was started.
        is_running: Whether it listens; a paused node does.
        is_powered: Whether its machine runs, and so refuses what the node does not take.
    """

    def __init__(
        self,
        *,
        name: str,
        address: str,
        port: int,
        datacenter: str,
        rack: str,
        script: Script,
        world: NodeWorld,
        nursery: trio.Nursery,
    ) -> None:
        super().__init__(script)
        self.name = name
        self.address = address
        self.port = port
        self.datacenter = datacenter
        self.rack = rack
        self.engine: Engine | RegisterEngine | None = None
        self.starts = 0
        self._clock_skew = 0.0
        self.is_running = False
        self.is_powered = True
        self.gate = Gate()
        self._world = world
        self._nursery = nursery
        self._ends: dict[NodeEnd, trio.CancelScope] = {}

    def __repr__(self) -> str:
        state = "running" if self.is_running else "down"
        return f"<SimulatedNode {self.name} {self.url} {self.datacenter}/{self.rack} {state}>"

    @property
    def url(self) -> str:
        """The endpoint, ``"http://10.0.0.1:8000"``."""
        return f"http://{self.address}:{self.port}"

    @property
    def clock_skew(self) -> float:
        """Seconds by which its wall clock is ahead; assign to let it jump."""
        return self._clock_skew

    @clock_skew.setter
    def clock_skew(self, seconds: float) -> None:
        self._world.record("clock", self.name, seconds)
        self._clock_skew = seconds

    @property
    def open_connections(self) -> int:
        """How many connections it holds open now."""
        return len(self._ends)

    def listed(self, datacenter: str | None = None, rack: str | None = None) -> list[str]:
        """The addresses that it lists now, of its own datacenter unless another is named."""
        return self._world.lists(self, datacenter, rack)

    def start(self, *, address: str | None = None, engine: Engine | RegisterEngine | None = None) -> None:
        """Start it again; the other nodes list it a second later. One that runs is left as it is.

        Args:
            address: Another address from now on; the caller sees to it that no two running nodes share one.
            engine: Another store from now on, where None leaves it the one that it has. It has other data and other
                tables than the nodes of the cluster's store, as a node of another cluster has that is now at this
                address; give it to all of them for a cluster that was made anew. Whoever made the store closes it.

        Raises:
            RuntimeError: A store is given to a node that runs.
        """
        if self.is_running:
            if engine is not None:
                raise RuntimeError(f"{self.url} is running: stop it before it is started with another store")
            return
        self._world.record("start", self.name, address, *(() if engine is None else ("other data",)))
        self.engine = self.engine if engine is None else engine
        self.starts += 1
        self.address = address or self.address
        self.is_running = self.is_powered = True
        self.gate.open()
        self._world.comes(self)

    def stop(self) -> None:
        """Stop it in order: it leaves all lists at once, its connections end with FIN, new ones are refused."""
        self._end("stop", lambda end: end.close(), convicted_after=0.0)

    def kill(self, *, listed_for: float = CONVICTION_SECONDS) -> None:
        """Crash it: its connections end with RST, new ones are refused, the other nodes go on listing it.

        Args:
            listed_for: Seconds on Trio's clock until they do not.
        """
        self._end("kill", lambda end: end.close(reset=True), convicted_after=listed_for)

    def power_off(self, *, listed_for: float = CONVICTION_SECONDS) -> None:
        """Take its power: nobody is told, nothing is refused, what is sent to it vanishes.

        Once it is started again, what comes on connections of before is answered with RST.

        Args:
            listed_for: As in `kill`.
        """
        was_running = self.is_running
        self.is_powered = not was_running and self.is_powered
        self._end("power-off", lambda end: end.vanish(), convicted_after=listed_for)

    def pause(self) -> None:
        """Freeze it: connections are accepted, nothing is read and nothing is answered.

        Raises:
            RuntimeError: It is not running.
        """
        if not self.is_running:
            raise RuntimeError(f"{self.url} is not running")
        self._world.record("pause", self.name)
        self.gate.shut()

    def resume(self) -> None:
        """Go on after `pause`, with what came in the meantime."""
        self._world.record("resume", self.name)
        self.gate.open()

    def cut_connections(self, *, reset: bool = True) -> None:
        """End all open connections, with RST or FIN."""
        for end in list(self._ends):
            end.close(reset=reset)

    def accept(self, end: NodeEnd, application: Answering, renderer: Rendering) -> None:
        """Serve a connection; the cluster's own entrance."""
        self._ends[end] = scope = trio.CancelScope()
        self._nursery.start_soon(
            self._serve, end, application, renderer, scope, name=f"{self.name} serves {end.number}"
        )

    def _end(self, how: str, end_connection: Callable[[NodeEnd], object], *, convicted_after: float) -> None:
        if not self.is_running:
            return
        self._world.record(how, self.name)
        self.is_running = False
        for end, scope in list(self._ends.items()):
            scope.cancel()  # what it was doing ends with it, also where it waits for nothing of the network
            end_connection(end)
        self._world.goes(self, convicted_after=convicted_after)

    async def _serve(self, end: NodeEnd, application: Answering, renderer: Rendering, scope: trio.CancelScope) -> None:
        connection = Connection(
            number=end.number,
            socket_stream=end,
            stream=end,
            application=application,
            script=self._script,
            renderer=renderer,
        )
        # As connections end.
        with scope, contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await connection.serve()
        self._ends.pop(end, None)
        end.close()

"""The simulated cluster: nodes, their network and their clocks in memory and in virtual time, and clients of them.

Rules: the client is the production client as it is; only its network, its randomness and its wall clock are given to
it. Everything is drawn from one seed. The words are `LocalCluster`'s. Everything that the cluster opened is gone when
its block ends; clients are opened and closed inside.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, Self, Unpack

import trio

from alternator_trio._runtime import open_runtime
from alternator_trio.client import Client
from alternator_trio.config import AlternatorConfig, Options
from alternator_trio.errors import ConfigurationError
from alternator_trio.testing._alternator import Application
from alternator_trio.testing._checks import check_count, check_credentials, check_port, check_trio_run
from alternator_trio.testing._compression import DEFAULT_COMPRESS_FROM
from alternator_trio.testing._connection import Answering, Rendering
from alternator_trio.testing._http import Renderer
from alternator_trio.testing._no_network import no_network
from alternator_trio.testing._script import Script
from alternator_trio.testing._signatures import Verifier
from alternator_trio.testing.cluster import Topology, places
from alternator_trio.testing.ministack_engine import MinistackEngine
from alternator_trio.testing.simulation.chaos import Chaos
from alternator_trio.testing.simulation.membership import Membership
from alternator_trio.testing.simulation.network import Network
from alternator_trio.testing.simulation.node import SimulatedNode
from alternator_trio.testing.simulation.rates import FaultRates
from alternator_trio.testing.simulation.register_engine import RegisterEngine
from alternator_trio.testing.simulation.run import Run, possible_run
from alternator_trio.testing.simulation.server import FaultyApplication, FaultyRenderer, ServerFaults, StaleLists
from alternator_trio.testing.simulation.weather import Weather

if TYPE_CHECKING:
    from types import TracebackType

    from alternator_trio.testing.engine import Engine

__all__ = ["SimulatedCluster"]

_CLOSING_SECONDS: Final = 1.0


class SimulatedCluster:
    """An Alternator cluster in memory, whose network, clocks and nodes do what a seed says.

    Run it under `simulate`. Elsewhere nothing is seeded but what the cluster draws, and time is real; with
    `trio.testing.MockClock` and ``autojump_threshold=0`` (pytest-trio's ``autojump_clock``) it is virtual. While a
    cluster is open its Trio run has no real network.

    Args:
        nodes: How many nodes, all in ``datacenter1`` and ``rack1``; 3 when no topology is given either.
        topology: Datacenters, their racks, and the number of nodes in each.
        seed: Decides what is drawn; None: the seed of `simulate`.
        faults: How often which fault happens; None: never.
        credentials: As `LocalCluster` takes them; each node verifies by its own wall clock.
        compress_from: As `LocalCluster` takes it.
        engine: The store; None: a `MinistackEngine`, which the cluster closes.
        port: The port of all nodes.

    Attributes:
        history: What happens, with the digest that two equal runs share.

    Raises:
        TypeError: An argument is of the wrong type; the message names it.
        ValueError: Both ``nodes`` and ``topology`` are given, or they make no node or too many.

    Example:
        >>> from alternator_trio.testing import simulate
        >>> async def main():
        ...     async with SimulatedCluster(topology={"dc1": {"rack1": 2, "rack2": 1}}) as cluster:
        ...         async with cluster.open_client() as client:
        ...             return [str(node) for node in await client.refresh()]
        >>> simulate(main, seed=7)
        ['http://10.0.0.1:8000', 'http://10.0.0.2:8000', 'http://10.0.0.3:8000']
    """

    def __init__(
        self,
        nodes: int | None = None,
        *,
        topology: Topology | None = None,
        seed: int | str | None = None,
        faults: FaultRates | None = None,
        credentials: Mapping[str, str] | None = None,
        compress_from: int | None = DEFAULT_COMPRESS_FROM,
        engine: Engine | RegisterEngine | None = None,
        port: int = 8000,
    ) -> None:
        if credentials is not None:
            check_credentials(credentials)
        if compress_from is not None:
            check_count("compress_from", compress_from, 1)
        check_port(port)
        if not (engine is None or isinstance(engine, RegisterEngine) or hasattr(engine, "execute")):
            raise TypeError(f"engine must have the methods of Engine; {engine!r} has no execute")
        self._places = places(nodes, topology)
        run = possible_run()
        self._run = run if run is not None and seed is None else Run(0 if seed is None else seed)
        self.history = self._run.history if run is None else run.history
        self._clock_skew = 0.0
        self.credentials = None if credentials is None else dict(credentials)
        self._rates = FaultRates() if faults is None else faults
        self._weather = Weather(self._rates, self._run.random("weather"))
        self._compress_from = compress_from
        self._given_engine = engine
        self._port = port
        self._applications: dict[str, tuple[int, FaultyApplication]] = {}
        self._lists: dict[str, StaleLists] = {}
        self._renderers: dict[str, FaultyRenderer] = {}
        self._seeds: tuple[str, ...] = ()
        self._clients = 0
        self._membership = Membership(self.history, self._make_node)
        self.network = Network(
            weather=self._weather, history=self.history, nodes=lambda: self._membership.nodes, answer=self._answer
        )

    def __repr__(self) -> str:
        state = f"{len(self.nodes)} node(s)" if self._seeds else "not entered"
        return f"<SimulatedCluster seed {self._run.seed!r}; {state}>"

    @property
    def nodes(self) -> tuple[SimulatedNode, ...]:
        """The nodes that there are, running or not, the oldest first."""
        return tuple(self._membership.nodes)

    def __getitem__(self, name: str) -> SimulatedNode:
        """The node of that name or address.

        Raises:
            KeyError: There is none.
        """
        for node in self._membership.nodes:
            if name in {node.name, node.address}:
                return node
        raise KeyError(name)

    @property
    def seeds(self) -> tuple[str, ...]:
        """The endpoints of the nodes that the cluster began with, as they were then.

        Raises:
            RuntimeError: The cluster has not been entered.
        """
        if not self._seeds:
            raise RuntimeError("the cluster has no seeds yet: write 'async with SimulatedCluster(...) as cluster:'")
        return self._seeds

    @property
    def faults(self) -> FaultRates:
        """How often which fault happens; assign to change it from now on."""
        return self._rates

    @faults.setter
    def faults(self, rates: FaultRates) -> None:
        self._rates = self._weather.rates = self._server_faults.rates = self._chaos.rates = rates

    @property
    def clock_skew(self) -> float:
        """Seconds by which the clients' wall clock is ahead; assign to let it jump."""
        return self._clock_skew

    @clock_skew.setter
    def clock_skew(self, seconds: float) -> None:
        self.history.record("clock", "clients", seconds)
        self._clock_skew = seconds

    @contextlib.asynccontextmanager
    async def open_client(
        self, *seeds: str, config: AlternatorConfig | None = None, **options: Unpack[Options]
    ) -> AsyncGenerator[Client, None]:
        """Open a client of this cluster; as `open_alternator`, with the cluster's seeds where none are given.

        Args:
            seeds: First contacts.
            config: A whole configuration.
            options: See `AlternatorConfig`.

        Yields:
            The production client, on the simulated network.

        Raises:
            ConfigurationError: A seed or an option is wrong, or a transport other than ``"native"`` is asked for, which
                would have a network of its own.
        """
        given = config is not None and not seeds
        built = AlternatorConfig.build(seeds if given else seeds or self.seeds, config, options)
        if built.transport != "native":
            raise ConfigurationError(f"transport: {built.transport!r} has no simulated network; leave it 'native'")
        self._clients += 1
        name = f"c{self._clients}"
        async with open_runtime(
            built,
            dial=self.network.dialer(name, built.connect_timeout),
            rng=self._run.random(name),
            wall_clock=lambda: self._run.time() + self.clock_skew,
        ) as runtime:
            yield Client(runtime)

    def add_node(self, datacenter: str, rack: str) -> SimulatedNode:
        """Let a node join, under an address that no node had before; the others list it a second later."""
        node = self._membership.make(datacenter, rack)
        self.history.record("join", node.name, node.address, datacenter, rack)
        node.start()
        return node

    def remove_node(self, node: SimulatedNode) -> None:
        """Let a node leave for good: it stops in order, and is nobody's node any more."""
        self.history.record("leave", node.name)
        self._membership.remove(node)

    def cut_off(self, node: SimulatedNode) -> None:
        """Let nothing pass between a node and clients; nothing is refused, and nothing is lost until `mend`."""
        self.history.record("cut-off", node.name)
        self.network.cut_off(node)

    def mend(self, node: SimulatedNode) -> None:
        """End `cut_off`: what was sent meanwhile arrives."""
        self.history.record("mend", node.name)
        self.network.mend(node)

    def slow_down(self, node: SimulatedNode, factor: float) -> None:
        """Multiply the latency between a node and the clients that know it; 1 is as before."""
        self.history.record("slow", node.name, factor)
        self.network.slow_down(node, factor)

    def split(self, *nodes: SimulatedNode) -> None:
        """Let these nodes and the others lose sight of each other: after 20 s each side lists only its own."""
        self.history.record("split", *(node.name for node in nodes))
        self._membership.split(nodes)

    def rejoin(self) -> None:
        """End `split`: a second later the lists are whole again."""
        self.history.record("rejoin")
        self._membership.split(())

    def heal(self) -> None:
        """End all faults: no more come, every node runs and can be reached, messages arrive whole and at once.

        What is lost stays lost: connections that are half-open, addresses that moved, operations under way, data that
        a node was started with (`SimulatedNode.start`), and time: clocks go on as they are.
        """
        self.history.record("heal")
        self.faults = FaultRates()
        self._chaos.heal()
        self.rejoin()
        for node in self.nodes:
            node.clear_faults()
            node.delay, node.localnodes_answer = 0.0, None
            node.start()
            node.resume()
            self.mend(node)
            self.slow_down(node, 1.0)

    async def __aenter__(self) -> Self:
        check_trio_run("SimulatedCluster")
        if self._seeds:
            raise RuntimeError("a SimulatedCluster is entered once")
        self.engine: Engine | RegisterEngine = MinistackEngine() if self._given_engine is None else self._given_engine
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        self._no_network = no_network()
        self._no_network.__enter__()
        self._server_faults = ServerFaults(self._rates, self._run.random("server"), self.history, self._nursery)
        self._chaos = Chaos(self, self._rates, self._run.random("chaos"), self._nursery)
        for datacenter, rack in self._places:
            self._membership.make(datacenter, rack)
        self._set_clocks(self._rates.clock_skew, self._run.random("clocks"))
        self._seeds = tuple(node.url for node in self.nodes)
        self._membership.begin()
        self._chaos.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._nursery.cancel_scope.cancel()
        try:
            # The body's exception is not the nursery's: it leaves as it is, in no group.
            await self._manager.__aexit__(None, None, None)
        finally:
            self._no_network.__exit__(None, None, None)
            if self._given_engine is None:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSING_SECONDS):
                    await self.engine.aclose()

    # Below: the parts of the above.

    def _set_clocks(self, most: float, rng: random.Random) -> None:
        """Let all clocks that there are be off by some seconds."""
        if most:
            for node in self.nodes:
                node.clock_skew = rng.uniform(-most, most)
            self.clock_skew += rng.uniform(-most, most)

    def _make_node(self, name: str, address: str, datacenter: str, rack: str) -> SimulatedNode:
        return SimulatedNode(
            name=name,
            address=address,
            port=self._port,
            datacenter=datacenter,
            rack=rack,
            script=Script(),
            world=self._membership,
            nursery=self._nursery,
        )

    def _answer(self, node: SimulatedNode) -> tuple[Answering, Rendering]:
        """What serves a new connection of a node."""
        start, application = self._applications.get(node.name, (0, None))
        if application is None or start != node.starts:  # a node that starts again remembers no secret
            application = self._make_application(node)
            self._applications[node.name] = node.starts, application
        if node.name not in self._renderers:
            self._renderers[node.name] = FaultyRenderer(Renderer(partial(_wall_clock, node)), self._server_faults)
        return application, self._renderers[node.name]

    def _make_application(self, node: SimulatedNode) -> FaultyApplication:
        clock = partial(_wall_clock, node)
        store = self.engine if node.engine is None else node.engine
        application = Application(
            store.at(node.name, clock) if isinstance(store, RegisterEngine) else store,
            self._lists.setdefault(node.name, StaleLists(node.listed, self._server_faults)),
            None if self.credentials is None else Verifier(self.credentials, clock),
            compress_from=self._compress_from,
        )
        return FaultyApplication(node.name, application, self._server_faults)


def _wall_clock(node: SimulatedNode) -> float:
    return Run.time() + node.clock_skew

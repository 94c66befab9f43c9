"""The embedded cluster: nodes on real sockets of this machine, one DynamoDB store behind them.

Rules:

* It knows HTTP and Alternator and nothing of the client: any HTTP client may drive it.
* Everything it opens is closed when its block ends, whatever ended it, before the block is left.
* The body's exception leaves as it is: the nursery does not show.
"""

from __future__ import annotations

import collections
import itertools
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Self

import trio

from alternator_trio.testing._addresses import addresses, listen_on_all
from alternator_trio.testing._alternator import Application
from alternator_trio.testing._checks import check_count, check_credentials, check_port, check_topology, check_trio_run
from alternator_trio.testing._compression import DEFAULT_COMPRESS_FROM
from alternator_trio.testing._connection import Connection
from alternator_trio.testing._http import Renderer
from alternator_trio.testing._no_network import check_network
from alternator_trio.testing._process import NodeProcess
from alternator_trio.testing._script import Script
from alternator_trio.testing._signatures import Verifier
from alternator_trio.testing._stream import NodeStream
from alternator_trio.testing.ministack_engine import MinistackEngine
from alternator_trio.testing.node import LocalNode

if TYPE_CHECKING:
    import socket
    import ssl
    from types import TracebackType

    from alternator_trio.testing.engine import Engine

Topology = Mapping[str, Mapping[str, int]]

MAX_NODES: Final = 254
_CLOSING_SECONDS: Final = 1.0


class LocalCluster:
    """An Alternator cluster on this machine: real TCP nodes at 127.0.0.1, 127.0.0.2, … on one port, one shared store.

    Args:
        nodes: how many nodes, all in ``datacenter1`` and ``rack1``; 3 when no topology is given either.
        topology: datacenters, their racks, and the number of nodes in each.
        port: the port of all nodes; 0 takes one that is free on all addresses.
        tls: a server's context; the nodes then speak HTTPS only.
        credentials: each role's name and its secret: every operation must then be signed by one of them, and is
            answered with Alternator's own errors when it is not; ``/localnodes`` and health checks stay open to all.
            None takes every request, signed or not.
        shards: how many shards each node has: its connections are dealt out to them in turn, and each remembers
            secrets for itself.
        compress_from: answers of this many bytes and more are compressed for a client that accepts that, as ScyllaDB
            does from 2026.1 on; None compresses nothing, as older versions do.
        unpacks_requests: False takes a compressed body for JSON, as versions before 2026.1 do: a ValidationException.
        engine: the store; the cluster makes a `MinistackEngine` of its own, and closes that one, when none is given.
        record_requests: False keeps no record of requests, for runs that would fill the memory.
        clock: the nodes' wall clock, in seconds since the epoch: for signatures and for the Date header.

    Raises:
        TypeError: an argument is of the wrong type; the message names it.
        ValueError: both `nodes` and `topology` are given, or they make no node or too many; `compress_from` or
            `shards` is less than one, or `port` none.
        OSError: on entering: an address cannot be bound; on macOS the message says what to do.
        ImportError: on entering: the default engine is not installed; the message says how.
        RuntimeError: on entering: under asyncio, or in a simulation.

    Example:
        ::

            async with LocalCluster(topology={"dc1": {"rack1": 2, "rack2": 1}}) as cluster:
                print(cluster.seeds)  # ("http://127.0.0.1:19042", "http://127.0.0.2:19042", …)
                cluster.nodes[1].kill(listed_for=20.0)
    """

    def __init__(
        self,
        nodes: int | None = None,
        *,
        topology: Topology | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        credentials: Mapping[str, str] | None = None,
        shards: int = 1,
        compress_from: int | None = DEFAULT_COMPRESS_FROM,
        unpacks_requests: bool = True,
        engine: Engine | None = None,
        record_requests: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if credentials is not None:
            check_credentials(credentials)
        if compress_from is not None:
            check_count("compress_from", compress_from, 1)
        check_port(port)
        if not (tls is None or hasattr(tls, "wrap_bio")):
            raise TypeError(f"tls must be a server's ssl.SSLContext, not {type(tls).__name__}")
        if not (engine is None or hasattr(engine, "execute")):
            raise TypeError(f"engine must have the methods of Engine; {engine!r} has no execute")
        if not callable(clock):
            raise TypeError(f"clock must be callable, not {clock!r}")
        self._credentials = None if credentials is None else dict(credentials)
        check_count("shards", shards, 1)
        self._shards = shards
        self._places = places(nodes, topology)
        self._wanted_port = port
        self._tls = tls
        self._compress_from = compress_from
        self._unpacks_requests = unpacks_requests
        self._given_engine = engine
        self._recording = record_requests
        self._clock = clock
        self._renderer = Renderer(clock)
        self._connection_numbers = itertools.count(1)
        self._nodes: tuple[LocalNode, ...] = ()
        self._nursery: trio.Nursery | None = None
        self._is_over = False

    def __repr__(self) -> str:
        counts = collections.Counter(self._places)
        places = ", ".join(f"{datacenter}/{rack}: {count}" for (datacenter, rack), count in counts.items())
        return f"<LocalCluster {places}; {self._state()}>"

    @property
    def nodes(self) -> tuple[LocalNode, ...]:
        """The nodes in the order of the topology; empty before the block is entered."""
        return self._nodes

    @property
    def seeds(self) -> tuple[str, ...]:
        """The nodes' endpoints: ``("http://127.0.0.1:19042", …)``.

        Raises:
            RuntimeError: The cluster has not been entered.
        """
        if not self._nodes:
            raise RuntimeError("the cluster has no seeds yet: write 'async with LocalCluster(...) as cluster:'")
        return tuple(node.url for node in self._nodes)

    @property
    def scheme(self) -> str:
        """``"https"`` with `tls`, else ``"http"``."""
        return "http" if self._tls is None else "https"

    @property
    def credentials(self) -> dict[str, str] | None:
        """The roles and their secrets; None when no signature is needed.

        Change the dictionary to change them for all nodes. As in ScyllaDB, each shard of a node may remember a role's
        old secret for a minute, or until a signature does not fit it: the first request with the new secret is then
        refused.
        """
        return self._credentials

    async def __aenter__(self) -> Self:
        check_trio_run("LocalCluster")
        if self._nursery is not None:
            raise RuntimeError("a LocalCluster is entered once")
        check_network("LocalCluster")
        self._engine: Engine = MinistackEngine() if self._given_engine is None else self._given_engine
        port, listeners = listen_on_all(addresses(len(self._places)), self._wanted_port)
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        self._nodes = tuple(
            self._make_node(listener, port, place) for listener, place in zip(listeners, self._places, strict=True)
        )
        for node, listener in zip(self._nodes, listeners, strict=True):
            node.adopt(listener)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._nursery is not None  # noqa: S101 - entered
        self._is_over = True
        for node in self._nodes:
            node.stop()
        self._nursery.cancel_scope.cancel()
        try:
            # The body's exception is not the nursery's: it leaves as it is, in no group.
            await self._manager.__aexit__(None, None, None)
        finally:
            if self._given_engine is None:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSING_SECONDS):
                    await self._engine.aclose()

    def _state(self) -> str:
        if not self._nodes:
            return "not entered"
        if self._is_over:
            return "over"
        running = sum(node.is_running for node in self._nodes)
        return f"{running} of {len(self._nodes)} running; seeds {', '.join(self.seeds)}"

    def _make_node(self, listener: socket.socket, port: int, place: tuple[str, str]) -> LocalNode:
        return LocalNode(
            address=listener.getsockname()[0],
            port=port,
            scheme=self.scheme,
            datacenter=place[0],
            rack=place[1],
            script=Script(recording=self._recording),
            run_process=self._run_process,
        )

    def _make_application(self, node: LocalNode) -> Application:
        return Application(
            self._engine,
            lambda dc, rack: self._listed(dc or node.datacenter, rack),
            None if self._credentials is None else Verifier(self._credentials, self._clock),
            compress_from=self._compress_from,
            unpacks_requests=self._unpacks_requests,
        )

    def _run_process(self, node: LocalNode, script: Script, listener: socket.socket) -> NodeProcess:
        if self._nursery is None or self._is_over:
            raise RuntimeError("the cluster's block is over: nothing can be started in it")
        # One application for each shard. A node that starts again remembers no secret.
        applications = itertools.cycle([self._make_application(node) for _ in range(self._shards)])

        def make_connection(number: int, socket_stream: NodeStream, stream: trio.abc.Stream) -> Connection:
            return Connection(
                number=number,
                socket_stream=socket_stream,
                stream=stream,
                application=next(applications),
                script=script,
                renderer=self._renderer,
            )

        process = NodeProcess(
            listener, numbers=self._connection_numbers, tls=self._tls, make_connection=make_connection
        )
        self._nursery.start_soon(process.run, name=f"LocalNode {node.url}")
        return process

    def _listed(self, datacenter: str, rack: str | None) -> list[str]:
        """The addresses that ``/localnodes`` lists for a datacenter, or for one rack of it."""
        return [
            node.address
            for node in self._nodes
            if node.is_listed and node.datacenter == datacenter and rack in {None, node.rack}
        ]


def places(nodes: int | None, topology: Topology | None) -> tuple[tuple[str, str], ...]:
    """Datacenter and rack of each node, in order."""
    if nodes is not None and topology is not None:
        raise ValueError("give nodes or topology, not both")
    if nodes is not None:
        check_count("nodes", nodes, 0)
    if topology is not None:
        check_topology(topology)
    else:
        topology = {"datacenter1": {"rack1": 3 if nodes is None else nodes}}
    places = tuple(
        (datacenter, rack)
        for datacenter, racks in topology.items()
        for rack, count in racks.items()
        for _ in range(count)
    )
    if not 1 <= len(places) <= MAX_NODES:
        raise ValueError(f"a cluster has 1 to {MAX_NODES} nodes, not {len(places)}")
    return places

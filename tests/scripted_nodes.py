"""Nodes in memory: the whole client against scripted HTTP, under the virtual clock and without a socket.

Rules:

* The words are those of `alternator_trio.testing.LocalNode`: ``fail_next``, ``requests``, ``localnodes_answer``,
  ``delay``, ``open_connections``. The faults are its faults, and two more: `Late` and `Raw`.
* With a ``topology`` ``/localnodes`` has the server's semantics: one datacenter, that of the asked node unless ``dc``
  names another, and of that the rack that ``rack`` names; without one every answer is the whole list.
* There is no store: ``respond`` says what a request is answered with. A fault's ``executed`` calls it all the same.
* A connection is a pair of `MemoryEnd`, which have the manners of a socket.
* What a node received is on record before anything else happens to it, with the time of Trio's clock.

    async def test_something(autojump_clock):
        async with ScriptedNodes(3) as nodes, nodes.open_client(attempt_timeout=1.0) as client:
            nodes[0].refuse()  # or nodes["10.0.0.1"]
            nodes[1].fail_next(Reset(), operation="GetItem")
            await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
            assert [request.host for request in nodes.requests_of("GetItem")] == ["10.0.0.2", "10.0.0.3"]
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Self, assert_never
from urllib.parse import parse_qs

import trio

from alternator_trio._runtime import open_runtime
from alternator_trio._transport.dialing import Dial
from alternator_trio.client import Client
from alternator_trio.config import AlternatorConfig
from alternator_trio.errors import ConnectError
from alternator_trio.nodes import Node
from alternator_trio.testing import Answer, Close, Fault, Hang, ReceivedRequest, Reset, Shed, Truncate
from alternator_trio.testing._alternator import shed
from alternator_trio.testing._http import Renderer, Reply, Request, RequestParser, chunked
from alternator_trio.testing._script import PendingFault
from alternator_trio.testing.faults import LOCALNODES
from tests.memory_ends import MemoryEnd, memory_pair

__all__ = ["Late", "Raw", "ScriptedNode", "ScriptedNodes", "ScriptedRequest", "answer_json", "respond_by_default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """The node's own answer, after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """These bytes in place of an answer, then the ending: go on, FIN, RST, or silence until the client leaves."""

    data: bytes
    then: Literal["keep", "close", "reset", "hang"] = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedRequest(ReceivedRequest):
    """What a node received, where and when (Trio's clock)."""

    host: str
    at: float

    @property
    def is_discovery(self) -> bool:
        return self.path.partition("?")[0] == "/localnodes"

    @property
    def scope(self) -> tuple[str | None, str | None]:
        """The datacenter and rack that a question for nodes is about."""
        given = {name: values[-1] for name, values in parse_qs(self.path.partition("?")[2]).items()}
        return given.get("dc"), given.get("rack")


Respond = Callable[[ScriptedRequest], Answer]


def answer_json(value: object, status: int = 200) -> Answer:
    """An answer with a JSON body."""
    return Answer(status=status, body=json.dumps(value).encode())


def respond_by_default(request: ScriptedRequest) -> Answer:
    """Every operation succeeds with an empty result; every table has the partition key ``id``."""
    if request.operation == "DescribeTable":
        return answer_json({"Table": {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}})
    return answer_json({})


class ScriptedNodes:
    """A cluster of scripted nodes; an async context manager.

    Args:
        hosts: Their hosts, or how many: ``10.0.0.1`` and so on.
        topology: Datacenters, their racks, and the number of nodes in each, in place of ``hosts``.
        connect_timeout: Seconds after which a dial into a black hole gives up.

    Attributes:
        listed: The hosts that ``/localnodes`` answers, those of them that are asked for; all of them at first.
        ignores_parameters: Whether ``/localnodes`` heeds neither ``dc`` nor ``rack``, as before 2025.1.
        respond: What operations are answered with, at nodes that have no ``respond`` of their own.
    """

    def __init__(
        self,
        hosts: int | Sequence[str] = 3,
        *,
        topology: Mapping[str, Mapping[str, int]] | None = None,
        scheme: Literal["http", "https"] = "http",
        port: int = 8000,
        connect_timeout: float = 2.0,
    ) -> None:
        places = _places(topology or {})
        hosts = len(places) or hosts
        names = [f"10.0.0.{number}" for number in range(1, hosts + 1)] if isinstance(hosts, int) else list(hosts)
        self._places = dict(zip(names, places, strict=False))
        self.connect_timeout = connect_timeout
        self.listed: list[str] = list(names)
        self.ignores_parameters = False
        self.respond: Respond = respond_by_default
        self.requests: list[ScriptedRequest] = []
        self._nodes = {name: ScriptedNode(self, Node(scheme, name, port)) for name in names}
        self._connections = 0
        self._renderer = Renderer()

    async def __aenter__(self) -> Self:
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(None, None, None)

    def __getitem__(self, key: int | str) -> ScriptedNode:
        return self._nodes[key] if isinstance(key, str) else list(self._nodes.values())[key]

    def __iter__(self) -> Iterator[ScriptedNode]:
        return iter(self._nodes.values())

    @property
    def seeds(self) -> tuple[str, ...]:
        return tuple(node.url for node in self)

    @property
    def connects(self) -> int:
        """Connections made so far."""
        return sum(node.connects for node in self)

    @property
    def open_connections(self) -> int:
        return sum(node.open_connections for node in self)

    def requests_of(self, operation: str) -> list[ScriptedRequest]:
        """What all nodes received of one operation, or of ``"localnodes"``, in order of arrival."""
        return [request for request in self.requests if _name_of(request) == operation]

    def hosts_in(self, datacenter: str, rack: str | None = None) -> tuple[str, ...]:
        """The hosts of a datacenter, or of one rack of it, listed or not."""
        return tuple(host for host, (dc, its) in self._places.items() if dc == datacenter and rack in {None, its})

    def listed_for(self, request: ScriptedRequest) -> list[str]:
        """What ``/localnodes`` lists."""
        if not self._places:
            return self.listed
        datacenter, rack = (None, None) if self.ignores_parameters else request.scope
        asked_for = self.hosts_in(datacenter or self._places[request.host][0], rack)
        return [host for host in self.listed if host in asked_for]

    @asynccontextmanager
    async def open_client(
        self,
        *seeds: str,
        seed: int = 0,
        dial: Dial | None = None,
        wall_clock: Callable[[], float] = time.time,
        **options: object,
    ) -> AsyncGenerator[Client]:
        """A client of these nodes, with the options of `open_alternator`; ``seed`` is its randomness.

        Health is off unless it is asked for: then nodes take turns from the start, and nobody probes them.
        """
        config = AlternatorConfig.build(seeds or self.seeds, None, {"node_health": None, **options})
        async with open_runtime(
            config, dial=dial or self.dial, rng=random.Random(seed), wall_clock=wall_clock
        ) as runtime:
            yield Client(runtime)

    async def dial(self, node: Node) -> MemoryEnd:
        """What the client connects with, in place of TCP."""
        await trio.lowlevel.checkpoint()
        scripted = self._nodes.get(node.host)
        if scripted is None or scripted.node != node or scripted.is_refusing:
            raise ConnectError("cannot connect: Connection refused", node=node.endpoint)
        if scripted.is_black_holed:
            await trio.sleep(self.connect_timeout)
            raise ConnectError(f"no connection within {self.connect_timeout:g} s", node=node.endpoint)
        mine, theirs = memory_pair()
        self.serve(scripted, mine, theirs)
        return mine

    def serve(self, node: ScriptedNode, client: MemoryEnd, end: MemoryEnd) -> None:
        """Let a node serve a connection, which may be made otherwise than by `dial`."""
        self._connections += 1
        self._nursery.start_soon(node.serve, end, self._connections, self._renderer)
        node.admit(client, end)


class ScriptedNode:
    """One node, as a test drives it; `ScriptedNodes` makes it.

    Attributes:
        node: Its address, as the client knows it.
        requests: What it received, oldest first.
        connects: Connections made to it so far.
        localnodes_answer: What ``/localnodes`` answers here; None: `ScriptedNodes.listed`.
        respond: What operations are answered with here; None: `ScriptedNodes.respond`.
        delay: Seconds before each answer.
    """

    def __init__(self, cluster: ScriptedNodes, node: Node) -> None:
        self.node = node
        self.host = node.host
        self.url = node.endpoint
        self.requests: list[ScriptedRequest] = []
        self.connects = 0
        self.localnodes_answer: Answer | None = None
        self.respond: Respond | None = None
        self.delay = 0.0
        self.is_refusing = False
        self.is_black_holed = False
        self._cluster = cluster
        self._faults: list[PendingFault] = []
        self._open: dict[MemoryEnd, None] = {}

    @property
    def open_connections(self) -> int:
        """Connections that neither side has closed."""
        return len(self._open)

    def requests_of(self, operation: str) -> list[ScriptedRequest]:
        """What it received of one operation, or of ``"localnodes"``."""
        return [request for request in self.requests if _name_of(request) == operation]

    def lists(self, *hosts: str) -> None:
        """Answer ``/localnodes`` with these hosts."""
        self.localnodes_answer = answer_json(hosts)

    def fail_next(self, fault: Fault | Late | Raw, *, times: int = 1, operation: str | None = None) -> None:
        """Commit a fault on the next requests of an operation, of ``"localnodes"``, or of any operation."""
        self._faults.append(PendingFault(fault=fault, operation=operation, times=times))

    def clear_faults(self) -> None:
        """Forget the faults that are still pending."""
        self._faults.clear()

    def refuse(self) -> None:
        """Refuse connections from now on; those that are open go on."""
        self.is_refusing = True

    def accept(self) -> None:
        """End `refuse` and `black_hole`."""
        self.is_refusing = self.is_black_holed = False

    def black_hole(self) -> None:
        """Answer nothing any more: neither requests nor dials, which end at the connect timeout."""
        self.is_black_holed = True

    def kill(self) -> None:
        """Crash: connections are reset, new ones refused."""
        self.refuse()
        self.cut()

    def stop(self) -> None:
        """Stop in order: connections are closed, new ones refused, and no node lists it any more."""
        self.refuse()
        self.cut(reset=False)
        if self.host in self._cluster.listed:
            self._cluster.listed.remove(self.host)

    def start(self) -> None:
        """End `stop` and `kill`: it accepts, and is listed."""
        self.accept()
        if self.host not in self._cluster.listed:
            self._cluster.listed.append(self.host)

    def cut(self, *, reset: bool = True) -> None:
        """End all open connections, with RST or FIN."""
        for end in list(self._open):
            end.close(reset=reset)

    def admit(self, client: MemoryEnd, end: MemoryEnd) -> None:
        """Count a connection; the cluster's own entrance."""
        self.connects += 1
        self._open[end] = None
        client.on_close = end.on_close = lambda: self._open.pop(end, None)

    async def serve(self, end: MemoryEnd, number: int, renderer: Renderer) -> None:
        """Serve one connection until one side closes."""
        parser = RequestParser()
        try:
            while data := await end.receive():
                for request in parser.feed(data):
                    if not await self._answer(request, end, number, renderer):
                        return
        except (ConnectionResetError, trio.ClosedResourceError):
            pass
        finally:
            end.close()

    async def _answer(self, request: Request, end: MemoryEnd, number: int, renderer: Renderer) -> bool:
        """Answer one request; False when its connection is to end."""
        received = self._record(request, number)
        fault = self._take_fault(received)
        delay = fault.seconds if isinstance(fault, Late) else self.delay
        if delay:
            await trio.sleep(delay)
        if self.is_black_holed:
            fault = Hang()
        match fault:
            case None | Late():
                await end.send(renderer.render(_reply(self._own_answer(received))))
                return True
            case Answer():
                self._execute(fault.executed, received)
                await end.send(renderer.render(_reply(fault)))
                return not fault.close
            case Shed():
                await end.send(renderer.render(shed()))
                return not fault.drop
            case Truncate():
                reply = _reply(self._own_answer(received), streamed=fault.chunked)
                part = reply.body[: fault.body_bytes]
                await end.send(renderer.head(reply) + (chunked(part, last_chunk=False) if reply.streamed else part))
                return False
            case Raw():
                await end.send(fault.data)
                return fault.then == "keep" or await self._end(fault.then, end)
            case Reset() | Close() | Hang():
                self._execute(fault.executed, received)
                return await self._end(type(fault).__name__.lower(), end)
            case _:
                assert_never(fault)

    def _record(self, request: Request, number: int) -> ScriptedRequest:
        target = request.fields.get(b"x-amz-target")
        received = ScriptedRequest(
            method=request.method,
            path=request.target,
            headers=request.headers,
            body=request.body,
            connection_id=number,
            operation=None if target is None else target.rpartition(b".")[2].decode(),
            host=self.host,
            at=trio.current_time(),
        )
        self.requests.append(received)
        self._cluster.requests.append(received)
        return received

    def _take_fault(self, received: ScriptedRequest) -> Fault | Late | Raw | None:
        for pending in self._faults:
            if pending.meets(_name_of(received)):
                pending.times -= 1
                if not pending.times:
                    self._faults.remove(pending)
                return pending.fault
        return None

    def _own_answer(self, received: ScriptedRequest) -> Answer:
        if received.is_discovery:
            return self.localnodes_answer or answer_json(self._cluster.listed_for(received))
        return (self.respond or self._cluster.respond)(received)

    def _execute(self, wanted: bool, received: ScriptedRequest) -> None:
        if wanted:
            self._own_answer(received)

    async def _end(self, how: str, end: MemoryEnd) -> bool:
        if how == "hang":
            while await end.receive():
                pass
        end.close(reset=how == "reset")
        return False


def _places(topology: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str]]:
    """Datacenter and rack of each node, in order."""
    racks = ((datacenter, rack, count) for datacenter, counts in topology.items() for rack, count in counts.items())
    return [(datacenter, rack) for datacenter, rack, count in racks for _ in range(count)]


def _name_of(request: ScriptedRequest) -> str | None:
    return LOCALNODES if request.is_discovery else request.operation


def _reply(answer: Answer, *, streamed: bool = False) -> Reply:
    return Reply(answer.status, answer.body, headers=answer.headers, streamed=streamed)

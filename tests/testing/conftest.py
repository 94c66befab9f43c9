"""A cluster and a plain client for the tests of the embedded cluster: a socket and h11, nothing of this project."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11
import pytest
import trio

from alternator_trio.testing import LocalCluster, LocalNode
from tests.users import USERS


@dataclass
class Reply:
    """An answer as h11 read it, and how its body was framed."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    data_events: int = 0

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class PlainClient:
    """One connection, one request after another."""

    stream: trio.abc.Stream
    host: str
    h11: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT, max_incomplete_event_size=2**20))

    async def request(self, method, target, *, headers=(), body=b"") -> Reply:
        fields = [("host", self.host), *headers]
        if not any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in fields):
            fields.append(("content-length", str(len(body))))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
        await self.send(head.encode() + body)
        return await self.answer(method)

    async def send(self, data: bytes) -> None:
        with trio.fail_after(10):
            await self.stream.send_all(data)

    async def answer(self, method="POST") -> Reply:
        """The next answer; `h11.RemoteProtocolError` when it breaks off."""
        self.h11.send(h11.Request(method=method, target="/", headers=[("host", self.host)]))
        self.h11.send(h11.EndOfMessage())
        reply = Reply(0, {})
        with trio.fail_after(10):
            while True:
                event = self.h11.next_event()
                if event is h11.NEED_DATA:
                    self.h11.receive_data(await self.stream.receive_some())
                elif isinstance(event, h11.Response):
                    reply.status = event.status_code
                    reply.headers = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    reply.body += event.data
                    reply.data_events += 1
                elif isinstance(event, h11.EndOfMessage):
                    if self.h11.our_state is h11.DONE and self.h11.their_state is h11.DONE:
                        self.h11.start_next_cycle()
                    return reply
                elif isinstance(event, h11.ConnectionClosed):
                    raise trio.EndOfChannel

    async def call(self, operation, request, *, headers=()) -> Reply:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        lean = [("x-amz-target", f"DynamoDB_20120810.{operation}"), ("content-type", "application/x-amz-json-1.0")]
        return await self.request("POST", "/", headers=[*lean, *headers], body=body)

    async def end(self) -> str:
        """How the node ended the connection: ``"fin"`` or ``"reset"``."""
        with trio.fail_after(10):
            try:
                while await self.stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                return "reset"
        return "fin"


@asynccontextmanager
async def dialled(node: LocalNode):
    """A client connected to the node."""
    with trio.fail_after(10):
        stream = await trio.open_tcp_stream(node.address, node.port)
    async with stream:
        yield PlainClient(stream, f"{node.address}:{node.port}")


@pytest.fixture
def dial():
    return dialled


@pytest.fixture
def id_table():
    return USERS


@pytest.fixture
async def cluster():
    async with LocalCluster(topology={"dc1": {"rack1": 2, "rack2": 1}, "dc2": {"rack1": 1}}) as running:
        yield running


@pytest.fixture
async def client(cluster):
    """A client of the first node, and a table ``users`` with the key ``id``."""
    async with dialled(cluster.nodes[0]) as connected:
        created = await connected.call("CreateTable", USERS)
        assert created.status == 200
        cluster.nodes[0].clear_requests()
        yield connected

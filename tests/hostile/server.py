"""The server of a hostile row, over any byte stream, and what it saw.

Rules: it is hostile until it is told to be calm, and then answers each GetItem with the key that was asked for: who
takes one answer for another is found out. Each connection has a number; what came on which one is on record.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from socket import SO_LINGER, SOL_SOCKET
from typing import Final, NamedTuple

import trio

from tests.hostile.rows import TRAP, Row, whole
from tests.hostile.steps import End, Send, Step, play

__all__ = ["HostileServer", "NodeOnSocket", "SeenRequest"]

_END_OF_HEAD: Final = b"\r\n\r\n"
_KEY: Final = {"Table": {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "TableStatus": "ACTIVE"}}


class SeenRequest(NamedTuple):
    """What was received: on which connection, for which path and operation, with which body."""

    connection: int
    path: str
    operation: str
    body: Mapping[str, object]


class NodeOnSocket:
    """The server's end of a real connection, with or without TLS over it."""

    def __init__(self, bare: trio.SocketStream, tls: ssl.SSLContext | None = None) -> None:
        stream = bare if tls is None else trio.SSLStream(bare, tls, server_side=True, https_compatible=True)
        self._sock = bare.socket
        self.send = stream.send_all
        self.send_bare = bare.send_all
        self.receive = stream.receive_some

    def close(self, *, reset: bool = False) -> None:
        if reset:
            self._sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


class HostileServer:
    """One node.

    Args:
        row: What it does.
        trap: Host and port where no redirect may lead.

    Attributes:
        calm: Whether it has become a good server.
        turn: The number of the turn, where there are turns.
        requests: What it received, in order.
        connects: Connections made so far.
        open: Those that neither side has closed, by host.
        on_request: Called after each request has been put on record.
        dialled: The endpoints that were asked for, where the tests make the connections; the trap where it was sprung.
        row: As given.
    """

    def __init__(self, row: Row, trap: str = "127.0.0.9:9") -> None:
        self.calm = False
        self.turn = 0
        self.requests: list[SeenRequest] = []
        self.connects = 0
        self.open: Counter[str] = Counter()
        self.on_request: Callable[[], object] = lambda: None
        self.dialled: set[str] = set()
        self.row = row
        self._trap = trap.encode()
        self._playing = 0
        self._rest = trio.Event()

    async def serve(self, end: End, host: str) -> None:
        """Serve one connection, to this host, until one side closes it."""
        self.connects += 1
        number = self.connects
        self.open[host] += 1
        with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            if self.calm or not self.row.greeting or await self._play(self.row.greeting, end):
                await self._converse(end, number)
        self.open[host] -= 1
        end.close()

    async def played(self) -> None:
        """Wait until no script is being played."""
        while self._playing:
            await self._rest.wait()

    def left_open(self) -> int:
        """Connections to nodes that the list in force does not have, of those that were listed once."""
        gone = {*self.row.hosts[1:]} - {*self._listed()} if self.row.lists else set[str]()
        return sum(self.open[host] for host in gone)

    def operations(self) -> list[SeenRequest]:
        """What was received but for discovery."""
        return [request for request in self.requests if request.operation]

    async def _converse(self, end: End, number: int) -> None:
        data = b""
        while True:
            while _END_OF_HEAD not in data:
                part = await end.receive()
                if not part:
                    return
                data += part
            head, _, data = data.partition(_END_OF_HEAD)
            lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            length = int(fields.get("content-length", "0"))
            while len(data) < length:
                data += await end.receive()
            body, data = data[:length], data[length:]
            seen = SeenRequest(
                number,
                lines[0].split(" ")[1],
                fields.get("x-amz-target", "").rpartition(".")[2],
                json.loads(body or b"{}"),
            )
            self.requests.append(seen)
            self.on_request()
            if not await self._answer(seen, end):
                return

    async def _answer(self, seen: SeenRequest, end: End) -> bool:
        is_list = seen.path.partition("?")[0] == "/localnodes"
        is_victim = is_list if self.row.kind == "discovery" else bool(seen.operation) and not self.calm
        if is_victim:
            return await self._play(self._script(), end)
        await end.send(whole(_good_answer(seen, is_list=is_list)))
        return True

    def _script(self) -> tuple[Step, ...]:
        return (Send(whole(json.dumps(self._listed()).encode())),) if self.row.lists else self.row.answer

    def _listed(self) -> tuple[str, ...]:
        return self.row.lists[self.turn % len(self.row.lists)]

    async def _play(self, script: tuple[Step, ...], end: End) -> bool:
        self._playing += 1
        try:
            return await play([self._with_trap(step) for step in script], end)
        finally:
            self._playing -= 1
            if not self._playing:
                self._rest.set()
                self._rest = trio.Event()

    def _with_trap(self, step: Step) -> Step:
        if isinstance(step, Send) and isinstance(step.data, bytes) and TRAP in step.data:
            return Send(step.data.replace(TRAP, self._trap))
        return step


def _good_answer(seen: SeenRequest, *, is_list: bool) -> bytes:
    if is_list:
        return b'["127.0.0.1"]'
    match seen.operation:
        case "GetItem":
            return json.dumps({"Item": seen.body["Key"]}).encode()
        case "DescribeTable":
            return json.dumps(_KEY).encode()
        case "Query" | "Scan":
            return b'{"Items":[],"Count":0,"ScannedCount":0}'
        case "BatchWriteItem":
            return b'{"UnprocessedItems":{}}'
        case _:
            return b"{}"

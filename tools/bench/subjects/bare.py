"""The bare exchange: what one operation costs when nothing is done about anything that can go wrong.

A Trio socket per task in flight, httptools for the response and orjson for both bodies. No pool, no deadline, no plan,
no retry, no header but those that a request needs: the unit in which a client on Trio is measured.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httptools
import orjson
import trio
from _on_trio import main

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from _worker import Call, Cell

HTTP_OK = 200
RECEIVE_BYTES = 65536


class Exchange:
    """One connection, which sends a request and reads its response, again and again."""

    def __init__(self, socket: trio.socket.SocketType, head: bytes) -> None:
        self._socket = socket
        self._head = head
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._is_complete = False

    async def call(self, request: dict[str, object]) -> object:
        """Perform one operation."""
        body = orjson.dumps(request)
        message = b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
        if await self._socket.send(message) != len(message):
            raise RuntimeError("the kernel took a part of a small request")
        self._body = b""
        self._is_complete = False
        while not self._is_complete:
            data = await self._socket.recv(RECEIVE_BYTES)
            if not data:
                raise RuntimeError("the server closed the connection")
            self._parser.feed_data(data)
        if (status := self._parser.get_status_code()) != HTTP_OK:
            raise RuntimeError(f"status {status}: {self._body!r}")
        return orjson.loads(self._body)

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body from the parser."""
        self._body += data

    def on_message_complete(self) -> None:
        """Learn from the parser that the response has ended."""
        self._is_complete = True


@asynccontextmanager
async def open_calls(cell: Cell) -> AsyncIterator[list[Call]]:
    """Connect once per task in flight."""
    url = urlsplit(cell.url)
    head = (
        f"POST / HTTP/1.1\r\nHost: {url.netloc}\r\nX-Amz-Target: DynamoDB_20120810.{cell.operation}\r\n"
        "Content-Type: application/x-amz-json-1.0\r\nUser-Agent: bare-exchange\r\nContent-Length: "
    ).encode("ascii")
    async with AsyncExitStack() as stack:
        calls: list[Call] = []
        for _ in range(cell.in_flight):
            socket = stack.enter_context(trio.socket.socket())
            await socket.connect((url.hostname, url.port))
            socket.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
            calls.append(partial(Exchange(socket, head).call, cell.request))
        yield calls


if __name__ == "__main__":
    main(open_calls, distributions=("httptools", "orjson"))

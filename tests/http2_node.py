"""A node that speaks HTTP/2 over TLS: hypercorn on Trio, an independent server, before a store of ministack's."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
import trustme
from hypercorn.config import Config
from hypercorn.trio import serve

from alternator_trio.testing import MinistackEngine
from tests.certificates import server_context
from tests.users import USERS

Scope = dict[str, object]
Receive = Callable[[], Awaitable[dict[str, object]]]
Send = Callable[[dict[str, object]], Awaitable[None]]
Answer = Callable[[Send], Awaitable[None]]


class _Tls(Config):
    """Listens on a free port of 127.0.0.1, with a certificate for it."""

    def __init__(self, context: ssl.SSLContext, max_requests: int) -> None:
        super().__init__()
        self.bind = ["127.0.0.1:0"]
        self.errorlog = None
        self.graceful_timeout = 0.1
        self.keep_alive_max_requests = max_requests
        self._context = context

    @property
    def ssl_enabled(self) -> bool:
        return True

    def create_ssl_context(self) -> ssl.SSLContext:
        return self._context


class Http2Node:
    """What the node has seen, and what it does out of turn.

    Attributes:
        url: Its endpoint.
        versions: The HTTP version of each request.
        connections: The client's port of each request: one for each connection.
        requests: The headers of each operation.
        answer: Takes the place of the store's answer to operations; None: the store answers.
        pause: Awaited before each operation is answered.
    """

    def __init__(self, engine: MinistackEngine) -> None:
        self.url = ""
        self.versions: list[object] = []
        self.connections: list[int] = []
        self.requests: list[list[tuple[bytes, bytes]]] = []
        self.answer: Answer | None = None
        self.pause: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _live(receive, send)
            return
        self.versions.append(scope["http_version"])
        self.connections.append(scope["client"][1])
        if scope["path"] == "/localnodes":
            await reply(send, 200, b'["127.0.0.1"]')
            return
        self.requests.append(scope["headers"])
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        target = dict(scope["headers"])[b"x-amz-target"].decode()
        answer = await self._engine.execute(target.partition(".")[2], body)
        await self.pause()
        await (self.answer(send) if self.answer is not None else reply(send, *answer))


async def _live(receive: Receive, send: Send) -> None:
    """ASGI's lifespan, of which nothing is wanted here."""
    for moment in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{moment}.complete"})


async def reply(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    fields = [(b"content-type", b"application/x-amz-json-1.0"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def http2_node(
    authority: trustme.CA,
    *,
    protocols: tuple[str, ...] = ("h2", "http/1.1"),
    max_requests: int = 10**9,
    name: str = "127.0.0.1",
) -> AsyncGenerator[Http2Node]:
    """A node with a table ``users``; after ``max_requests`` it ends a connection, as HTTP/2 does: with GOAWAY."""
    context = server_context(authority, name)
    context.set_alpn_protocols(list(protocols))
    engine = MinistackEngine()
    await engine.execute("CreateTable", json.dumps(USERS).encode())
    node = Http2Node(engine)
    over = trio.Event()
    async with trio.open_nursery() as nursery:
        (node.url,) = await nursery.start(
            lambda task_status: serve(
                node, _Tls(context, max_requests), shutdown_trigger=over.wait, task_status=task_status
            )
        )
        try:
            yield node
        finally:
            over.set()
            nursery.cancel_scope.deadline = trio.current_time() + 1
    await engine.aclose()

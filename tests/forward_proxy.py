"""A small forward proxy: absolute-form requests for http, CONNECT for https, Basic authentication where it is told."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import trio

REFUSAL = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"
)
BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class ForwardProxy:
    """What the proxy has seen.

    Attributes:
        url: Where it listens, without user info.
        seen: Method and target of each request that it was sent.
        open_connections: Clients that are connected.
    """

    def __init__(self, login: str | None) -> None:
        self.url = ""
        self.seen: list[tuple[str, str]] = []
        self.open_connections = 0
        self._login = None if login is None else b"Basic " + base64.b64encode(login.encode())

    async def serve(self, client: trio.SocketStream) -> None:
        self.open_connections += 1
        try:
            await self._serve(client)
        except* BROKEN:
            pass
        finally:
            self.open_connections -= 1
            await trio.aclose_forcefully(client)

    async def _serve(self, client: trio.SocketStream) -> None:
        upstream: trio.SocketStream | None = None
        async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    part = await client.receive_some()
                    if not part:
                        nursery.cancel_scope.cancel()
                        return
                    data += part
                head, _, data = data.partition(b"\r\n\r\n")
                first, *lines = head.split(b"\r\n")
                method, target, _ = first.decode().split(" ")
                self.seen.append((method, target))
                fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
                length = int(fields.get(b"content-length", b"0"))
                while len(data) < length:
                    part = await client.receive_some()
                    if not part:
                        nursery.cancel_scope.cancel()
                        return
                    data += part
                body, data = data[:length], data[length:]
                if self._login is not None and fields.get(b"proxy-authorization") != self._login:
                    await client.send_all(REFUSAL)
                    continue
                if method == "CONNECT":
                    host, _, port = target.rpartition(":")
                    await self._tunnel(client, host, int(port))
                    return
                parts = urlsplit(target)
                if upstream is None:
                    upstream = await stack.enter_async_context(await trio.open_tcp_stream(parts.hostname, parts.port))
                    nursery.start_soon(copy, upstream, client, nursery.cancel_scope)
                kept = [line for line in lines if not line.lower().startswith(b"proxy-")]
                path = f"{parts.path}?{parts.query}" if parts.query else parts.path
                begin = f"{method} {path} HTTP/1.1".encode()
                await upstream.send_all(b"\r\n".join([begin, *kept]) + b"\r\n\r\n" + body)

    async def _tunnel(self, client: trio.SocketStream, host: str, port: int) -> None:
        try:
            upstream = await trio.open_tcp_stream(host, port)
        except OSError:
            await client.send_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        await client.send_all(b"HTTP/1.1 200 Connected\r\n\r\n")
        async with upstream, trio.open_nursery() as nursery:
            nursery.start_soon(copy, upstream, client, nursery.cancel_scope)
            await copy(client, upstream, nursery.cancel_scope)


async def copy(source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope) -> None:
    """What comes, until an end; then all is over."""
    try:
        while data := await source.receive_some():
            await sink.send_all(data)
    except BROKEN:
        pass
    scope.cancel()


@asynccontextmanager
async def forward_proxy(login: str | None = None, tls: ssl.SSLContext | None = None) -> AsyncGenerator[ForwardProxy]:
    """A proxy on 127.0.0.1; ``login`` is ``user:password``; with ``tls`` it is an https:// proxy."""
    proxy = ForwardProxy(login)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    proxy.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{listener.socket.getsockname()[1]}"
    async with trio.open_nursery() as nursery:
        secured = listener if tls is None else trio.SSLListener(listener, tls, https_compatible=True)
        nursery.start_soon(trio.serve_listeners, proxy.serve, [secured])
        yield proxy
        nursery.cancel_scope.cancel()

"""Attempts over real sockets: refusals of what was not read, nodes that restart, and descriptors that are not left."""

from __future__ import annotations

import gc
import os
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing

from alternator_trio._transport.dialing import TcpDialer
from alternator_trio._transport.native import NativeTransport
from alternator_trio._transport.pools import Pools
from alternator_trio._transport.wires import Peek
from alternator_trio.errors import AttemptTimeoutError, ConnectionLostError
from alternator_trio.nodes import Node
from tests.transport.peers import ANSWER, LARGE_REQUEST, REQUEST, answering, read_request

TOO_LARGE = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\n{}"

Handler = Callable[[trio.SocketStream], Awaitable[None]]


class Server:
    """A node on a real socket that can be restarted.

    Attributes:
        handler: What serves a connection.
        accepted: Connections so far.
    """

    def __init__(self, handler: Handler, nursery: trio.Nursery) -> None:
        self.handler = handler
        self.accepted = 0
        self._nursery = nursery
        self._scope = trio.CancelScope()

    async def start(self, port: int = 0) -> None:
        (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
        self.node = Node("http", "127.0.0.1", listener.socket.getsockname()[1])
        self._scope = trio.CancelScope()
        self._nursery.start_soon(self._run, listener, self._scope)

    async def restart(self) -> None:
        """End all connections, with FIN, and listen again."""
        self._scope.cancel()
        await trio.testing.wait_all_tasks_blocked(0.01)
        await self.start(self.node.port)

    async def _run(self, listener: trio.SocketListener, scope: trio.CancelScope) -> None:
        with scope:
            await trio.serve_listeners(self._serve, [listener])

    async def _serve(self, stream: trio.SocketStream) -> None:
        self.accepted += 1
        async with stream:
            with suppress(trio.BrokenResourceError):
                await self.handler(stream)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncGenerator[tuple[Server, NativeTransport]]:
    """A server, and a transport whose connections are closed at the end."""
    async with trio.open_nursery() as nursery:
        server = Server(handler, nursery)
        await server.start()
        pools = Pools(per_node=20, total=20, idle_lifetime=60, max_age=None, acquire_timeout=1, alarm=lambda _: None)
        transport = NativeTransport(pools, TcpDialer(2.0))
        yield server, transport
        pools.close()
        nursery.cancel_scope.cancel()


async def attempt(server: Server, transport: NativeTransport, request: bytes = REQUEST):
    lease = transport.pools.take(server.node, trio.current_time())
    assert lease is not None
    with trio.fail_after(5):
        return await transport.attempt(lease, request, trio.current_time(), 12.0, 2**20)


async def refuse_and_stay(stream: trio.SocketStream) -> None:
    """413 once the head is there; nothing more is read, nothing is closed."""
    await stream.receive_some(1000)
    await stream.send_all(TOO_LARGE)
    await trio.sleep_forever()


async def refuse_and_stop_reading(stream: trio.SocketStream) -> None:
    """413, then FIN; what still comes is read and thrown away, as a careful server does."""
    await stream.receive_some(1000)
    await stream.send_all(TOO_LARGE)
    await stream.send_eof()
    while await stream.receive_some():
        pass


@pytest.mark.parametrize("handler", [refuse_and_stay, refuse_and_stop_reading])
async def test_a_refusal_of_ten_megabytes_is_read_rather_than_lost(handler):
    """The server answers 413 without reading the body: the answer arrives, and the connection is not used again."""
    async with serving(handler) as (server, transport):
        for _ in range(2):
            assert (await attempt(server, transport, LARGE_REQUEST)).status == 413
        assert server.accepted == 2
        assert transport.pools.used == 0


async def test_a_server_that_breaks_off_a_large_request_is_an_error_not_a_wait():
    """A reset in the middle of the body, without a word: the connection is lost at once."""

    async def break_off(stream: trio.SocketStream) -> None:
        await stream.receive_some(1000)

    async with serving(break_off) as (server, transport):
        with pytest.raises(ConnectionLostError) as caught:
            await attempt(server, transport, LARGE_REQUEST)
        assert caught.value.may_have_happened
        assert transport.pools.used == 0


async def test_a_restarted_node_costs_no_request():
    """Ten connections that were used a moment ago: the look at the first finds out for all of them."""
    async with serving(answering(ANSWER)) as (server, transport):
        now = trio.current_time()
        leases = [transport.pools.take(server.node, now) for _ in range(10)]
        for lease in leases:
            assert lease is not None
            await transport.attempt(lease, REQUEST, trio.current_time(), 12.0, 100)
        await server.restart()
        for _ in range(10):
            assert (await attempt(server, transport)).status == 200
        assert server.accepted == 11
        assert transport.pools.statistics() == (1, 0, 0)


@pytest.mark.parametrize("request_bytes", [REQUEST, LARGE_REQUEST], ids=["small", "large"])
async def test_a_request_that_the_kernel_refuses_has_not_happened(request_bytes):
    """The connection was reset between the look at it and its use: the send fails whole, and nothing was sent."""

    async def answer_and_reset(stream: trio.SocketStream) -> None:
        await read_request(stream)
        await stream.send_all(ANSWER)
        await wanted.wait()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    wanted = trio.Event()
    async with serving(answer_and_reset) as (server, transport):
        await attempt(server, transport)
        lease = transport.pools.take(server.node, trio.current_time())
        assert lease is not None
        wanted.set()
        while lease.peek() is Peek.QUIET:
            await trio.sleep(0.001)
        with pytest.raises(ConnectionLostError, match=r"[Rr]eset|[Bb]roken") as caught:
            await transport.attempt(lease, request_bytes, trio.current_time(), 12.0, 100)
        assert not caught.value.may_have_happened
        assert transport.pools.used == 0


async def ignore(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def stall_in_the_body(stream: trio.SocketStream) -> None:
    await read_request(stream)
    await stream.send_all(ANSWER[:-1])
    await trio.sleep_forever()


@pytest.mark.parametrize("handler", [ignore, stall_in_the_body])
@pytest.mark.parametrize("request_bytes", [REQUEST, LARGE_REQUEST], ids=["small", "large"])
async def test_an_overdue_attempt_is_closed_under_its_task(handler, request_bytes):
    """Sending or receiving, it ends with the attempt's timeout and nothing else."""
    async with serving(handler) as (server, transport), trio.open_nursery() as nursery:

        async def time_out() -> None:
            with pytest.raises(AttemptTimeoutError) as caught:
                await attempt(server, transport, request_bytes)
            assert caught.value.may_have_happened

        nursery.start_soon(time_out)
        await trio.testing.wait_all_tasks_blocked(0.02)
        transport.pools.sweep(trio.current_time() + 100)
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert transport.pools.used == 0


def open_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts descriptors in /proc")
@pytest.mark.parametrize("handler", [answering(ANSWER), ignore, stall_in_the_body, refuse_and_stay])
@pytest.mark.parametrize("request_bytes", [REQUEST, LARGE_REQUEST], ids=["small", "large"])
async def test_attempts_cancelled_after_any_number_of_ticks_leave_no_descriptor(handler, request_bytes):
    """Dialling, sending, receiving: only idle connections are open afterwards, and none at the end."""
    before = open_descriptors()
    async with serving(handler) as (server, transport):
        for ticks in range(12):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(attempt, server, transport, request_bytes)
                for _ in range(ticks):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            idle, leased, waiting = transport.pools.statistics()
            assert (leased, waiting) == (0, 0)
            assert transport.pools.used == idle
    assert open_descriptors() == before

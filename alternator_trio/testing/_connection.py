"""One client's connection to a node: requests in, answers out in the same order, and the faults in between.

Rules:

* The node never closes an idle connection.
* A request is on record before anything else happens to it.
* After a request that cannot be read to its end (no HTTP, or too large) the connection is answered and closed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol, assert_never

import trio

from alternator_trio.testing._alternator import TOO_LARGE, operation_of, shed, too_large
from alternator_trio.testing._http import TEXT_TYPE, BadRequestError, Reply, Request, RequestParser, chunked
from alternator_trio.testing.faults import LOCALNODES, Answer, Close, Fault, Hang, Reset, Shed, Truncate
from alternator_trio.testing.received import ReceivedRequest

if TYPE_CHECKING:
    from alternator_trio.testing._script import Script

LINGER_SECONDS = 1.0
"""How long a node that closes early goes on reading what the client still sends."""


class Carrier(Protocol):
    """What a connection comes on, below TLS."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes: ...
    def finish_sending(self) -> None: ...
    def cut(self, *, reset: bool) -> None: ...


class Answering(Protocol):
    """What has the answers."""

    async def reply(self, request: Request) -> Reply: ...


class Rendering(Protocol):
    """What turns answers into bytes."""

    def render(self, reply: Reply, *, keep_alive: bool = True) -> bytes: ...
    def head(self, reply: Reply, *, keep_alive: bool = True) -> bytes: ...


class Connection:
    """One accepted connection. `stream` carries HTTP: the socket's own stream, or TLS over it."""

    def __init__(
        self,
        *,
        number: int,
        socket_stream: Carrier,
        stream: trio.abc.Stream,
        application: Answering,
        script: Script,
        renderer: Rendering,
    ) -> None:
        self._number = number
        self._socket_stream = socket_stream
        self._stream = stream
        self._application = application
        self._script = script
        self._renderer = renderer
        self._parser = RequestParser()

    async def serve(self) -> None:
        """Answer requests until one side closes."""
        while True:
            data = await self._stream.receive_some()
            if not data:
                return
            try:
                requests, broken = self._parser.feed(bytes(data)), None
            except BadRequestError as error:
                requests, broken = self._parser.take(), error
            for request in requests:
                if not await self._answer(request):
                    return
            if broken is not None:
                await self._refuse(Reply(400, f"bad request: {broken}".encode(), TEXT_TYPE))
                return
            if self._parser.too_large:
                self._recorded(self._parser.current())
                await self._refuse(too_large())
                return

    async def _answer(self, request: Request) -> bool:
        """Answer one request; False when the connection ended with it."""
        name = self._recorded(request)
        fault = self._script.take_fault(name)
        if fault is not None:
            return await self._commit(fault, request)
        reply = await self._reply(request, name)
        if reply.status == TOO_LARGE:
            await self._refuse(reply)
            return False
        render = self._renderer.head if request.method == "HEAD" else self._renderer.render
        await self._send(render(reply, keep_alive=request.keep_alive))
        return request.keep_alive

    async def _reply(self, request: Request, name: str | None) -> Reply:
        given = self._script.localnodes_answer
        if given is not None and name == LOCALNODES:
            return _given_reply(given)
        return await self._application.reply(request)

    def _recorded(self, request: Request) -> str | None:
        """Put the request on record; the name by which faults know it."""
        operation = operation_of(request.fields)
        if self._script.recording:
            received = ReceivedRequest(
                method=request.method,
                path=request.target,
                headers=request.headers,
                body=request.body,
                connection_id=self._number,
                operation=operation,
            )
            self._script.requests.append(received)
        if request.method == "GET" and request.target.partition("?")[0] == "/localnodes":
            return LOCALNODES
        return operation

    async def _commit(self, fault: Fault, request: Request) -> bool:
        """Commit the fault; False when the connection ended with it."""
        match fault:
            case Reset():
                await self._execute_if(fault.executed, request)
                self._socket_stream.cut(reset=True)
                return False
            case Close():
                await self._execute_if(fault.executed, request)
                return False
            case Hang():
                await self._execute_if(fault.executed, request)
                await self._drain()
                return False
            case Shed():
                await self._send(self._renderer.render(shed()))
                return not fault.drop
            case Truncate():
                reply = await self._application.reply(request)
                await self._send(self._truncated(reply, fault))
                return False
            case Answer():
                await self._execute_if(fault.executed, request)
                await self._send(self._renderer.render(_given_reply(fault)))
                return not fault.close
            case _:
                assert_never(fault)

    async def _execute_if(self, wanted: bool, request: Request) -> None:  # noqa: FBT001 - the name says what is wanted
        if wanted:
            await self._application.reply(request)

    def _truncated(self, reply: Reply, fault: Truncate) -> bytes:
        streamed = fault.chunked or reply.streamed
        head = self._renderer.head(dataclasses.replace(reply, streamed=streamed))
        part = reply.body[: fault.body_bytes]
        return head + (chunked(part, last_chunk=False) if streamed else part)

    async def _send(self, data: bytes) -> None:
        if self._script.delay > 0:
            await trio.sleep(self._script.delay)
        await self._stream.send_all(data)

    async def _refuse(self, reply: Reply) -> None:
        await self._send(self._renderer.render(reply, keep_alive=False))
        await self._linger()

    async def _linger(self) -> None:
        """Read on for a moment: closing with unread data resets the connection (RFC 9112, section 9.6)."""
        self._socket_stream.finish_sending()
        with trio.move_on_after(LINGER_SECONDS):
            await self._drain()

    async def _drain(self) -> None:
        """Read what comes until the client leaves."""
        while await self._socket_stream.receive_some():
            pass


def _given_reply(answer: Answer) -> Reply:
    headers = tuple((name, value) for name, value in answer.headers if name.lower() != "content-type")
    types = [value for name, value in answer.headers if name.lower() == "content-type"]
    plain = Reply(answer.status, answer.body, headers=headers)
    return Reply(answer.status, answer.body, types[0], headers=headers) if types else plain

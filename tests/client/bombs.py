"""A process of its own for each bomb: one GetItem against a node that answers with it, and what that cost in memory.

``python -m tests.client.bombs KIND MAX_RESPONSE_BYTES`` prints one line of JSON: the error, and by how many MiB the
process's peak RSS has grown over what it had been after a plain GetItem. Node and client share the process; the node
sends from one small buffer, so that the growth is the client's.
"""

from __future__ import annotations

import gzip
import json
import resource
import sys
import zlib
from collections.abc import Callable, Iterator

import trio

from alternator_trio import AlternatorError, RetryPolicy, open_alternator

_MIB = 2**20
_ZEROS = bytes(_MIB)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n"
_PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def _squeezed(mebibytes: int) -> bytes:
    """So many MiB of zeros, a thousandth of that as gzip; its checksum, which nobody comes to read, is wrong."""
    squeezer = zlib.compressobj(9, wbits=31)
    first = squeezer.compress(_ZEROS) + squeezer.flush(zlib.Z_FULL_FLUSH)
    further = squeezer.compress(_ZEROS) + squeezer.flush(zlib.Z_FULL_FLUSH)
    return first + (mebibytes - 2) * further + squeezer.compress(_ZEROS) + squeezer.flush()


def _whole(body: bytes, head: bytes = _HEAD) -> Iterator[bytes]:
    return iter((head + b"content-length: %d\r\n\r\n" % len(body), body))


def one_to_a_thousand() -> Iterator[bytes]:
    """1 GiB in 1 MiB."""
    return _whole(_squeezed(1024))


def nested() -> Iterator[bytes]:
    """4 GiB, packed twice, into a few KiB: said to be packed once, as a server cannot say otherwise."""
    return _whole(gzip.compress(_squeezed(4096), 9))


def nested_and_said_so() -> Iterator[bytes]:
    """The same, with both layers named."""
    return _whole(gzip.compress(_squeezed(1024), 9), _HEAD.replace(b"gzip", b"gzip, gzip"))


def endless() -> Iterator[bytes]:
    """A gzip stream without an end, in chunks."""
    squeezer = zlib.compressobj(9, wbits=31)
    yield _HEAD + b"transfer-encoding: chunked\r\n\r\n"
    while True:
        piece = squeezer.compress(_ZEROS)
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)


def endless_and_plain() -> Iterator[bytes]:
    """A body without an end that is packed not at all."""
    yield b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n%b\r\n" % _ZEROS[:65536]


KINDS: dict[str, Callable[[], Iterator[bytes]]] = {
    make.__name__: make for make in (one_to_a_thousand, nested, nested_and_said_so, endless, endless_and_plain)
}


async def _serve(stream: trio.SocketStream, answers: list[Iterator[bytes]]) -> None:
    async with stream:
        try:
            async for data in stream:
                assert data.endswith(b"}")
                for piece in answers.pop(0):
                    await stream.send_all(piece)
        except trio.BrokenResourceError:
            pass  # the client has had enough


async def measure(kind: str, max_response_bytes: int) -> dict[str, object]:
    """One bomb."""
    answers = [iter([_PLAIN]), KINDS[kind](), iter([_PLAIN])]
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, lambda stream: _serve(stream, answers), listeners)
        async with open_alternator(
            f"http://127.0.0.1:{port}",
            discovery=False,
            response_compression=("gzip",),
            max_response_bytes=max_response_bytes,
            attempt_timeout=2.0,
            retry=RetryPolicy(max_attempts=1),
        ) as client:
            await client.get_item(TableName="t", Key={"id": {"S": "a"}})
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            try:
                await client.get_item(TableName="t", Key={"id": {"S": "a"}})
            except AlternatorError as error:
                shown = f"{type(error).__name__}: {error}"
            else:
                shown = "no error"
            growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            await client.get_item(TableName="t", Key={"id": {"S": "a"}})
        nursery.cancel_scope.cancel()
    return {"error": shown, "growth": growth / 1024, "left": len(answers)}


if __name__ == "__main__":
    print(json.dumps(trio.run(measure, sys.argv[1], int(sys.argv[2]))))  # noqa: T201  # its one purpose

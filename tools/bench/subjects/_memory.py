"""Nodes that are bytes in memory: every request is answered at once, on a wire that costs nearly nothing.

What is left of an operation is what the client itself does, and one checkpoint where the answer is waited for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import trio

from alternator_trio._transport.wires import Peek

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alternator_trio import Node

PORT = 8000
PER_BLOCK = 250


def addresses(count: int) -> list[str]:
    """So many addresses of 10.0.0.0/8."""
    return [f"10.0.{number // PER_BLOCK}.{number % PER_BLOCK + 1}" for number in range(count)]


class MemoryCluster:
    """Answers ``GET /localnodes`` with its addresses, and each operation with the body that it was given for it."""

    def __init__(self, nodes: int, answers: Mapping[str, object]) -> None:
        self.addresses = addresses(nodes)
        self._answers = [
            (b"GET /localnodes", _response(self.addresses)),
            *((f".{name}\r".encode(), _response(answer)) for name, answer in answers.items()),
        ]

    @property
    def seed(self) -> str:
        """The first node's endpoint."""
        return f"http://{self.addresses[0]}:{PORT}"

    async def dial(self, node: Node) -> MemoryWire:
        """Connect; every node is the same."""
        del node
        await trio.lowlevel.checkpoint()
        return MemoryWire(self._answers)


class MemoryWire:
    """One connection."""

    __slots__ = ("_answer", "_answers")

    def __init__(self, answers: Sequence[tuple[bytes, bytes]]) -> None:
        self._answers = answers
        self._answer = b""

    async def send(self, data: bytes) -> None:
        """Find the answer."""
        self._answer = next(answer for mark, answer in self._answers if mark in data)

    async def receive(self) -> bytes:
        """Give it."""
        await trio.lowlevel.checkpoint()
        return self._answer

    def peek(self) -> Peek:
        """See nothing: there is nothing but answers to requests."""
        return Peek.QUIET

    def close(self) -> None:
        """Have nothing to close."""


def _response(body: object) -> bytes:
    content = json.dumps(body, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: application/x-amz-json-1.0\r\n\r\n%b" % (
        len(content),
        content,
    )

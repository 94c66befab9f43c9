"""What a hostile node does in place of an answer: a few steps, played over any byte stream.

Rules: a script is a tuple of steps and nothing else; a script that comes to its end leaves the connection open. Large
payloads are made when they are first sent. Needs nothing but Trio, so that any program can play a script.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias, assert_never

import trio

__all__ = ["Bare", "Drip", "End", "Endless", "Fin", "Pause", "Rst", "Send", "Silence", "Step", "play"]

_PIECE: Final = 64 * 1024


class End(Protocol):
    """The server's end of a connection."""

    async def send(self, data: bytes) -> None: ...

    async def send_bare(self, data: bytes) -> None: ...

    async def receive(self) -> bytes: ...

    def close(self, *, reset: bool = False) -> None: ...


class Send(NamedTuple):
    """These bytes, all at once."""

    data: bytes | Callable[[], bytes]


class Bare(NamedTuple):
    """These bytes, past TLS: nobody encrypted them."""

    data: bytes


class Drip(NamedTuple):
    """These bytes, one by one, with a pause of so many seconds after each."""

    data: bytes
    every: float


class Endless(NamedTuple):
    """These bytes again and again, until the client leaves; or so many times."""

    data: bytes
    times: int | None = None


class Pause(NamedTuple):
    """Nothing, for so many seconds."""

    seconds: float


class Silence(NamedTuple):
    """Nothing, until the client leaves."""


class Fin(NamedTuple):
    """The end of the connection; of TLS as well, without a word of farewell."""


class Rst(NamedTuple):
    """The connection is reset."""


Step: TypeAlias = Send | Bare | Drip | Endless | Pause | Silence | Fin | Rst


async def play(script: Sequence[Step], end: End) -> bool:
    """Play a script; False when the connection is over."""
    for step in script:
        match step:
            case Silence():
                while await end.receive():
                    pass
                return False
            case Fin() | Rst():
                end.close(reset=isinstance(step, Rst))
                return False
            case _:
                await _say(step, end)
    return True


async def _say(step: Send | Bare | Drip | Endless | Pause, end: End) -> None:
    match step:
        case Send(data=data):
            await end.send(data if isinstance(data, bytes) else data())
        case Bare(data=data):
            await end.send_bare(data)
        case Drip(data=data, every=every):
            for byte in data:
                await end.send(bytes([byte]))
                await trio.sleep(every)
        case Endless():
            await _repeat(step, end)
        case Pause(seconds=seconds):
            await trio.sleep(seconds)
        case _:
            assert_never(step)


async def _repeat(step: Endless, end: End) -> None:
    at_once = max(1, _PIECE // len(step.data))
    left = math.inf if step.times is None else step.times
    while left > 0:
        await end.send(step.data * int(min(at_once, left)))
        await trio.lowlevel.checkpoint()
        left -= at_once

"""Pools over wires that carry nothing, for tests that count connections."""

from __future__ import annotations

import math
from typing import Never

import trio

from alternator_trio._transport.connection import Connection
from alternator_trio._transport.pools import Pools
from alternator_trio._transport.wires import Peek
from alternator_trio.nodes import Node

A, B, C = RING = tuple(Node("http", host, 8000) for host in "abc")
SEED = Node("http", "seed", 8000)  # which no node lists


class FakeWire:
    """Records its closing, and shows what it is told to show."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.shows = Peek.QUIET
        self.looks = 0
        self.is_closed = False

    async def send(self, data: bytes) -> Never:
        raise AssertionError("nothing is sent")

    async def receive(self) -> Never:
        raise AssertionError("nothing is received")

    def peek(self) -> Peek:
        assert not self.is_closed
        self.looks += 1
        return self.shows

    def close(self) -> None:
        self.is_closed = True


class Alarm:
    """The Dispatcher's part: told when a sweep is wanted, and sweeping then where a test does not do it itself.

    Attributes:
        at: When the next sweep is wanted.
    """

    def __init__(self) -> None:
        self.at = math.inf
        self._sleeping: trio.CancelScope | None = None

    def __call__(self, when: float) -> None:
        self.at = min(self.at, when)
        if self._sleeping is not None:
            self._sleeping.deadline = self.at

    async def sweep_when_due(self, pools: Pools) -> Never:
        while True:
            with trio.CancelScope(deadline=self.at) as self._sleeping:
                await trio.sleep_forever()
            self.at = math.inf
            pools.sweep(trio.current_time())


class PoolWorld:
    """Pools, every wire that was made for them, and their alarm."""

    def __init__(
        self,
        *,
        per_node: int = 8,
        total: int = 8,
        idle_lifetime: float = 60.0,
        max_age: float | None = None,
        acquire_timeout: float = 10.0,
    ) -> None:
        self.per_node = per_node
        self.total = total
        self.wires: list[FakeWire] = []
        self.alarm = Alarm()
        self.pools = Pools(
            per_node=per_node,
            total=total,
            idle_lifetime=idle_lifetime,
            max_age=max_age,
            acquire_timeout=acquire_timeout,
            alarm=self.alarm,
        )

    def sweep(self, now: float) -> None:
        """What the Dispatcher does when the alarm goes off."""
        self.alarm.at = math.inf
        self.pools.sweep(now)

    async def dial(self, node: Node) -> FakeWire:
        """Make a wire, without a checkpoint."""
        wire = FakeWire(node)
        self.wires.append(wire)
        return wire

    async def lease(self, node: Node = A, now: float = 0.0) -> Connection:
        """A lease that is to be had at once, dialled."""
        lease = self.pools.take(node, now)
        assert lease is not None
        await lease.dial(self.dial)
        return lease

    @property
    def open_wires(self) -> list[FakeWire]:
        return [wire for wire in self.wires if not wire.is_closed]

"""What befalls the nodes of a simulated cluster by itself: crashes, pauses, partitions, moves, clocks that jump.

Rules: each kind of mishap comes at its own rate and, but for joining and leaving, passes by itself; `heal` ends all of
them at once. At least one node is left that has not been taken down here. The first node of each datacenter keeps its
address and never leaves, so that whoever knows the seeds can find the cluster again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, Protocol

import trio

from alternator_trio.testing.simulation.node import SimulatedNode
from alternator_trio.testing.simulation.rates import FaultRates

__all__ = ["Chaos", "ChaosWorld"]

_LONGEST: Final = 40.0
_MOST_NODES: Final = 9
_SLOWEST: Final = 400.0
_JUMP_SECONDS: Final = 5.0


class Clock(Protocol):
    """What has a wall clock."""

    @property
    def clock_skew(self) -> float: ...
    @clock_skew.setter
    def clock_skew(self, seconds: float) -> None: ...


class ChaosWorld(Clock, Protocol):
    """What there is to disturb; its clock is the clients'."""

    @property
    def nodes(self) -> tuple[SimulatedNode, ...]: ...
    def add_node(self, datacenter: str, rack: str) -> SimulatedNode: ...
    def remove_node(self, node: SimulatedNode) -> None: ...
    def cut_off(self, node: SimulatedNode) -> None: ...
    def mend(self, node: SimulatedNode) -> None: ...
    def split(self, *nodes: SimulatedNode) -> None: ...
    def rejoin(self) -> None: ...
    def slow_down(self, node: SimulatedNode, factor: float) -> None: ...


class Chaos:
    """Disturbs a cluster.

    Args:
        world: The cluster.
        rates: How often; may be replaced at any time.
        rng: Where everything is drawn from.
        nursery: Where what a mishap still has to do is done.

    Attributes:
        rates: How often which mishap comes.
    """

    def __init__(self, world: ChaosWorld, rates: FaultRates, rng: random.Random, nursery: trio.Nursery) -> None:
        self.rates = rates
        self._world = world
        self._rng = rng
        self._nursery = nursery
        self._ending: dict[trio.CancelScope, Callable[[], object]] = {}
        self._mishaps: dict[str, Callable[[], None]] = {
            "crash_rate": lambda: self._take_down(SimulatedNode.kill),
            "power_off_rate": lambda: self._take_down(SimulatedNode.power_off),
            "restart_rate": lambda: self._take_down(SimulatedNode.stop),
            "pause_rate": self._pause,
            "move_rate": self._move,
            "swap_rate": self._swap,
            "join_rate": self._join,
            "leave_rate": self._leave,
            "cut_off_rate": self._cut_off,
            "split_rate": self._split,
            "slow_rate": self._slow_down,
            "clock_jump_rate": self._jump,
        }

    def begin(self) -> None:
        """Begin; each kind of mishap has a task of its own."""
        for name, strike in self._mishaps.items():
            if getattr(self.rates, name):
                self._nursery.start_soon(self._keep_striking, name, strike, name=f"chaos {name}")

    def heal(self) -> None:
        """End every mishap that is under way, and let no more come."""
        self.rates = FaultRates()
        for scope, end in list(self._ending.items()):
            scope.cancel()
            end()
        self._ending.clear()

    async def _keep_striking(self, name: str, strike: Callable[[], None]) -> None:
        while rate := getattr(self.rates, name):
            await trio.sleep(self._rng.expovariate(rate))
            if getattr(self.rates, name):
                strike()

    def _later(self, end: Callable[[], object], longest: float = _LONGEST) -> None:
        """Do something after a while: mostly soon, sometimes late."""
        scope = trio.CancelScope()
        self._ending[scope] = end
        self._nursery.start_soon(self._wait, scope, longest * self._rng.random() ** 3)

    async def _wait(self, scope: trio.CancelScope, seconds: float) -> None:
        with scope:
            await trio.sleep(seconds)
            self._ending.pop(scope)()

    def _victim(self) -> SimulatedNode | None:
        """A node that runs and is not the last that does."""
        running = [node for node in self._world.nodes if node.is_running and not node.gate.is_shut]
        return self._rng.choice(running) if len(running) > 1 else None

    def _wanderers(self) -> list[SimulatedNode]:
        """The nodes that run and may lose their address."""
        anchors = {node.datacenter: node for node in reversed(self._world.nodes)}
        return [node for node in self._world.nodes if node.is_running and node is not anchors[node.datacenter]]

    def _take_down(self, how: Callable[[SimulatedNode], None]) -> None:
        if (node := self._victim()) is not None:
            how(node)
            self._later(lambda: self._start(node))

    def _start(self, node: SimulatedNode) -> None:
        taken = {other.address for other in self._world.nodes if other.is_running}
        if node in self._world.nodes and node.address not in taken:
            node.start()

    def _pause(self) -> None:
        if (node := self._victim()) is not None:
            node.pause()
            self._later(node.resume)

    def _move(self) -> None:
        """Another address, one that no node had before."""
        if wanderers := self._wanderers():
            node = self._rng.choice(wanderers)
            node.kill()
            address = f"10.9.{self._rng.randrange(256)}.{self._rng.randrange(1, 255)}"
            self._later(lambda: node.start(address=address), 5.0)

    def _swap(self) -> None:
        wanderers = self._wanderers()
        if len(wanderers) > 1:
            one, other = self._rng.sample(wanderers, 2)
            addresses = one.address, other.address
            one.kill()
            other.kill()

            def come_back() -> None:
                other.start(address=addresses[0])
                one.start(address=addresses[1])

            self._later(come_back, 5.0)

    def _join(self) -> None:
        if len(self._world.nodes) < _MOST_NODES:
            like = self._rng.choice(self._world.nodes)
            self._world.add_node(like.datacenter, like.rack)

    def _leave(self) -> None:
        if wanderers := self._wanderers():
            self._world.remove_node(self._rng.choice(wanderers))

    def _cut_off(self) -> None:
        if (node := self._victim()) is not None:
            self._world.cut_off(node)
            self._later(lambda: self._world.mend(node))

    def _split(self) -> None:
        nodes = list(self._world.nodes)
        self._world.split(*self._rng.sample(nodes, self._rng.randrange(1, len(nodes) + 1)))
        self._later(self._world.rejoin)

    def _slow_down(self) -> None:
        if (node := self._victim()) is not None:
            self._world.slow_down(node, _SLOWEST ** self._rng.random())
            self._later(lambda: self._world.slow_down(node, 1.0))

    def _jump(self) -> None:
        clocks: tuple[Clock, ...] = (*self._world.nodes, self._world)
        most = max(_JUMP_SECONDS, self.rates.clock_skew)
        self._rng.choice(clocks).clock_skew = self._rng.uniform(-most, most)

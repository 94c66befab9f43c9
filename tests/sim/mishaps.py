"""What befalls a run beside the cluster's own chaos, drawn per run: crashes of actors, and of the cluster what rates do
not say.

Rules: a crash is a message that no actor knows, as `tests/actors` crashes them, told at a drawn time, or just as a
request of the actor's goes out, so that it dies with its children. Everything ends when the cluster is healed, but for
addresses that have moved.
"""

from __future__ import annotations

import dataclasses
import random

import trio

from alternator_trio import Client
from alternator_trio._supervision import Inbox, Message
from alternator_trio.testing import SimulatedCluster
from alternator_trio.testing.faults import Answer, Hang
from tests.sim.check_bounds import BoundsWatch
from tests.sim.check_wire import kind_of

__all__ = ["Crashes", "Mishaps"]

NOBODY = Answer(status=200, body=b"[]")
OFTEN = 1.0  # seconds between mishaps, on average
SHORT = 1.5
LONG = 8.0
CRASHES_EACH = 2
DYING = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class Nonsense(Message):
    """A message that no actor knows: whoever reads it crashes."""


class Mishaps:
    """What befalls a cluster as a whole, and what its nodes do wrong.

    Args:
        cluster: What they befall.
        rng: Where everything is drawn from.
    """

    def __init__(self, cluster: SimulatedCluster, rng: random.Random) -> None:
        self._cluster = cluster
        self._rng = rng

    async def blink(self) -> None:
        """All nodes freeze for a moment, again and again."""
        while True:
            await trio.sleep(self._rng.expovariate(1.0 / OFTEN))
            frozen = [node for node in self._cluster.nodes if node.is_running and not node.gate.is_shut]
            for node in frozen:
                node.pause()
            await trio.sleep(SHORT * self._rng.random())
            for node in frozen:
                node.resume()

    async def drag(self) -> None:
        """All nodes are slow for a while, again and again: traffic gives up, and probes, more patient, succeed."""
        while True:
            await trio.sleep(self._rng.expovariate(1.0 / OFTEN))
            for node in self._cluster.nodes:
                node.delay = SHORT * self._rng.random()
            await trio.sleep(LONG * self._rng.random())
            for node in self._cluster.nodes:
                node.delay = 0.0

    async def hang(self) -> None:
        """A node never answers one or more operations, and is well otherwise, again and again."""
        while True:
            await trio.sleep(self._rng.expovariate(1.0 / OFTEN))
            self._rng.choice(self._cluster.nodes).fail_next(Hang(), times=self._rng.randint(1, 4))

    async def list_nobody(self) -> None:
        """A node answers with an empty list for a while, again and again."""
        while True:
            await trio.sleep(self._rng.expovariate(1.0 / OFTEN))
            node = self._rng.choice(self._cluster.nodes)
            node.localnodes_answer = NOBODY
            await trio.sleep(SHORT * self._rng.random())
            node.localnodes_answer = None

    def exodus(self) -> None:
        """The whole first datacenter comes back under other addresses; who knows the second one finds it again."""
        for number, node in enumerate(self._cluster.nodes):
            if node.datacenter == "dc1":
                node.kill(listed_for=0.0)
                node.start(address=f"10.8.0.{number + 1}")


class Crashes:
    """Crashes the actors of one client.

    Args:
        client: The client.
        name: Its name on the network.
        watch: Told of each crash, so that it is not taken for the client's own.
        rng: Where everything is drawn from.
    """

    def __init__(self, client: Client, name: str, watch: BoundsWatch, rng: random.Random) -> None:
        runtime = client._runtime
        self._name = name
        self._watch = watch
        self._rng = rng
        self._left = dict.fromkeys(("key", "ask", "probe"), CRASHES_EACH)
        self._inboxes = {"key": runtime.keys_inbox, "ask": runtime.discovery_inbox, "probe": runtime.discovery_inbox}
        self._others = (runtime.registry_inbox, runtime.dispatcher_inbox, runtime.credentials_inbox)

    async def run(self) -> None:
        """Crash each of the others once."""
        for inbox in self._others:
            await trio.sleep(self._rng.expovariate(1.0 / OFTEN))
            self._crash(inbox)

    def sent(self, client: str, node: str, number: int, data: bytes) -> None:
        """A request, in whose middle the actor may crash that wants its answer."""
        del node, number
        kind = kind_of(data).partition(" ")[0]
        if client == self._name and self._left.get(kind) and self._rng.random() < DYING:
            self._left[kind] -= 1
            self._crash(self._inboxes[kind])

    def dialled(self, client: str, node: str, number: int, address: str) -> None:
        """Nothing to crash for."""

    def read(self, client: str, node: str, number: int, data: bytes) -> None:
        """Nothing to crash for."""

    def received(self, client: str, node: str, number: int) -> None:
        """Nothing to crash for."""

    def closed(self, client: str, node: str, number: int) -> None:
        """Nothing to crash for."""

    def _crash(self, inbox: Inbox) -> None:
        self._watch.crashes += 1
        self._watch.crashed_at = trio.current_time()
        inbox.deliver(Nonsense())

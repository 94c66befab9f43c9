"""What takes a node down and what brings it back, held against what was seen of its attempts and probes.

Rules: a node goes down after as many failures as the options say, of attempts that began since it last went down: those
of its earlier life count for nothing. It comes back after as many answers to probes that were sent since. What only
looks like a probe, or was counted by nobody, may be among what is counted here: the client may count less, never more.
"""

from __future__ import annotations

import collections
import math

import trio

from alternator_trio import Client, NodeHealth
from alternator_trio.instruments import Instrument, NodeStateChanged
from tests.sim.check_wire import kind_of

__all__ = ["HealthWatch"]


class HealthWatch(Instrument):
    """Looks at one client's attempts, at its probes on the wire, and at what it makes of them.

    Args:
        name: The client's name on the network.
        health: Its thresholds.

    Attributes:
        violations: What was against the rules.
    """

    def __init__(self, name: str, health: NodeHealth) -> None:
        self.violations: list[str] = []
        self._name = name
        self._health = health
        self._down_at: dict[str, float] = {}
        self._failures: collections.Counter[str] = collections.Counter()
        self._answers: collections.Counter[str] = collections.Counter()
        self._began: dict[object, float] = {}
        self._addresses: dict[int, str] = {}
        self._probes: dict[int, float] = {}

    def attach(self, client: Client) -> None:
        """See the client's attempts begin and fail."""
        pools, router = client._runtime.pools, client._runtime.data_path._router
        begin, failed = pools.begin, router.failed

        def begin_seen(lease, deadline):
            self._began[lease] = trio.current_time()
            begin(lease, deadline)

        def failed_seen(lease, live, error):
            node = lease.node.endpoint
            if self._began.pop(lease, math.inf) >= self._down_at.get(node, -math.inf):
                self._failures[node] += 1
            failed(lease, live, error)

        pools.begin, router.failed = begin_seen, failed_seen

    def node_state_changed(self, event: NodeStateChanged) -> None:
        """A node goes down, or comes back."""
        node = event.node
        if event.new == "DOWN":
            needed = self._health.active_failure if event.old == "ACTIVE" else self._health.quarantine_failure
            self._require(event, self._failures[node], needed, "failures of attempts")
            self._down_at[node] = trio.current_time()
            self._failures[node] = self._answers[node] = 0
        elif event.old == "DOWN":
            self._require(event, self._answers[node], self._health.down_recovery, "answers to probes")

    def dialled(self, client: str, node: str, number: int, address: str) -> None:
        """A connection of whichever client."""
        del client, node
        self._addresses[number] = f"http://{address}:8000"

    def sent(self, client: str, node: str, number: int, data: bytes) -> None:
        """A request, which may be a probe."""
        del node
        if client == self._name and kind_of(data) == "probe":
            self._probes[number] = trio.current_time()

    def read(self, client: str, node: str, number: int, data: bytes) -> None:
        """The first bytes of an answer, if they are not its end."""
        del client, node
        sent = self._probes.pop(number, None) if data else None
        address = self._addresses[number]
        if sent is not None and sent >= self._down_at.get(address, -math.inf):
            self._answers[address] += 1

    def received(self, client: str, node: str, number: int) -> None:
        """Nothing that `read` has not seen."""

    def closed(self, client: str, node: str, number: int) -> None:
        """A probe without an answer does not count."""
        del client, node
        self._probes.pop(number, None)

    def _require(self, event: NodeStateChanged, seen: int, needed: int, what: str) -> None:
        if seen < needed:
            self.violations.append(
                f"{self._name}: {event.node} is {event.new} after {seen} of {needed} {what} since it last went down"
            )

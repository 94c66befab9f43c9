"""The clients' wall clock, wrong by hours and jumping, while every node verifies signatures by its own.

Rules: a request that a node refuses for its time is signed by the node's clock and sent again: it fails only if a clock
has jumped while it ran. What a client takes for the difference is the difference, but for the nodes' own seconds and an
answer's age.
"""

from __future__ import annotations

import random

import trio

from alternator_trio import Credentials
from alternator_trio.config import Options
from alternator_trio.instruments import ClockSkewCorrected, Instrument
from alternator_trio.testing import SimulatedCluster
from alternator_trio.testing.simulation import Event, History

__all__ = ["ROLES", "SIGNED", "Clocks"]

ROLES = {"role": "secret"}
SIGNED: Options = {"credentials": Credentials("role", "secret"), "clock_skew_correction": "always"}
OFTEN = 5.0  # seconds between jumps, on average
TOLERATED = 14 * 60.0  # by a node
LONGEST = 20 * 3600.0  # of what the client corrects
NEARLY = 30.0  # more than nodes are off, and an attempt takes


class Clocks(Instrument):
    """Lets the clients' clock jump, and judges what clients make of it.

    Args:
        history: Where it is seen that a clock jumps.
        rng: Where everything is drawn from.

    Attributes:
        violations: What was against the rules.
    """

    def __init__(self, history: History, rng: random.Random) -> None:
        self.violations: list[str] = []
        self._rng = rng
        self._skew = 0.0
        self._jumped: list[float] = []
        history.listeners.append(self._see)

    async def run(self, cluster: SimulatedCluster) -> None:
        """Jump, again and again: to where it is right, to where nobody minds, to where every signature is refused."""
        while True:
            most = self._rng.choice((0.0, TOLERATED, LONGEST, LONGEST))
            cluster.clock_skew = self._rng.uniform(-most, most)
            await trio.sleep(self._rng.expovariate(1.0 / OFTEN))

    def jumped_since(self, began: float) -> bool:
        """Whether any clock has jumped since then."""
        return any(at >= began for at in self._jumped)

    def clock_skew_corrected(self, event: ClockSkewCorrected) -> None:
        """A client signs by a node's clock from now on."""
        if abs(event.seconds + self._skew) > NEARLY:
            self.violations.append(f"{event} where the clients' clock is {self._skew:.0f} s ahead")

    def _see(self, event: Event) -> None:
        if event.kind == "clock":
            self._jumped.append(event.at)
            if event.facts[0] == "clients":
                self._skew = float(event.facts[1] or 0.0)

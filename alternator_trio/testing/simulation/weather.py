"""What a network does to a message: how long it takes, in which pieces it comes, and whether its connection survives.

Rules: everything is drawn from one generator; times are whole quarters of a millisecond and never zero, so that things
meet in one tick which in the real world would meet once in a year.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Final

from alternator_trio.testing.simulation.rates import FaultRates

__all__ = ["Fate", "Weather"]

_TICK: Final = 0.00025
_RETRANSMISSION: Final = 0.2
_MOST_RETRANSMISSIONS: Final = 6
_MOST_PIECES: Final = 6
_WIDE_WINDOW: Final = 256 * 1024
_NARROWEST_WINDOW: Final = 16
_NARROW_WINDOW: Final = 600


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of one message.

    Attributes:
        pieces: In which it arrives, or what arrives of it.
        then: What follows the last piece.
    """

    pieces: tuple[bytes, ...]
    then: str | None = None


class Weather:
    """Draws what happens on the way.

    Args:
        rates: How often which fault happens; may be replaced at any time.
        rng: Where it is drawn from.
    """

    def __init__(self, rates: FaultRates, rng: random.Random) -> None:
        self.rates = rates
        self._rng = rng

    def latency(self, slowness: float) -> float:
        """Seconds one way, a lost piece's repetitions included."""
        rates, rng = self.rates, self._rng
        seconds = rates.latency * slowness * rng.expovariate(1.0) if rates.latency else 0.0
        if rates.loss:
            for repetition in range(_MOST_RETRANSMISSIONS):
                if rng.random() >= rates.loss:
                    break
                seconds += _RETRANSMISSION * 2**repetition
        return max(1, round(seconds / _TICK)) * _TICK

    def window(self) -> int:
        """The bytes that a new connection holds in each direction."""
        if self._happens(self.rates.narrow):
            return self._rng.randrange(_NARROWEST_WINDOW, _NARROW_WINDOW)
        return _WIDE_WINDOW

    def refuses(self) -> bool:
        """Whether a dial is refused by a node that runs."""
        return self._happens(self.rates.refuse)

    def fate(self, data: bytes) -> Fate:
        """What becomes of a message."""
        rates = self.rates
        if self._happens(rates.reset):
            return Fate(pieces=self._pieces(data[: self._rng.randint(0, len(data))]), then="reset")
        if self._happens(rates.silence):
            return Fate(pieces=self._pieces(data[: self._rng.randint(0, len(data))]), then="silence")
        return Fate(pieces=self._pieces(data))

    def _pieces(self, data: bytes) -> tuple[bytes, ...]:
        if not data:
            return ()
        if len(data) == 1 or not self._happens(self.rates.split):
            return (data,)
        count = self._rng.randrange(1, _MOST_PIECES)
        cuts = sorted({self._rng.randrange(1, len(data)) for _ in range(count)})
        return tuple(data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True))

    def _happens(self, probability: float) -> bool:
        return probability > 0.0 and self._rng.random() < probability

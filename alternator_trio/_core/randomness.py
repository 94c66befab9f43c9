"""What decisions need of a random number generator: an argument, so that a seed replays them."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Randomness"]


class Randomness(Protocol):
    """The part of `random.Random` that is used here."""

    def random(self) -> float:
        """A number of [0, 1)."""
        ...

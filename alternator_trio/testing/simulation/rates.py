"""How often which fault happens in a simulated cluster: one frozen struct, drawn from a seed or given by hand.

Rules: what is named ``…_rate`` happens so often per virtual second; every other fraction is a probability per message,
connection or request. All zero is a perfect world.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Final, Self

__all__ = ["FaultRates"]

_MAX_LATENCY: Final = 0.02
_MAX_SKEW: Final = 5.0
_MOST_PER_MESSAGE: Final = 0.05
_MOST_PER_SECOND: Final = 0.2
_PLAIN: Final = frozenset({"latency", "clock_skew"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """Probabilities and rates of faults.

    Attributes:
        latency: Seconds one way, on average.
        split: Of a message: it arrives in pieces, cut anywhere.
        loss: Of a piece: it is lost and sent again after 0.2 s, doubling.
        reset: Of a message: the connection is reset after any of its bytes.
        silence: Of a message: the connection goes half-open with it; nothing more arrives, and no end.
        narrow: Of a connection: its buffers hold a few dozen bytes, so that sends are partial and wait.
        refuse: Of a dial: it is refused although the node runs.
        shed: Of an operation: ``RequestLimitExceeded``, not executed.
        fail_before: Of an operation: 500, not executed.
        fail_after: Of an operation: 500, executed.
        late: Of an operation: it waits before it is executed, and its answer after, up to the server's 10 s together;
            then it is a 500. An operation that is given up is executed all the same.
        wrong_length: Of an answer: its Content-Length is not its length.
        last_answer: Of an answer: it says ``Connection: close``, and the node leaves the closing to the client.
        stale_list: Of a node list: it is one that was right some time ago.
        crash_rate: A node dies with RST and comes back, still listed for 20 s.
        power_off_rate: A node is gone without a word and comes back.
        restart_rate: A node stops in order and comes back.
        pause_rate: A node is frozen for a while.
        move_rate: A node comes back under another address.
        swap_rate: Two nodes come back under each other's addresses.
        join_rate: A node joins.
        leave_rate: A node leaves for good.
        cut_off_rate: A node cannot be reached by clients for a while.
        split_rate: Nodes do not see each other for a while, and list only those that they see.
        slow_rate: A node's links become slow for a while.
        clock_jump_rate: The wall clock of a node, or of the clients, jumps; it is off by up to 5 s then, or by
            ``clock_skew`` where that is more.
        clock_skew: Seconds by which wall clocks are off from the beginning, at most.

    Raises:
        ValueError: A value is negative, or a probability beyond 1.

    Example:
        >>> FaultRates.draw(random.Random(7)) == FaultRates.draw(random.Random(7))
        True
    """

    latency: float = 0.0005
    split: float = 0.0
    loss: float = 0.0
    reset: float = 0.0
    silence: float = 0.0
    narrow: float = 0.0
    refuse: float = 0.0
    shed: float = 0.0
    fail_before: float = 0.0
    fail_after: float = 0.0
    late: float = 0.0
    wrong_length: float = 0.0
    last_answer: float = 0.0
    stale_list: float = 0.0
    crash_rate: float = 0.0
    power_off_rate: float = 0.0
    restart_rate: float = 0.0
    pause_rate: float = 0.0
    move_rate: float = 0.0
    swap_rate: float = 0.0
    join_rate: float = 0.0
    leave_rate: float = 0.0
    cut_off_rate: float = 0.0
    split_rate: float = 0.0
    slow_rate: float = 0.0
    clock_jump_rate: float = 0.0
    clock_skew: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value >= 0.0:
                raise ValueError(f"{field.name}: {value!r}; it must be zero or more")
            if value > 1.0 and field.name not in _PLAIN and not field.name.endswith("_rate"):
                raise ValueError(f"{field.name}: {value!r} is no probability")

    @classmethod
    def draw(cls, rng: random.Random) -> Self:
        """Some faults, each of them rare or frequent, and the others never: runs that differ find more than an average.

        Args:
            rng: Where it is drawn from.
        """
        drawn = {field.name: _drawn(field.name, rng) for field in dataclasses.fields(cls)}
        return cls(**drawn)

    def shown(self) -> str:
        """Those that are not zero, on one line."""
        parts = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return ", ".join(f"{name}={value:.4g}" for name, value in parts if value) or "none"


def _drawn(name: str, rng: random.Random) -> float:
    happens, size = rng.random() < 0.5, rng.random()  # noqa: PLR2004  # a coin
    if name == "latency":
        return _MAX_LATENCY * size**3
    if not happens:
        return 0.0
    if name == "clock_skew":
        return _MAX_SKEW * size
    if name in {"split", "narrow"}:  # they harm nothing by themselves
        return size
    return (_MOST_PER_SECOND if name.endswith("_rate") else _MOST_PER_MESSAGE) * size**2

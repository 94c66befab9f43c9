"""How long a provider's credentials serve, when others are asked for, and how long a failure of it counts.

Rules: others are asked for ahead of the end, and nobody waits for them while the old ones hold. botocore does so from
15 minutes before the end on, and lets everybody wait during the last 10, of which a provider that hangs would make an
outage; here the old ones are used until a minute before their end. For credentials that do not hold for an hour the
margins are a part of the time that they hold for.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from alternator_trio.credentials import Credentials

__all__ = ["REJECTIONS_APART", "HeldCredentials", "cooldown", "held_for"]

_AHEAD: Final = 15 * 60.0  # seconds before the end; at most a quarter of the time
_MARGIN: Final = 60.0  # seconds before the end; at most a tenth of the time: a request is on its way, and clocks differ
_FIRST_COOLDOWN: Final = 1.0
_LONGEST_COOLDOWN: Final = 60.0
REJECTIONS_APART: Final = 10.0  # seconds between two calls of a provider because nodes refuse what it gave


class HeldCredentials(NamedTuple):
    """Credentials and their times, by Trio's clock.

    Attributes:
        credentials: What the provider gave.
        ask_at: From when on others are to be asked for.
        usable_until: From when on they sign nothing more.
    """

    credentials: Credentials
    ask_at: float
    usable_until: float


def held_for(credentials: Credentials, seconds: float, now: float) -> HeldCredentials:
    """Credentials that hold for so many seconds from now; infinitely many: until nodes refuse them.

    Example:
        >>> held_for(Credentials("role", "salted_hash"), 3600.0, now=0.0)
        HeldCredentials(credentials=Credentials('role', '…'), ask_at=2700.0, usable_until=3540.0)
    """
    if math.isinf(seconds):
        return HeldCredentials(credentials=credentials, ask_at=math.inf, usable_until=math.inf)
    end = now + seconds
    return HeldCredentials(
        credentials=credentials,
        ask_at=end - min(_AHEAD, seconds / 4),
        usable_until=end - min(_MARGIN, seconds / 10),
    )


def cooldown(failures: int) -> float:
    """Seconds for which a provider is left alone after so many failures in a row.

    Example:
        >>> [cooldown(failures) for failures in (1, 2, 3, 100)]
        [1.0, 2.0, 4.0, 60.0]
    """
    return _LONGEST_COOLDOWN if failures > 6 else _FIRST_COOLDOWN * 2.0 ** (failures - 1)  # noqa: PLR2004  # 64 s

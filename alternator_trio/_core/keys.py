"""Partition keys: what is known about them, what a failed lookup means, and when to ask again.

Rules (spec §4): a lookup is one attempt and three retries, 100 ms doubling to 2 s, ±20 %. What a repetition would not
change is permanent and starts five minutes of silence for that table; everything else starts none. A name that the user
gave stays, whatever happens to the table. What is found out is bounded: beyond `MAX_TABLES` names or cooldowns the
oldest of them goes, and its table is looked up again when somebody needs it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Final, NamedTuple, Self, TypeVar, cast

from alternator_trio.errors import AlternatorError, EncodingError, ServiceError

__all__ = ["ATTEMPTS", "COOLDOWN", "MAX_TABLES", "Cooldown", "KnownKeys", "is_permanent", "partition_key_in", "pause"]

ATTEMPTS: Final = 4
COOLDOWN: Final = 300.0
MAX_TABLES: Final = 4096
CONFIRMED_FOR: Final = 60.0  # seconds in which a name that was doubted and found right is not doubted again
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_JITTER: Final = 0.2

_PERMANENT_CODES: Final = frozenset({"AccessDeniedException", "ResourceNotFoundException", "ValidationException"})
_CLIENT_ERRORS: Final = range(400, 500)
_FORBIDDEN: Final = 403
_TOO_MANY_REQUESTS: Final = 429

V = TypeVar("V")


def is_permanent(error: AlternatorError) -> bool:
    """Whether a DescribeTable that failed so would only fail so again.

    Example:
        >>> from alternator_trio.errors import ConnectError
        >>> is_permanent(ConnectError("connection refused"))
        False
    """
    if isinstance(error, EncodingError):
        return True  # no server was asked: such a name cannot be sent at all
    if not isinstance(error, ServiceError):
        return False
    if error.code in _PERMANENT_CODES or error.status == _FORBIDDEN:
        return True
    # The service names its errors. A 4xx without a name is from a proxy, or from a server that is no Alternator.
    is_unnamed = error.code == f"HTTP{error.status}"
    return is_unnamed and error.status in _CLIENT_ERRORS and error.status != _TOO_MANY_REQUESTS


def pause(failures: int, chance: float) -> float:
    """Seconds between a lookup's ``failures``-th failed attempt and its next one; ``chance`` of [0, 1) is the jitter's.

    Example:
        >>> [round(pause(1, chance), 6) for chance in (0.0, 0.5)]
        [0.08, 0.1]
    """
    seconds = min(_FIRST_PAUSE * 2.0 ** (failures - 1), _LONGEST_PAUSE)
    return seconds * (1.0 + _JITTER * (2.0 * chance - 1.0))


def partition_key_in(answer: Mapping[str, object]) -> str | None:
    """The name of the partition key in DescribeTable's answer; None when it names none.

    Example:
        >>> partition_key_in({"Table": {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}})
        'id'
    """
    table = answer.get("Table")
    schema = cast("Mapping[str, object]", table).get("KeySchema") if isinstance(table, Mapping) else None
    elements = cast("list[object]", schema) if isinstance(schema, list) else []
    names = (_hash_key_name(element) for element in elements)
    return next((name for name in names if name), None)


def _hash_key_name(element: object) -> str | None:
    match element:
        case {"KeyType": "HASH", "AttributeName": str(name)}:
            return name
        case _:
            return None


class Cooldown(NamedTuple):
    """The silence after a permanent failure.

    Attributes:
        until: Its end.
        error: The failure, to be raised again instead of asking again; a copy without a traceback.
    """

    until: float
    error: AlternatorError


class KnownKeys(NamedTuple):
    """What is known about partition keys; times are those of the caller's clock, in seconds.

    Attributes:
        given: Table to partition key name, in the user's own words: never dropped, never looked up.
        found: Table to partition key name, as tables were described; the oldest first.
        confirmed: Tables whose name was doubted and found right, and until when it is not doubted again.
        cooldowns: Tables whose lookup failed for good; the oldest first. Those that are over may linger.
    """

    given: Mapping[str, str] = {}
    found: Mapping[str, str] = {}
    confirmed: Mapping[str, float] = {}
    cooldowns: Mapping[str, Cooldown] = {}

    @property
    def names(self) -> Mapping[str, str]:
        """Table to partition key name."""
        return {**self.found, **self.given}

    def name_of(self, table: str) -> str | None:
        """The name of a table's partition key; None when it is not known."""
        return self.given.get(table) or self.found.get(table)

    def cooldown_of(self, table: str, now: float) -> Cooldown | None:
        """The cooldown that a table is in, if any."""
        cooldown = self.cooldowns.get(table)
        return None if cooldown is None or cooldown.until <= now else cooldown

    def may_doubt(self, table: str, now: float) -> bool:
        """Whether there is a name that may be wrong by now."""
        return table in self.found and self.confirmed.get(table, now) <= now

    def with_name(self, table: str, name: str, *, confirmed_at: float | None = None) -> Self:
        """After a lookup that succeeded.

        Args:
            table: Whose key it is.
            name: The key's name.
            confirmed_at: When a name that had been doubted was found right.
        """
        forgotten = self.without(table)
        confirmed = forgotten.confirmed
        if confirmed_at is not None:
            confirmed = {other: end for other, end in confirmed.items() if end > confirmed_at}
            confirmed = _bounded({**confirmed, table: confirmed_at + CONFIRMED_FOR})
        return forgotten._replace(found=_bounded({**forgotten.found, table: name}), confirmed=confirmed)

    def with_cooldown(self, table: str, error: AlternatorError, now: float) -> Self:
        """After a lookup that failed for good."""
        remembered = copy.copy(error)  # without the traceback and the cause: five minutes are long for all their frames
        remembered.add_note(
            f"An earlier lookup failed so; {table!r} is not looked up again within {COOLDOWN:g} s of it, unless this "
            "client creates the table."
        )
        forgotten = self.without(table)
        still = {other: cooldown for other, cooldown in forgotten.cooldowns.items() if cooldown.until > now}
        cooldown = Cooldown(until=now + COOLDOWN, error=remembered)
        return forgotten._replace(cooldowns=_bounded({**still, table: cooldown}))

    def without(self, table: str) -> Self:
        """All that was found out about a table forgotten; what the user said about it stays."""
        return self._replace(
            found=_dropped(self.found, table),
            confirmed=_dropped(self.confirmed, table),
            cooldowns=_dropped(self.cooldowns, table),
        )


def _dropped(values: Mapping[str, V], table: str) -> Mapping[str, V]:
    return {other: value for other, value in values.items() if other != table} if table in values else values


def _bounded(values: dict[str, V]) -> dict[str, V]:
    while len(values) > MAX_TABLES:
        del values[next(iter(values))]
    return values

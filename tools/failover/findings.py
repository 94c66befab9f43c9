"""What a scenario gave: counts and times, read off what the application and an instrument noted. Pure arithmetic.

All times are in seconds; those called ``…_at`` since the scenario's beginning.
"""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from load import Done

BUCKET = 0.25
BACK = 0.9
"""The share of operations from which on a rack counts as back."""
_STEP = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """One run of one scenario.

    Attributes:
        racks: All racks, the preferred one first.
        lost_at: When the preferred rack was gone.
        back_at: When all its nodes were listening again.
        end_at: When the load ended.
        operations: Operations that ended well.
        errors: What the application was given instead of a result, with its count.
        per_bucket: Operations per rack in each quarter of a second, in the order of `racks`.
        left_after: From the loss until 90 % of operations were answered elsewhere.
        first_back_after: From the return until the rack answered an operation.
        most_back_after: From the return until it answered 90 % of them.
        all_nodes_back_after: From the return until each of its nodes had answered one.
        share_at_the_end: The rack's share of the last second.
        longest_pause: The longest time in which no operation ended.
        slowest: The longest operation.
        retries: Attempts beyond the first of their operation.
        events: What the client's instruments were told, and when.
    """

    racks: tuple[str, ...]
    lost_at: float
    back_at: float
    end_at: float
    operations: int
    errors: Mapping[str, int]
    per_bucket: Sequence[Sequence[int]]
    left_after: float | None
    first_back_after: float | None
    most_back_after: float | None
    all_nodes_back_after: float | None
    share_at_the_end: float
    longest_pause: float
    slowest: float
    retries: int
    events: Sequence[tuple[float, str]]

    @classmethod
    def of(
        cls,
        done: Sequence[Done],
        rack_of: Mapping[str, str],
        preferred: str,
        *,
        began: float,
        lost_at: float,
        back_at: float,
        end_at: float,
        errors: Mapping[str, int],
        retries: int,
        events: Sequence[tuple[float, str]],
    ) -> Self:
        """Read the log; ``began`` is on its clock, the other times are since then."""
        racks = (preferred, *(rack for rack in dict.fromkeys(rack_of.values()) if rack != preferred))
        times = [each.at - began for each in done]
        answered = [rack_of[each.node] for each in done]
        first_answers = {
            each.node: at - back_at
            for at, each in reversed([*zip(times, done, strict=True)])
            if at >= back_at and rack_of[each.node] == preferred
        }
        everywhere = sum(rack == preferred for rack in rack_of.values())
        return cls(
            racks=racks,
            lost_at=lost_at,
            back_at=back_at,
            end_at=end_at,
            operations=len(done),
            errors=errors,
            per_bucket=_buckets(times, answered, racks, end_at),
            left_after=_until_most(times, answered, lost_at, lambda rack: rack != preferred),
            first_back_after=min(first_answers.values(), default=None),
            most_back_after=_until_most(times, answered, back_at, lambda rack: rack == preferred),
            all_nodes_back_after=max(first_answers.values()) if len(first_answers) == everywhere else None,
            share_at_the_end=_share(answered[bisect.bisect_left(times, end_at - 1) :], lambda rack: rack == preferred),
            longest_pause=max(later - earlier for earlier, later in itertools.pairwise(times)),
            slowest=max(each.seconds for each in done),
            retries=retries,
            events=events,
        )


def _buckets(times: Sequence[float], answered: Sequence[str], racks: Sequence[str], end_at: float) -> list[list[int]]:
    buckets = [[0] * len(racks) for _ in range(round(end_at / BUCKET))]
    place = {rack: number for number, rack in enumerate(racks)}
    for at, rack in zip(times, answered, strict=True):
        number = int(at / BUCKET)
        if 0 <= number < len(buckets):
            buckets[number][place[rack]] += 1
    return buckets


def _until_most(
    times: Sequence[float], answered: Sequence[str], since: float, counts: Callable[[str], bool]
) -> float | None:
    """Seconds until the first quarter of a second in which nine tenths of the operations count."""
    start, last = since, times[-1] - BUCKET
    while start <= last:
        window = answered[bisect.bisect_left(times, start) : bisect.bisect_left(times, start + BUCKET)]
        if window and _share(window, counts) >= BACK:
            return start - since
        start += _STEP
    return None


def _share(answered: Sequence[str], counts: Callable[[str], bool]) -> float:
    return sum(map(counts, answered)) / len(answered) if answered else 0.0

"""Durations: percentiles by nearest rank, rows of round steps."""

from __future__ import annotations

import random

import pytest

from alternator_trio.cli.latencies import Latencies

MS = 0.001


def recorded(*seconds: float) -> Latencies:
    latencies = Latencies()
    for duration in seconds:
        latencies.record(duration)
    return latencies


@pytest.mark.parametrize(
    ("milliseconds", "percent", "expected"),
    [
        ([5], 50, 5),
        ([5], 100, 5),
        ([1, 2], 50, 1),
        ([1, 2], 51, 2),
        ([1, 2, 3, 4], 75, 3),
        (range(1, 101), 90, 90),
        (range(1, 101), 99, 99),
        (range(1, 101), 99.9, 100),
        ([1] * 999 + [7], 99.9, 1),
        ([1] * 998 + [7] * 2, 99.9, 7),
        ([1] * 9999 + [7], 99.99, 1),
    ],
)
def test_a_percentile_is_the_nearest_rank(milliseconds, percent, expected):
    """The smallest duration that as many per cent of all do not exceed, exact also where 99.9 is no binary fraction."""
    assert recorded(*[value * MS for value in milliseconds]).percentile(percent) == pytest.approx(expected * MS)


def test_percentiles_are_right_within_one_per_cent_over_seven_decades():
    """Rounding to three significant digits costs less than one per cent, at any duration."""
    rng = random.Random(5)
    durations = sorted(10 ** rng.uniform(-5, 2) for _ in range(2_000))
    latencies = recorded(*durations)
    for percent in (1, 25, 50, 90, 99):
        exact = durations[len(durations) * percent // 100 - 1]
        assert latencies.percentile(percent) == pytest.approx(exact, rel=0.0101, abs=1e-6)


def test_the_maximum_is_exact():
    """What is rounded elsewhere is not rounded at the top."""
    summary = recorded(0.001, 1.23456789).summary()
    assert summary is not None
    assert summary.maximum == 1.23456789


def test_no_percentile_of_nothing():
    """Nothing recorded is an error, not a zero."""
    with pytest.raises(ValueError, match="no duration"):
        Latencies().percentile(50)


def test_nothing_recorded_has_no_summary_and_no_bars():
    """A report of nothing says nothing."""
    assert Latencies().summary() is None
    assert Latencies().bars() == ()


def test_merging_adds_up():
    """A record of all phases is that of all their durations."""
    whole = Latencies.merged([recorded(0.001, 0.002), Latencies(), recorded(0.003)])
    assert whole.count == 3
    assert whole.percentile(100) == 0.003
    assert sum(bar.count for bar in whole.bars()) == 3


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([0.0], [(0, 1e-05, 1)]),
        ([0.001], [(0.001, 0.0015, 1)]),
        ([0.00149, 0.0015], [(0.001, 0.0015, 1), (0.0015, 0.002, 1)]),
        ([0.0012, 0.004], [(0.001, 0.0015, 1), (0.0015, 0.002, 0), (0.002, 0.003, 0), (0.003, 0.005, 1)]),
    ],
)
def test_rows_have_round_bounds_and_show_gaps(seconds, expected):
    """A row's lower bound belongs to it, its upper one to the next, and empty rows between are there."""
    rows = recorded(*seconds).bars()
    assert [(row.from_seconds, row.to_seconds, row.count) for row in rows] == expected


@pytest.mark.parametrize(("longest", "most"), [(0.01, 16), (1.0, 16), (100.0, 16), (1000.0, 8)])
def test_rows_grow_coarser_before_they_grow_many(longest, most):
    """However far apart durations are, a histogram fits on a screen."""
    rows = recorded(0.00012, longest).bars(most)
    assert len(rows) <= most
    assert sum(row.count for row in rows) == 2

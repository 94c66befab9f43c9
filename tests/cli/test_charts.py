"""Bars of characters."""

from __future__ import annotations

import pytest

from alternator_trio.cli.charts import bar, resampled, sparkline


@pytest.mark.parametrize(
    ("value", "most", "width", "expected"),
    [(0, 10, 8, ""), (10, 10, 8, "████████"), (5, 10, 8, "████"), (1, 16, 8, "▌"), (1, 10**9, 8, "▏"), (0, 0, 8, "")],
)
def test_a_bar_is_drawn_in_eighths(value, most, width, expected):
    """The largest value fills the width, and anything above nothing leaves a trace."""
    assert bar(value, most, width) == expected


@pytest.mark.parametrize(("value", "expected"), [(0, ""), (1, "#"), (50, "####"), (100, "########")])
def test_a_bar_can_be_plain_ascii(value, expected):
    """Where there are no block characters, the bar is made of number signs."""
    assert bar(value, 100, 8, ascii_only=True) == expected


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [([], 5, ""), ([0, 0], 5, ""), ([1, 8], 5, "▁█"), ([8, 0, 8], 5, "█ █"), ([8, 8, 4, 4], 2, "█▄")],
)
def test_a_sparkline_has_a_column_per_value_and_no_more_than_fit(values, width, expected):
    """Heights are relative to the highest column; zero is empty."""
    assert sparkline(values, width) == expected


def test_a_sparkline_can_be_plain_ascii():
    """Eight heights out of ASCII."""
    assert sparkline(range(9), 9, ascii_only=True) == " _.-=+*#@"


@pytest.mark.parametrize("width", range(1, 12))
def test_resampling_keeps_every_value_in_exactly_one_column(width):
    """The mean over columns of the right sizes is the mean of the values."""
    values = [float(value) for value in range(10)]
    columns = resampled(values, width)
    assert len(columns) == min(width, 10)
    assert min(values) <= min(columns) <= max(columns) <= max(values)
    if 10 % len(columns) == 0:
        assert sum(columns) / len(columns) == pytest.approx(4.5)

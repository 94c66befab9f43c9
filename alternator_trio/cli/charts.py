"""Bars made of characters.

Rules: pure text, one character per column; eighths of a character where the encoding has them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

__all__ = ["bar", "resampled", "sparkline"]

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_HEIGHTS: Final = "▁▂▃▄▅▆▇█"
_ASCII_HEIGHTS: Final = "_.-=+*#@"


def bar(value: float, most: float, width: int, *, ascii_only: bool = False) -> str:
    """A horizontal bar: ``width`` characters for ``most``, and at least a trace for anything above zero.

    Example:
        >>> bar(5, 10, 4), bar(1, 10, 4, ascii_only=True)
        ('██', '#')
    """
    if value <= 0 or most <= 0:
        return ""
    if ascii_only:
        return "#" * max(1, round(value / most * width))
    eighths = max(1, round(value / most * width * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """Columns of different heights, the highest for the largest value; nothing for zero.

    Example:
        >>> sparkline([0, 1, 8, 4], 4)
        ' ▁█▄'
    """
    heights = _ASCII_HEIGHTS if ascii_only else _HEIGHTS
    columns = resampled(values, width)
    most = max(columns, default=0)
    if most <= 0:
        return ""
    return "".join(heights[max(0, round(value / most * len(heights)) - 1)] if value > 0 else " " for value in columns)


def resampled(values: Sequence[float], width: int) -> list[float]:
    """The values in at most ``width`` columns, each the mean of those that fall into it.

    Example:
        >>> resampled([1, 3, 5, 7], 2)
        [2.0, 6.0]
    """
    width = min(width, len(values))
    edges = [len(values) * column // width for column in range(width + 1)] if width else [0]
    return [sum(values[start:end]) / (end - start) for start, end in itertools.pairwise(edges)]

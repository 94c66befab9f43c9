"""The picture of a scenario: the share of traffic per rack over time, as SVG written by hand.

Rules: a plain file that any browser draws, with a background of its own so that it reads on a dark page; the numbers
that it shows are all in the findings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from findings import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from findings import Findings

COLOURS = ("#2f6f9f", "#7fb3d5", "#d98c3f", "#f0c78a")
"""One per rack: the preferred datacenter in blue, the other in orange."""
INK = "#222222"
FAINT = "#bbbbbb"
LABEL_WIDTH = 100
"""Pixels; labels that stand closer get different heights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where the parts are, in pixels."""

    width: int = 900
    height: int = 476
    left: int = 64
    right: int = 180
    share_top: int = 72
    share_height: int = 240
    rate_top: int = 346
    rate_height: int = 70
    seconds: float

    @property
    def right_edge(self) -> float:
        """Where time ends."""
        return self.width - self.right

    def x(self, seconds: float) -> float:
        """Where a moment is."""
        return self.left + (self.right_edge - self.left) * seconds / self.seconds

    def share_y(self, share: float) -> float:
        """Where a share is."""
        return self.share_top + self.share_height * (1 - share)

    def rate_y(self, fraction: float) -> float:
        """Where a fraction of the highest rate is."""
        return self.rate_top + self.rate_height * (1 - fraction)


def draw(findings: Findings, *, title: str, marks: Mapping[float, str]) -> str:
    """The whole file; ``marks`` says what happened when."""
    frame = Frame(seconds=findings.end_at)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {frame.width} {frame.height}" '
        f'font-family="sans-serif" font-size="13" fill="{INK}" role="img" aria-label="{escape(title)}">'
    )
    parts = [
        opening,
        f'<rect width="{frame.width}" height="{frame.height}" fill="white"/>',
        _text(frame.left, 22, title, size=15),
        *_areas(frame, findings),
        *_rate(frame, findings),
        *_axes(frame),
        *_marks(frame, marks),
        *_legend(frame, findings),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _areas(frame: Frame, findings: Findings) -> Iterator[str]:
    below = [0.0] * len(findings.per_bucket)
    totals = [sum(bucket) for bucket in findings.per_bucket]
    for place in range(len(findings.racks)):
        shares = [
            bucket[place] / total if total else 0.0 for bucket, total in zip(findings.per_bucket, totals, strict=True)
        ]
        above = [low + share for low, share in zip(below, shares, strict=True)]
        if any(shares):
            points = (*_steps(frame, above), *reversed([*_steps(frame, below)]))
            yield f'<polygon points="{" ".join(points)}" fill="{COLOURS[place]}"/>'
        below = above


def _steps(frame: Frame, levels: Sequence[float]) -> Iterator[str]:
    """A bucket is as wide as it lasts: nothing is drawn between what was counted."""
    for number, level in enumerate(levels):
        for at in (number * BUCKET, (number + 1) * BUCKET):
            yield f"{frame.x(at):.1f},{frame.share_y(level):.1f}"


def _rate(frame: Frame, findings: Findings) -> Iterator[str]:
    rates = [sum(bucket) / BUCKET for bucket in findings.per_bucket]
    highest = max(rates)
    points = " ".join(
        f"{frame.x((number + 0.5) * BUCKET):.1f},{frame.rate_y(rate / highest):.1f}"
        for number, rate in enumerate(rates)
    )
    yield f'<polyline points="{points}" fill="none" stroke="{INK}" stroke-width="1.2"/>'
    for fraction in (0.0, 1.0):
        y = frame.rate_y(fraction)
        yield f'<line x1="{frame.left}" y1="{y}" x2="{frame.right_edge}" y2="{y}" stroke="{FAINT}"/>'
        yield _text(frame.left - 8, y + 4, f"{highest * fraction:,.0f}", anchor="end")
    yield _text(frame.right_edge + 12, frame.rate_top + frame.rate_height / 2 + 4, "operations per second")


def _axes(frame: Frame) -> Iterator[str]:
    for percent in range(0, 101, 25):
        y = frame.share_y(percent / 100)
        yield f'<line x1="{frame.left - 4}" y1="{y}" x2="{frame.left}" y2="{y}" stroke="{INK}"/>'
        yield _text(frame.left - 8, y + 4, f"{percent} %", anchor="end")
    yield (
        f'<rect x="{frame.left}" y="{frame.share_top}" width="{frame.right_edge - frame.left}" '
        f'height="{frame.share_height}" fill="none" stroke="{INK}"/>'
    )
    y = frame.rate_top + frame.rate_height
    for second in range(0, round(frame.seconds) + 1, 1 if frame.seconds <= 15 else 3):  # noqa: PLR2004 - what fits
        yield f'<line x1="{frame.x(second):.1f}" y1="{y}" x2="{frame.x(second):.1f}" y2="{y + 4}" stroke="{INK}"/>'
        yield _text(frame.x(second), y + 18, str(second), anchor="middle")
    yield _text((frame.left + frame.right_edge) / 2, y + 38, "seconds", anchor="middle")
    middle = frame.share_top + frame.share_height / 2
    yield f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">share of operations</text>'


def _marks(frame: Frame, marks: Mapping[float, str]) -> Iterator[str]:
    previous = -math.inf
    for at, what in sorted(marks.items()):
        x = frame.x(at)
        y = frame.share_top - (26 if x - previous < LABEL_WIDTH else 10)
        previous = x
        yield (
            f'<line x1="{x:.1f}" y1="{y + 4}" x2="{x:.1f}" y2="{frame.rate_top + frame.rate_height}" '
            f'stroke="#b00020" stroke-width="1.5" stroke-dasharray="5 3"/>'
        )
        yield f'<text x="{x:.1f}" y="{y}" text-anchor="middle" fill="#b00020">{escape(what)}</text>'


def _legend(frame: Frame, findings: Findings) -> Iterator[str]:
    for place, rack in enumerate(findings.racks):
        y = frame.share_top + 8 + 24 * place
        yield f'<rect x="{frame.right_edge + 12}" y="{y}" width="14" height="14" fill="{COLOURS[place]}"/>'
        yield _text(frame.right_edge + 32, y + 12, f"{rack} (preferred)" if place == 0 else rack)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int | None = None) -> str:
    bigger = "" if size is None else f' font-size="{size}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{bigger}>{escape(text)}</text>'

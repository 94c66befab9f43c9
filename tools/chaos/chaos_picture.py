"""The picture of a run: load, faults, errors, descriptors, tasks, threads and memory over time, as SVG written by hand.

Rules: a plain file that any browser draws, with a background of its own so that it reads on a dark page; every panel
begins at zero; calms are shaded.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chaos_run import Findings
    from vitals import Sample

INK, FAINT, SHADE = "#222222", "#bbbbbb", "#e3f1e3"
WIDTH, LEFT, RIGHT, TOP = 900, 64, 170, 44
PANEL, GAP = 62, 16
_MIB = 2**20
_TICKS = 10


def draw(findings: Findings) -> str:
    """The whole file."""
    samples = findings.samples
    panels: tuple[tuple[str, str, Sequence[float]], ...] = (
        ("operations per second", "#2f6f9f", _rates(samples, "operations")),
        ("faults that are on", "#b00020", [sample.open_faults for sample in samples]),
        ("errors per second", "#d98c3f", _rates(samples, "errors")),
        ("cancelled per second", "#7f5fa8", _rates(samples, "cancelled")),
        ("descriptors", "#2f6f9f", [sample.descriptors for sample in samples]),
        ("tasks", "#2f6f9f", [sample.tasks for sample in samples]),
        ("threads", "#2f6f9f", [sample.threads for sample in samples]),
        ("memory (RSS), MiB", "#2f6f9f", [sample.rss / _MIB for sample in samples]),
    )
    height = TOP + len(panels) * (PANEL + GAP) + 36
    title = (
        f"{findings.seconds:.0f} s, {findings.tally.begun:,} operations, {sum(findings.tally.faults.values()):,} faults"
    )
    title += f" (seed {findings.choices.seed}, {findings.choices.transport})"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12" fill="{INK}" role="img" aria-label="{escape(title)}">'
    )
    parts = [
        opening,
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
        *_calms(samples, height),
    ]
    for number, (name, colour, values) in enumerate(panels):
        parts += _panel(samples, name, colour, values, TOP + number * (PANEL + GAP))
    return "\n".join([*parts, *_time_axis(samples, height - 36), "</svg>"]) + "\n"


def _rates(samples: Sequence[Sample], name: str) -> list[float]:
    """Per second, between samples."""
    first = samples[0]
    rates = [getattr(first, name) / first.at]
    for before, after in pairwise(samples):
        rates.append((getattr(after, name) - getattr(before, name)) / (after.at - before.at))
    return rates


def _x(samples: Sequence[Sample], at: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * at / samples[-1].at


def _calms(samples: Sequence[Sample], height: int) -> Iterator[str]:
    for before, after in pairwise(samples):
        if after.calm:
            left, right = _x(samples, before.at), _x(samples, after.at)
            yield (
                f'<rect x="{left:.1f}" y="{TOP}" width="{right - left + 0.1:.1f}" '
                f'height="{height - TOP - 36 - GAP}" fill="{SHADE}"/>'
            )


def _panel(samples: Sequence[Sample], name: str, colour: str, values: Sequence[float], top: float) -> Iterator[str]:
    highest = max([*values, 1.0])
    bottom, edge = top + PANEL, WIDTH - RIGHT
    points = " ".join(
        f"{_x(samples, sample.at):.1f},{bottom - PANEL * value / highest:.1f}"
        for sample, value in zip(samples, values, strict=True)
    )
    yield f'<line x1="{LEFT}" y1="{top}" x2="{edge}" y2="{top}" stroke="{FAINT}"/>'
    yield f'<line x1="{LEFT}" y1="{bottom}" x2="{edge}" y2="{bottom}" stroke="{INK}"/>'
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1"/>'
    yield f'<text x="{LEFT - 8}" y="{top + 4}" text-anchor="end">{highest:,.0f}</text>'
    yield f'<text x="{LEFT - 8}" y="{bottom + 4}" text-anchor="end">0</text>'
    yield f'<text x="{edge + 12}" y="{top + PANEL / 2 + 4}">{escape(name)}</text>'


def _time_axis(samples: Sequence[Sample], y: float) -> Iterator[str]:
    last = samples[-1].at
    step = next((step for step in (1, 5, 10, 30, 60, 300, 600) if last / step <= _TICKS), 3600)
    for at in range(0, int(last) + 1, step):
        yield f'<text x="{_x(samples, at):.1f}" y="{y + 4}" text-anchor="middle">{at}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{y + 24}" text-anchor="middle">seconds; shaded: calm</text>'

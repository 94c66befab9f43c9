"""Chaos on real sockets, the short form: two storms of faults, each with healing and calm, and everything counted."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from chaos_picture import draw
from chaos_report import report
from chaos_run import Choices, run


@pytest.mark.parametrize(("transport", "signed"), [("native", True), ("httpx", False)])
async def test_nothing_is_lost(transport: str, signed: bool) -> None:
    """Every operation ends, every acknowledged write is read back, every error has its fault, nothing is left."""
    choices = Choices(seed=7, seconds=2.4, callers=24, rate=8.0, transport=transport, signed=signed, rounds=2)
    findings = await run(choices)

    assert findings.tally.complaints == [], report(findings)
    assert findings.tally.in_flight == 0
    assert len(findings.rests) == 2  # what is held at the second is judged by the first
    assert findings.tally.cancelled
    assert findings.tally.faults.total() > 5
    if findings.samples:
        ET.fromstring(draw(findings))  # noqa: S314 - our own

"""The report as drawn: it fits, it says what it must, and it is plain where it has to be."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from alternator_trio.cli.ledger import Mismatch
from alternator_trio.cli.live import LiveProgress
from alternator_trio.cli.progress import NodeState, PlainProgress, Snapshot
from alternator_trio.cli.render import render

SNAPSHOT = Snapshot(
    stage="load",
    elapsed=7.0,
    seconds=15.0,
    operations=12_345,
    operations_per_second=1_764.0,
    retries=3,
    errors=0,
    nodes=(
        NodeState(name="127.0.0.1:20000", is_up=True, operations_per_second=900.0),
        NodeState(name="127.0.0.2:20000", is_up=False, operations_per_second=0.0),
    ),
)


def drawn(report, width=80, **options) -> str:
    stream = io.StringIO()
    render(report, Console(file=stream, width=width, **options))
    return stream.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_report_fits_the_terminal(report, width):
    """No line is wider than the terminal, and none is needlessly wide in a very wide one."""
    assert max(cell_len(line) for line in drawn(report, width).splitlines()) <= min(width, 100)


@pytest.mark.parametrize(
    "said",
    [
        "Every acknowledged write was read back, and the application saw no error.",
        "127.0.0.2:20000 was killed on the way",
        "15,000 operations in 15.0 s",
        "10,000 GetItem",
        "6.0 s: 127.0.0.2:20000 killed",
        "9.8 s: 127.0.0.2:20000 started again",
        "127.0.0.2 50.0% 0.0% 50.0%",
        "p50 5 ms p90 12 ms p99 34.5 ms p99.9 100 ms max 1.5 s",
        "from 150 µs",
        "errors seen by the application 0",
        "retries, unseen by it 36",
        "indeterminate writes 3; reads found 2 done, 1 not done",
        "900 acknowledged writes left 500 items under 600 keys; 0 lost, 0 unread",
    ],
)
def test_a_report_says(report, said):
    """Each figure stands in it in words."""
    assert said in words(drawn(report, 100).replace("│", ""))


def test_a_failure_says_why_and_names_what_was_lost(report, verification, changed):
    """The problem stands in the verdict, the key beneath."""
    lost = Mismatch(key="worker-1/slot-1", kind="missing", expected="7", found=None)
    failed = changed(report, verification=changed(verification, lost=1, examples=(lost,)))
    text = words(drawn(failed, 100).replace("│", ""))
    assert "Failed: 1 key did not hold what was acknowledged." in text
    assert "worker-1/slot-1: missing (edition 7 was acknowledged, nothing was found)" in text


def test_errors_are_listed_with_an_example(report, changed):
    """What it was, how often, and one message."""
    failed = changed(report, errors={"PutItem: ConnectError": 3}, error_examples={"PutItem: ConnectError": "refused"})
    assert "3 of PutItem: ConnectError: refused" in words(drawn(failed, 100))


def test_many_kinds_of_error_are_cut_short(report, changed):
    """A cluster that is away does not fill the screen."""
    errors = {f"Operation{number}: ConnectError": 1 for number in range(12)}
    assert "and 4 other kinds of error" in words(drawn(changed(report, errors=errors), 100))


def test_overtaken_reads_are_explained(report, changed):
    """With the key, and why it is no loss."""
    overtaken = Mismatch(key="worker-1/slot-1", kind="overtaken", expected="7", found="5")
    text = words(drawn(changed(report, overtaken_reads=1, misread_examples=(overtaken,)), 120))
    assert "1 found what a repeated write had written earlier: writes are at-least-once" in text
    assert "worker-1/slot-1: overtaken (edition 7 was acknowledged, edition 5 was found)" in text


def test_a_run_without_an_outage_has_one_column(report, changed):
    """A cluster of one's own loses no node."""
    quiet = changed(report, embedded=False, phases={"before": report.phases["before"]}, events=())
    text = drawn(quiet)
    assert "whole run" in text
    assert "node down" not in text


def test_a_report_of_an_interrupted_start_can_be_drawn(report, changed):
    """Nothing was answered, nothing was read back."""
    empty = changed(
        report, interrupted=True, phases={}, operations={}, timeline=(0,) * 60, histogram=(), latency=None,
        events=(), nodes=(), verification=None,
    )  # fmt: skip
    text = drawn(empty)
    assert "Interrupted" in text
    assert "not done" in text


def test_a_report_for_an_ascii_stream_is_ascii(report, changed):
    """No block character, box or arrow where the encoding has none."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="replace")
    render(changed(report, histogram=report.histogram[1:]), Console(file=stream, width=80))
    stream.flush()
    bars = [line for line in raw.getvalue().decode("ascii").splitlines() if line.lstrip().startswith("from ")]
    assert re.search(r"#{40} 14,993", bars[0])


def test_no_color_is_honoured(report, monkeypatch):
    """With NO_COLOR a terminal gets no colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", drawn(report, force_terminal=True))


def test_a_stream_that_is_no_terminal_gets_no_escapes(report):
    """A report in a file is plain text."""
    assert "\x1b" not in drawn(report)


@pytest.mark.parametrize("width", [30, 80])
def test_progress_shows_rates_and_node_states(width):
    """Also in a narrow terminal."""
    stream = io.StringIO()
    with LiveProgress(Console(file=stream, width=width, force_terminal=True, color_system=None)) as progress:
        progress.show(SNAPSHOT)
    text = words(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()))
    for said in ("1,764 ops/s", "12,345 operations", "● 127.0.0.1:20000 900/s", "✗ 127.0.0.2:20000 down"):
        assert said in text


def test_a_note_stays_above_the_progress():
    """It is printed once, as a line of its own."""
    stream = io.StringIO()
    with LiveProgress(Console(file=stream, width=80, force_terminal=True, color_system=None)) as progress:
        progress.show(SNAPSHOT)
        progress.note("a node was killed")
    assert stream.getvalue().count("a node was killed") == 1


def test_plain_progress_is_notes_alone():
    """A log gets a line per event, and no bar."""
    stream = io.StringIO()
    with PlainProgress(stream) as progress:
        progress.show(SNAPSHOT)
        progress.note("a node was killed")
    assert stream.getvalue() == "a node was killed\n"

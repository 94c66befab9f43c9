"""The tally: which phase an operation belongs to, and what is counted."""

from __future__ import annotations

import pytest

from alternator_trio.cli.ledger import Mismatch
from alternator_trio.cli.tally import TIMELINE_SLICES, Phase, Tally
from alternator_trio.errors import ConnectError

BEFORE, DURING, AFTER = Phase


def metadata(node="http://a", retries=0):
    return {"HTTPStatusCode": 200, "RetryAttempts": retries, "Node": node}


def tally_at(phase: Phase) -> Tally:
    """A tally of ten seconds, from 100.0 on, that has reached a phase: 4 s before, 2 s of outage."""
    tally = Tally(10.0)
    tally.begin(100.0)
    for reached, at in ((DURING, 104.0), (AFTER, 106.0)):
        if tally.phase is not phase:
            tally.enter(reached, at)
    return tally


@pytest.mark.parametrize(
    ("began_in", "ended_in", "counted_in"),
    [
        (BEFORE, BEFORE, BEFORE),
        (BEFORE, DURING, BEFORE),
        (BEFORE, AFTER, BEFORE),
        (DURING, DURING, DURING),
        (DURING, AFTER, AFTER),
        (AFTER, AFTER, AFTER),
    ],
)
def test_the_outage_holds_only_what_lay_wholly_in_it(began_in, ended_in, counted_in):
    """So that a dead node's share of it is what it did while it was dead: nothing."""
    tally = tally_at(ended_in)
    tally.succeeded("GetItem", began_in, metadata(), seconds=0.001, now=107.0)
    assert [phase for phase, counts in tally.phases.items() if counts.latencies.count] == [counted_in]


def test_phases_follow_one_another():
    """Each ends where the next begins, in seconds from the load's start."""
    tally = tally_at(AFTER)
    tally.end(110.0)
    assert [(phase.began, phase.ended) for phase in tally.phases.values()] == [(0, 4), (4, 6), (6, 10)]


@pytest.mark.parametrize(("now", "part"), [(100.0, 0), (105.0, 30), (109.99, 59), (112.0, 59)])
def test_the_timeline_counts_an_answer_when_it_came(now, part):
    """What comes after the planned end counts to the last part."""
    tally = tally_at(BEFORE)
    tally.succeeded("GetItem", BEFORE, metadata(), seconds=0.001, now=now)
    assert tally.timeline == [int(number == part) for number in range(TIMELINE_SLICES)]


def test_answers_are_counted_by_node_and_retries_added_up():
    """Over all phases."""
    tally = tally_at(BEFORE)
    tally.succeeded("GetItem", BEFORE, metadata("http://a", 1), seconds=0.001, now=101.0)
    tally.enter(DURING, 104.0)
    tally.succeeded("PutItem", DURING, metadata("http://b", 2), seconds=0.001, now=105.0)
    assert tally.by_node() == {"http://a": 1, "http://b": 1}
    assert tally.retries == 3
    assert tally.total == 2
    assert tally.operations == {"GetItem": 1, "PutItem": 1}


def test_errors_are_counted_by_what_they_are_with_one_example():
    """The first message stands for all."""
    tally = tally_at(BEFORE)
    tally.failed("PutItem", ConnectError("first"))
    tally.failed("PutItem", ConnectError("second"))
    assert tally.errors == {"PutItem: ConnectError": 2}
    assert tally.examples == {"PutItem: ConnectError": "first"}


def test_wrong_reads_are_all_counted_and_some_kept():
    """A thousand of them do not fill the report, nor does one key that is read again and again."""
    tally = tally_at(BEFORE)
    for number in range(35):
        wrong = Mismatch(key=f"a/{number}", kind="missing", expected="1", found=None)
        tally.misread([wrong, wrong])
    assert tally.wrong_reads == 70
    assert [mismatch.key for mismatch in tally.mismatches] == [f"a/{number}" for number in range(20)]


def test_overtaken_reads_are_counted_apart():
    """They are no loss."""
    tally = tally_at(BEFORE)
    tally.misread([Mismatch(key="a/b", kind="overtaken", expected="2", found="1")])
    assert (tally.wrong_reads, tally.overtaken_reads) == (0, 1)

"""The report: its verdict, its exit status, and how it is made from a tally."""

from __future__ import annotations

import json

import pytest

from alternator_trio.cli.report import IndeterminateWrites, make_report
from alternator_trio.cli.settings import Settings
from alternator_trio.cli.tally import Phase, Tally

METADATA = {"HTTPStatusCode": 200, "RetryAttempts": 1, "Node": "http://a"}


def test_a_run_without_a_problem_is_a_success(report):
    """Everything read back, no error seen."""
    assert report.problems == ()
    assert report.exit_status == 0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"errors": {"GetItem: ConnectError": 2}}, "the application saw 2 errors"),
        ({"wrong_reads": 1}, "1 read did not find what was acknowledged"),
        (
            {"indeterminate_writes": IndeterminateWrites(total=2, found_done=1, found_not_done=0)},
            "1 indeterminate write could not be resolved",
        ),
        ({"verification": None}, "nothing was read back"),
    ],
)
def test_any_problem_is_a_failure(report, changed, changes, problem):
    """Each of them is named, and makes the exit status 1."""
    failed = changed(report, **changes)
    assert failed.problems == (problem,)
    assert failed.exit_status == 1


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lost": 1}, "1 key did not hold what was acknowledged"),
        ({"overtaken": 2}, "2 keys held what a repeated write had written earlier"),
        ({"unread": 64}, "64 keys could not be read back"),
        ({"acknowledged_writes": 0}, "no write was acknowledged"),
    ],
)
def test_an_incomplete_verification_is_a_failure(report, verification, changed, changes, problem):
    """A lost write, an unread one, and a run that wrote nothing at all."""
    failed = changed(report, verification=changed(verification, **changes))
    assert failed.problems == (problem,)
    assert failed.exit_status == 1


def test_an_overtaken_read_is_no_failure(report, changed):
    """Writes that are repeated are at-least-once; what counts is what is there in the end."""
    assert changed(report, overtaken_reads=3).exit_status == 0


def test_an_interrupted_run_has_a_status_of_its_own(report, changed):
    """130, whatever else there is to say."""
    assert changed(report, interrupted=True, verification=None).exit_status == 130


def test_the_report_is_json(report):
    """It survives the way to text and back, and says what it concludes."""
    read = json.loads(json.dumps(report.as_json()))
    assert read["exit_status"] == 0
    assert read["total_operations"] == 15_000
    assert read["phases"]["during"]["shares"]["http://127.0.0.2:20000"] == 0.0
    assert read["verification"]["lost"] == 0
    assert read["indeterminate_writes"] == {"total": 3, "found_done": 2, "found_not_done": 1}


def made_from(tally: Tally, **changes):
    values = {"version": "1", "nodes": ("http://a", "http://b"), "table": "t", "retries": 0, "interrupted": False}
    return make_report(Settings(seconds=10), tally, None, remarks=(), **(values | changes))


def test_shares_and_rates_are_of_their_phase():
    """Each phase by its own length, each node by the phase's answers; a silent node has a share of zero."""
    tally = Tally(10.0)
    tally.begin(0.0)
    for _ in range(8):
        tally.succeeded("GetItem", Phase.BEFORE, METADATA, seconds=0.002, now=1.0)
    tally.enter(Phase.DURING, 4.0)
    tally.succeeded("PutItem", Phase.DURING, METADATA, seconds=0.004, now=5.0)
    tally.end(6.0)
    report = made_from(tally)
    assert report.phases["before"].operations_per_second == 2.0
    assert report.phases["during"].shares == {"http://a": 1.0, "http://b": 0.0}
    assert list(report.phases) == ["before", "during"]
    assert report.seconds == 6.0
    assert report.operations == {"GetItem": 8, "PutItem": 1}


def test_a_report_of_nothing_can_be_made():
    """A run that was broken off before its load is reported as well."""
    report = made_from(Tally(10.0), nodes=(), interrupted=True)
    assert report.latency is None
    assert report.total_operations == 0
    assert report.exit_status == 130

"""The checkers themselves: what is right passes, what is wrong is found."""

from __future__ import annotations

import math

import pytest

from alternator_trio.testing.simulation import AppliedWrite, simulate
from tests.sim.check_wire import WireWatch
from tests.sim.check_writes import check_deletions, check_late, check_reads, check_repeats, check_writes
from tests.sim.record import Done
from tests.sim.registers import is_linearizable

LOOKUP = b'POST / HTTP/1.1\r\nx-amz-target: DynamoDB_20120810.DescribeTable\r\n\r\n{"TableName":"users"}'
PROBE = b"GET /localnodes HTTP/1.1\r\n\r\n"
ASK = b"GET /localnodes?dc=dc1 HTTP/1.1\r\n\r\n"


def done(kind, began, ended=None, *, number=0, outcome="ok", attempts=1, value=None, expected=None, seen=None):
    return Done(
        number=number,
        client="c1",
        kind=kind,
        table="lwt",
        key="k",
        began=began,
        ended=math.inf if ended is None else ended,
        outcome=outcome,
        attempts=attempts,
        value=value,
        expected=expected,
        seen=seen,
    )


def applied(value, at, *, stamp=None, key="k"):
    return AppliedWrite(
        at=at,
        stamp=at if stamp is None else stamp,
        coordinator="n1",
        operation="DeleteItem" if value is None else "PutItem",
        table="lwt",
        key=(f'{{"S":"{key}"}}',),
        item=None if value is None else {"v": f'{{"S":"{value}"}}'},
        is_transaction=True,
    )


CREATED = done("create", 0, 1, value="a")
READ_A = done("read", 2, 3, seen=("a", 0))
READ_B = done("read", 2, 3, seen=("b", 0))
LATER_NOTHING = done("read", 4, 5)
UNKNOWN_B = done("replace", 1, outcome="unknown", value="b", expected="a")


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([CREATED, READ_A], True),
        ([CREATED, READ_B], False),
        ([CREATED, READ_A, LATER_NOTHING], False),
        ([CREATED, UNKNOWN_B, READ_B], True),
        ([CREATED, UNKNOWN_B, READ_A], True),
        ([CREATED, UNKNOWN_B, READ_B, done("read", 4, 5, seen=("a", 0))], False),
        ([CREATED, done("create", 2, 3, value="b", outcome="refused")], True),
        ([done("create", 2, 3, value="b", outcome="refused")], False),
        ([CREATED, done("create", 2, 3, value="b")], False),
        ([done("count", 0, 1, value="a"), done("read", 2, 3, seen=("a", 1))], True),
        ([done("count", 0, 1, value="a"), done("read", 2, 3, seen=("a", 2))], False),
        ([done("count", 0, 1, value="a", attempts=2), done("read", 2, 3, seen=("a", 2))], True),
        ([done("count", 0, 1, value="a", outcome="failed"), done("read", 2, 3, seen=("a", 1))], False),
        ([done("create", 0, 9, value="a"), done("read", 2, 3, seen=("a", 0)), done("read", 4, 5)], False),
    ],
)
def test_linearizability(history, expected):
    """There is an order that explains what everybody was told, or there is none."""
    assert is_linearizable(history) is expected


@pytest.mark.parametrize(
    ("write", "effects", "what"),
    [
        (done("create", 0, 1, value="a"), [0.5], None),
        (done("create", 0, 1, value="a"), [], "acknowledged without an effect"),
        (done("create", 0, 1, value="a"), [1.5], "acknowledged without an effect"),
        (done("create", 0, 1, value="a", attempts=2), [0.5, 7], None),
        (done("create", 0, 1, value="a"), [0.5, 7], "took effect 2 times"),
        (done("create", 0, 1, value="a", outcome="failed"), [0.5], "failed for certain, and took effect"),
        (done("create", 0, 1, value="a", outcome="refused"), [0.5], "failed for certain, and took effect"),
        (done("create", 0, 1, value="a", outcome="unknown"), [7], None),
        (done("create", 3, 4, value="a", outcome="unknown"), [2], "before it was asked for"),
        (done("create", 0, 1, value="b", outcome="unknown"), [0.5], "nobody wrote"),
    ],
)
def test_writes_against_effects(write, effects, what):
    """Acknowledged writes took effect, failed ones did not, none more often than it was tried."""
    found = list(check_writes([write], [applied("a", at) for at in effects]))
    assert bool(found) is (what is not None)
    assert what is None or what in found[0]


@pytest.mark.parametrize(
    ("kind", "effects", "found"), [("count", [0.5], 0), ("count", [0.5, 0.7], 1), ("put", [1, 2], 0)]
)
def test_a_counter_that_counts_twice_is_found(kind, effects, found):
    """However many attempts it had; what may be repeated may take effect again."""
    write = done(kind, 0, 1, value="a", attempts=2)
    assert len(list(check_repeats([write], [applied("a", at) for at in effects]))) == found


@pytest.mark.parametrize(
    ("seen", "began", "is_right"),
    [
        (None, 0.5, True),
        (("a", 0), 1.5, True),
        (("a", 0), 2.5, True),  # the next write takes effect while it runs
        (("b", 0), 2.5, True),
        (None, 1.5, False),
        (("a", 0), 3.5, False),
        (("b", 0), 1.5, False),
        (("c", 0), 4.5, False),  # the next write bears an older stamp
        (("b", 0), 5.5, False),
        (None, 6.5, True),
        (("x", 0), 6.5, False),
    ],
)
def test_a_read_shows_what_was_there_while_it_ran(seen, began, is_right):
    """Nothing of before, nothing that comes later, nothing of another key; a deletion is seen as well."""
    effects = [
        applied("a", 1),
        applied("b", 3),
        applied("c", 4, stamp=2.5),
        applied("d", 5),
        applied(None, 6),
        applied("x", 6, key="other"),
    ]
    read = done("read", began, began + 0.6 * (began == 2.5), seen=seen)
    assert bool(list(check_reads([read], effects))) is not is_right


@pytest.mark.parametrize(
    ("deletions", "effects", "what"),
    [
        ([done("delete", 0, 1)], [0.5], None),
        ([done("delete", 0, 1)], [], "acknowledged without an effect"),
        ([done("delete", 0, 1)], [1.5], "acknowledged without an effect"),
        ([done("delete", 0, 1), done("delete", 2, 3, outcome="unknown")], [0.5, 7], None),
        ([done("delete", 0, 1), done("delete", 2, 3, outcome="failed")], [0.5, 2.5], "2 times"),
        ([done("remove", 0, 1, outcome="refused", expected="a")], [0.5], "in 0 attempts"),
        ([done("remove", 0, 1, attempts=2)], [0.5, 9], None),
    ],
)
def test_deletions_against_effects(deletions, effects, what):
    """They bear no value: each key's are counted, and an acknowledged one has one while it ran."""
    found = list(check_deletions(deletions, [applied(None, at) for at in effects]))
    assert bool(found) is (what is not None)
    assert what is None or what in found[0]


def test_what_comes_too_late_is_found():
    """After the server's timeout nothing that was given up may take effect any more."""
    assert not list(check_late([applied("a", 10.0)], 10.0))
    assert "took effect after 10.000" in next(check_late([applied("a", 10.1)], 10.0))


def watch(**options):
    return WireWatch(**{"has_cluster_scope": False, "probes": 4, "answers_may_be_wrong": False, **options})


@pytest.mark.parametrize(
    ("requests", "what"),
    [
        ([(1, LOOKUP)], None),
        ([(1, LOOKUP), (2, LOOKUP)], "2 of 'key of users'"),
        ([(1, PROBE), (2, ASK)], None),
        ([(1, PROBE), (2, PROBE)], "2 of 'probe' in flight at 10.0.0.1"),
        ([(1, ASK), (2, ASK)], "2 of 'ask' in flight at 10.0.0.1"),
        ([(1, ASK), (1, ASK)], "before the answer"),
    ],
)
def test_what_is_in_flight_is_counted(requests, what):
    """One lookup per table, one probe and one question per node, one request per connection."""

    async def main():
        seen = watch()
        for number, data in requests:
            seen.dialled("c1", "n1", number, "10.0.0.1")
            seen.sent("c1", "n1", number, data)
        return seen.end()

    violations = simulate(main)
    assert bool(violations) is (what is not None)
    assert what is None or what in violations[0]


def test_what_was_answered_is_not_in_flight():
    """After the answer, or after the connection's end, the next may begin."""

    async def main():
        seen = watch()
        for ended in (seen.received, seen.closed):
            seen.dialled("c1", "n1", 1, "10.0.0.1")
            seen.sent("c1", "n1", 1, LOOKUP)
            ended("c1", "n1", 1)
        return seen.end()

    assert simulate(main) == []


def test_a_request_after_a_last_answer_is_found():
    """``Connection: close`` ends a connection, whether the node closes it or not."""

    async def main():
        seen = watch()
        seen.dialled("c1", "n1", 1, "10.0.0.1")
        seen.sent("c1", "n1", 1, ASK)
        seen.read("c1", "n1", 1, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]")
        seen.received("c1", "n1", 1)
        seen.sent("c1", "n1", 1, ASK)
        return seen.end()

    (violation,) = simulate(main)
    assert "whose last answer was its last" in violation

"""A cluster with the demo's table, a client of it, and a report to vary."""

from __future__ import annotations

import dataclasses

import pytest

from alternator_trio import open_alternator
from alternator_trio.cli.latencies import Bar, LatencySummary
from alternator_trio.cli.read_back import Verification
from alternator_trio.cli.report import IndeterminateWrites, PhaseReport, Report
from alternator_trio.cli.table import make_table
from alternator_trio.cli.tally import Event, Tally
from alternator_trio.testing import LocalCluster

TABLE = "demo"
NODES = ("http://127.0.0.1:20000", "http://127.0.0.2:20000", "http://127.0.0.3:20000")
LATENCY = LatencySummary(p50=0.005, p90=0.012, p99=0.0345, p999=0.1, maximum=1.5)


@pytest.fixture
async def cluster():
    async with LocalCluster(3, record_requests=False) as running:
        yield running


@pytest.fixture
async def client(cluster):
    async with open_alternator(*cluster.seeds) as opened:
        await opened.refresh()
        await make_table(opened, TABLE)
        yield opened


@pytest.fixture
def table():
    return TABLE


@pytest.fixture
def tally():
    return Tally(1.0)


@pytest.fixture
def verification():
    return Verification(acknowledged_writes=900, present=500, absent=100, unread=0, lost=0, overtaken=0, examples=())


@pytest.fixture
def report(verification):
    """A report of a run in which all went well."""

    def phase(down: int | None) -> PhaseReport:
        shares = {node: 0.0 if number == down else 0.5 for number, node in enumerate(NODES)}
        return PhaseReport(
            seconds=5.0, operations=5000, operations_per_second=1000.0, retries=12, shares=shares, latency=LATENCY
        )

    return Report(
        version="1.2.3",
        embedded=True,
        nodes=NODES,
        table=TABLE,
        concurrency=32,
        seconds=15.0,
        interrupted=False,
        operations={"GetItem": 10_000, "PutItem": 4_000, "conditional UpdateItem": 1_000},
        operations_per_second=1000.0,
        errors={},
        error_examples={},
        retries=36,
        indeterminate_writes=IndeterminateWrites(total=3, found_done=2, found_not_done=1),
        wrong_reads=0,
        overtaken_reads=0,
        misread_examples=(),
        phases={"before": phase(None), "during": phase(1), "after": phase(None)},
        latency=LATENCY,
        histogram=(
            Bar(from_seconds=0.00015, to_seconds=0.0002, count=7),
            Bar(from_seconds=0.0002, to_seconds=0.0003, count=14_993),
        ),
        timeline=tuple(range(200, 260)),
        slice_seconds=0.25,
        events=(
            Event(at=6.0, kind="killed", node=NODES[1], text="killed; the others go on listing it"),
            Event(at=9.8, kind="started", node=NODES[1], text="started again"),
        ),
        verification=verification,
        remarks=(),
    )


@pytest.fixture
def changed():
    return dataclasses.replace

"""Whole runs of the demo, in this process."""

from __future__ import annotations

import io
import random

import pytest
import trio

from alternator_trio import ConnectError, DiscoveryError, open_alternator
from alternator_trio.cli.demo import Demo
from alternator_trio.cli.progress import PlainProgress
from alternator_trio.cli.settings import Settings
from alternator_trio.testing import LocalCluster, MinistackEngine


class ForgetfulEngine(MinistackEngine):
    """Acknowledges every PutItem and does none."""

    async def execute(self, operation: str, body: bytes) -> tuple[int, bytes]:
        if operation == "PutItem":
            return 200, b"{}"
        return await super().execute(operation, body)


class RefusingEngine(MinistackEngine):
    """Answers every Scan with an error that no repetition would change."""

    async def execute(self, operation: str, body: bytes) -> tuple[int, bytes]:
        if operation == "Scan":
            return 400, b'{"__type": "AccessDeniedException", "message": "no"}'
        return await super().execute(operation, body)


def demo_of(settings: Settings, engine=None) -> tuple[Demo, io.StringIO]:
    notes = io.StringIO()
    return Demo(settings, PlainProgress(notes), engine=engine, rng=random.Random(3)), notes


async def tables_of(cluster: LocalCluster) -> list[str]:
    async with open_alternator(*cluster.seeds) as client:
        return (await client.list_tables())["TableNames"]


async def test_a_node_dies_and_the_application_sees_nothing():
    """Killed and back, no error, everything read back, and nothing from the dead node while it was dead."""
    demo, notes = demo_of(Settings(seconds=1.5, concurrency=8))
    await demo.run()
    report = demo.report()
    assert report.problems == ()
    (victim,) = {event.node for event in report.events}
    assert [event.kind for event in report.events if event.kind in {"killed", "started"}] == ["killed", "started"]
    assert report.phases["during"].shares[victim] == 0
    assert report.phases["before"].shares[victim] > 0.2
    assert "killed" in notes.getvalue()


async def test_a_store_that_loses_writes_fails_the_demo():
    """Acknowledged and not there: found by reads of the load and when reading back."""
    demo, _ = demo_of(Settings(seconds=0.5, concurrency=4), ForgetfulEngine())
    await demo.run()
    report = demo.report()
    assert report.exit_status == 1
    assert report.verification.lost > 0
    assert report.wrong_reads > 0
    assert report.total_errors == 0


async def test_an_error_that_reaches_the_application_fails_the_demo():
    """Even when every write is there."""
    demo, _ = demo_of(Settings(seconds=1.0, concurrency=4), RefusingEngine())
    await demo.run()
    report = demo.report()
    assert set(report.errors) == {"Scan: AccessDeniedException"}
    assert report.verification.is_complete
    assert report.exit_status == 1


async def test_on_a_cluster_of_the_users_no_node_is_killed_and_no_table_stays():
    """It says so, and cleans up."""
    async with LocalCluster(2) as cluster:
        demo, notes = demo_of(Settings(seconds=0.3, concurrency=4, seeds=cluster.seeds))
        await demo.run()
        report = demo.report()
        assert report.exit_status == 0
        assert report.events == ()
        assert list(report.phases) == ["before"]
        assert "no node was killed" in report.remarks[0]
        assert "no node will be killed" in notes.getvalue()
        assert report.remarks[1].endswith("was deleted")
        assert await tables_of(cluster) == []


async def test_a_cancelled_demo_cleans_up_and_has_a_report():
    """What was done until then is reported; the table is gone."""
    async with LocalCluster(2) as cluster:
        demo, _ = demo_of(Settings(seconds=30, concurrency=4, seeds=cluster.seeds))
        with trio.move_on_after(0.4):
            await demo.run()
        report = demo.report(interrupted=True)
        assert report.total_operations > 0
        assert report.verification is None
        assert report.exit_status == 130
        assert await tables_of(cluster) == []


async def test_a_table_that_cannot_be_dropped_is_named():
    """The user learns what was left behind, and why."""
    async with LocalCluster(2) as cluster:
        demo, _ = demo_of(Settings(seconds=30, concurrency=4, seeds=cluster.seeds))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(demo.run)
            await trio.sleep(0.3)
            for node in cluster.nodes:
                node.stop()
            nursery.cancel_scope.cancel()
        (table,) = await tables_after_restart(cluster)
        assert any(f"table {table} was left behind" in remark for remark in demo.report().remarks)


async def tables_after_restart(cluster: LocalCluster) -> list[str]:
    for node in cluster.nodes:
        node.start()
    return await tables_of(cluster)


async def test_a_cluster_that_is_not_there_is_one_error():
    """Which names the seed and says why, and leaves bare."""
    async with LocalCluster(1) as cluster:
        cluster.nodes[0].stop()
        demo, _ = demo_of(Settings(seeds=cluster.seeds))
        with pytest.raises((DiscoveryError, ConnectError), match=cluster.seeds[0]):
            await demo.run()

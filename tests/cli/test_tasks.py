"""The tasks of the load, against a cluster: what they do, what they check, and how they settle what is uncertain."""

from __future__ import annotations

import random

import pytest
import trio

from alternator_trio.cli.guarded import GuardedWriter
from alternator_trio.cli.read_back import read_back
from alternator_trio.cli.workload import Worker
from alternator_trio.testing import Answer, Reset

KINDS = {
    "GetItem", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "BatchGetItem", "Query", "Scan"
}  # fmt: skip


@pytest.fixture
def worker(client, table, tally):
    return Worker(client, table, 0, tally=tally, rng=random.Random(11))


@pytest.fixture
def writer(client, table, tally):
    return GuardedWriter(client, table, 0, tally=tally)


@pytest.fixture
async def deleted_behind_its_back(client, table):
    """Deletes one of a ledger's items, which the ledger does not hear of."""

    async def delete(ledger):
        (victim, *_) = [key for key in ledger._items if ledger.expected(key) is not None]
        await client.delete_item(TableName=table, Key=victim.attributes)
        return victim

    return delete


async def run_for(task, seconds):
    await task.run(trio.current_time() + seconds)


async def test_a_worker_does_every_kind_of_operation(worker, tally):
    """All eight, without an error, and every read finds what it must."""
    await run_for(worker, 0.5)
    assert set(tally.operations) == KINDS
    assert not tally.errors
    assert tally.wrong_reads == 0


async def test_everything_a_worker_wrote_is_read_back(worker, client, table, tally):
    """All of its keys are found or missed as they must be."""
    await run_for(worker, 0.3)
    verification = await read_back(client, table, [worker.ledger], tally, concurrency=4)
    assert verification.is_complete
    assert verification.acknowledged_writes == worker.ledger.acknowledged > 0
    assert verification.present + verification.absent == 64


async def test_a_lost_write_is_noticed_when_reading_back(worker, client, table, tally, deleted_behind_its_back):
    """One item that is gone without a deletion makes the verification incomplete, and is named."""
    await run_for(worker, 0.3)
    victim = await deleted_behind_its_back(worker.ledger)
    verification = await read_back(client, table, [worker.ledger], tally, concurrency=4)
    assert verification.lost == 1
    assert verification.examples[0].key == "/".join(victim)
    assert not verification.is_complete


@pytest.mark.parametrize("read", ["_get", "_batch_get", "_query", "_scan"])
async def test_a_lost_write_is_noticed_by_reads_of_the_load(
    worker, client, table, tally, deleted_behind_its_back, read
):
    """Every kind of read checks what it finds. A scan sees only what is there, so it gets an older item to find."""
    await run_for(worker, 0.2)
    victim = await deleted_behind_its_back(worker.ledger)
    if read == "_scan":
        await client.put_item(TableName=table, Item={**victim.attributes, "edition": {"N": "0"}})
    for _ in range(2_000):  # keys are drawn at random
        await getattr(worker, read)()
        if tally.wrong_reads:
            break
    assert tally.mismatches[0].key == "/".join(victim)


async def test_an_error_reaches_the_tally_and_not_the_task(worker, cluster, tally):
    """A worker goes on after an error, and leaves what it tried to write in doubt."""
    for node in cluster.nodes:
        node.fail_next(Answer(status=400, body=b"no"), times=1, operation="PutItem")
    await run_for(worker, 0.5)
    assert sum(tally.errors.values()) == 3
    assert tally.operations["PutItem"] > 0


async def test_what_cannot_be_read_back_is_counted(worker, client, cluster, table, tally):
    """A shelf that cannot be read is not verified, and the error counts."""
    await run_for(worker, 0.2)
    for node in cluster.nodes:
        node.fail_next(Answer(status=400, body=b"no"), times=1, operation="Query")
    verification = await read_back(client, table, [worker.ledger], tally, concurrency=1)
    assert verification.unread == 3 * 16
    assert tally.errors == {"reading back: UnknownServiceError": 3}
    assert not verification.is_complete


async def test_a_guarded_writer_counts_on(writer, client, table, tally):
    """One by one, without an error, to the number that is there in the end."""
    await run_for(writer, 0.2)
    assert writer._current == tally.operations["conditional UpdateItem"] > 2
    assert (await read_back(client, table, [writer.ledger], tally, concurrency=1)).is_complete


@pytest.mark.parametrize(("executed", "counts"), [(True, (1, 0)), (False, (0, 1))])
async def test_an_indeterminate_write_is_resolved_by_a_read(writer, cluster, tally, executed, counts):
    """Whether the lost attempt had taken effect or not, the writer knows in the end, and no error is counted."""
    await writer._write()  # the next write, of number 2, may not be repeated
    for node in cluster.nodes:
        node.fail_next(Reset(executed=executed), operation="UpdateItem")
    await writer._write()
    for node in cluster.nodes:
        node.clear_faults()
    assert tally.indeterminate == 1
    await writer._resolve()
    assert (tally.happened, tally.not_happened) == counts
    await writer._write()
    assert writer._current == 2 + executed
    assert not tally.errors


async def test_a_repeated_write_that_finds_itself_done_is_resolved_too(writer, cluster, tally):
    """The client repeats the attempt; its condition fails, because the lost one had taken effect."""
    for node in cluster.nodes:
        node.fail_next(Reset(executed=True), times=1, operation="UpdateItem")
    await writer._write()
    await writer._resolve()
    assert (tally.indeterminate, tally.happened) == (1, 1)


async def test_an_attempt_that_takes_effect_late_is_recognised(writer, cluster, client, table, tally):
    """No attempt can be recalled: a read found it not done, and then it was done after all."""
    await writer._write()
    for node in cluster.nodes:
        node.fail_next(Reset(), operation="UpdateItem")
    await writer._write()
    for node in cluster.nodes:
        node.clear_faults()
    await writer._resolve()
    assert tally.not_happened == 1
    await client.put_item(TableName=table, Item=writer._item(2))  # here it comes
    await writer._write()
    await writer._resolve()
    await writer._write()
    assert (tally.happened, tally.not_happened, tally.indeterminate) == (1, 0, 1)
    assert writer._current == 3
    assert not tally.errors


async def test_a_failed_condition_without_a_reason_is_an_error(writer, client, table, tally):
    """Nobody else moves the number: if somebody does, the application has seen an error."""
    await writer._write()
    await client.put_item(TableName=table, Item=writer._item(7))
    await run_for(writer, 0.15)
    assert set(tally.errors) == {"conditional UpdateItem: ConditionalCheckFailedException"}

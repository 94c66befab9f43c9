"""After the load: read everything back and compare it with what was acknowledged.

Rules: every shelf of every owner is read to its end, consistently; what cannot be read is not verified.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import trio

from alternator_trio.cli.ledger import SHELF, Item, Ledger, Mismatch
from alternator_trio.cli.tally import Tally
from alternator_trio.client import Client
from alternator_trio.errors import AlternatorError

if TYPE_CHECKING:
    from alternator_trio import types

__all__ = ["Verification", "read_back"]

_KEPT: Final = 20  # mismatches that are named; all are counted


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What reading everything back has shown.

    Attributes:
        acknowledged_writes: Writes that the cluster acknowledged, each item of a batch counted.
        present: Keys whose item must be there.
        absent: Keys that must not be there: deleted, or never written.
        unread: Keys that could not be read.
        lost: Keys under which something else was found than was acknowledged.
        overtaken: Keys under which an earlier write was found, of which an attempt had been given up.
        examples: Some of both.
    """

    acknowledged_writes: int
    present: int
    absent: int
    unread: int
    lost: int
    overtaken: int
    examples: tuple[Mismatch, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every acknowledged write was read back."""
        return not (self.unread or self.lost or self.overtaken)


@dataclasses.dataclass(slots=True)
class _Findings:
    present: int = 0
    absent: int = 0
    unread: int = 0
    mismatches: list[Mismatch] = dataclasses.field(default_factory=list[Mismatch])


async def read_back(
    client: Client, table: str, ledgers: Sequence[Ledger], tally: Tally, *, concurrency: int
) -> Verification:
    """Read every key and compare.

    Args:
        client: The client.
        table: The table.
        ledgers: What must be there.
        tally: Where errors are counted.
        concurrency: How many reads may be in flight.
    """
    shelves = iter([(ledger, shelf) for ledger in ledgers for shelf in ledger.shelves])
    findings = _Findings()
    async with trio.open_nursery() as nursery:
        for _ in range(concurrency):
            nursery.start_soon(_read_shelves, client, table, shelves, findings, tally)
    overtaken = sum(mismatch.kind == "overtaken" for mismatch in findings.mismatches)
    return Verification(
        acknowledged_writes=sum(ledger.acknowledged for ledger in ledgers),
        present=findings.present,
        absent=findings.absent,
        unread=findings.unread,
        lost=len(findings.mismatches) - overtaken,
        overtaken=overtaken,
        examples=tuple(findings.mismatches[:_KEPT]),
    )


async def _read_shelves(
    client: Client, table: str, shelves: Iterator[tuple[Ledger, str]], findings: _Findings, tally: Tally
) -> None:
    for ledger, shelf in shelves:  # shared: each shelf is read by whoever takes it first
        present, absent = ledger.count_present(shelf)
        try:
            items = await _whole_shelf(client, table, shelf)
        except AlternatorError as error:
            tally.failed("reading back", error)
            findings.unread += present + absent
            continue
        findings.present += present
        findings.absent += absent
        findings.mismatches += ledger.judge_page(shelf, items, None)


async def _whole_shelf(client: Client, table: str, shelf: str) -> list[Item]:
    items: list[Item] = []
    parameters: types.QueryInput = {
        "TableName": table,
        "KeyConditionExpression": f"{SHELF} = :shelf",
        "ExpressionAttributeValues": {":shelf": {"S": shelf}},
        "ConsistentRead": True,
    }
    while True:
        answer = await client.query(**parameters)
        items += answer["Items"]
        last = answer.get("LastEvaluatedKey")
        if last is None:
            return items
        parameters["ExclusiveStartKey"] = last

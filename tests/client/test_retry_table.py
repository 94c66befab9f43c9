"""Each operation at each point of failure: attempts, nodes, pauses, tokens, and what is said in the end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from alternator_trio import AlternatorError, IndeterminateWriteError
from alternator_trio._wire.operation_names import TARGETS
from tests.client.retry_operations import EXAMPLES, KINDS, OPERATIONS, Case
from tests.client.retry_table import ATTEMPTS, QUOTA, ROWS, TIMEOUT, AtDial, Row, rendered
from tests.scripted_nodes import ScriptedNodes

FOR_EVER = 10**6
FIRST_FAULTS = [(row, next(iter(row.faults))) for row in ROWS]
OTHER_FAULTS = [(row, name) for row in ROWS for name in list(row.faults)[1:]]
ALL_FAULTS = FIRST_FAULTS + OTHER_FAULTS


def cells(faults, cases):
    return [
        pytest.param(row, name, case, id=f"{name}-{case.name}".replace(" ", "_"))
        for row, name in faults
        for case in cases
    ]


@dataclass
class Attempt:
    host: str
    at: float


class World:
    """Three nodes, a network between, and what was attempted."""

    def __init__(self, nodes: ScriptedNodes) -> None:
        self.nodes = nodes
        self.dials: list[Attempt] = []
        self.fault: AtDial | None = None
        self.times = 0

    def spoil(self, fault, times_per_node):
        """Have so many attempts at each node fail."""
        if isinstance(fault, AtDial):
            self.fault, self.times = fault, times_per_node * len(list(self.nodes))
            return
        for node in self.nodes:
            node.fail_next(fault, times=times_per_node)

    def attempts(self, fault):
        if isinstance(fault, AtDial):
            return self.dials
        return [Attempt(request.host, request.at) for request in self.nodes.requests]

    async def dial(self, node):
        self.dials.append(Attempt(node.host, trio.current_time()))
        fault = self.fault if self.times else None
        self.times -= fault is not None
        if fault is None:
            return await self.nodes.dial(node)
        await trio.sleep(fault.seconds)
        if fault.error is not None:
            raise type(fault.error)(str(fault.error), node=node.endpoint)
        end = await self.nodes.dial(node)
        assert fault.spoil is not None
        end.__class__ = fault.spoil
        return end

    def open_client(self, **options):
        return self.nodes.open_client(dial=self.dial, discovery=False, **options)


@pytest.fixture
async def world():
    async with ScriptedNodes(3) as nodes:
        yield World(nodes)


def check_pauses(row: Row, case: Case, attempts: list[Attempt]) -> None:
    """Between one attempt's failure and the next attempt."""
    lasts = TIMEOUT[case.kind] if row.lasts is None else row.lasts
    gaps = [later.at - earlier.at - lasts for earlier, later in itertools.pairwise(attempts)]
    for gap, longest in zip(gaps, row.pauses or (), strict=False):
        assert 0.0 < gap <= longest if longest else gap == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("row", "name", "case"), cells(FIRST_FAULTS, OPERATIONS) + cells(OTHER_FAULTS, EXAMPLES))
async def test_when_every_attempt_fails(autojump_clock, world, row, name, case):
    """So many attempts at different nodes, with their pauses and tokens, and the error of the table."""
    fault = row.faults[name]
    world.spoil(fault, FOR_EVER)
    async with world.open_client(**row.options) as client:
        with pytest.raises(AlternatorError) as caught:
            await client.call(case.operation, case.parameters)
        tokens = client.statistics().retry_tokens
    error, attempts = caught.value, world.attempts(fault)
    count = ATTEMPTS if row.is_repeated(case.kind) else 1
    assert (len(attempts), error.attempts) == (count * row.sendings, count)
    assert len({attempt.host for attempt in attempts[: 3 * row.sendings]}) == min(count, 3)
    if row.is_indeterminate(case.kind):
        assert type(error) is IndeterminateWriteError
        assert isinstance(error.__cause__, row.error)
    else:
        assert isinstance(error, row.error)
    assert error.may_have_happened is row.may_have_happened(case.kind)
    assert error.operation == case.operation
    assert error.node == f"http://{attempts[-1].host}:8000"
    assert tokens == QUOTA - (sum(row.tokens) if count > 1 else 0)
    check_pauses(row, case, attempts)


REPEATED = [cell for cell in cells(ALL_FAULTS, EXAMPLES) if cell.values[0].is_repeated(cell.values[2].kind)]


@pytest.mark.parametrize(("row", "name", "case"), REPEATED)
async def test_when_the_last_attempt_succeeds(autojump_clock, world, row, name, case):
    """Each node fails once: the fourth attempt has the answer, and its tokens come back."""
    world.spoil(row.faults[name], 1)
    async with world.open_client() as client:
        answer = await client.call(case.operation, case.parameters)
        assert client.statistics().retry_tokens == QUOTA
        assert (client.statistics().retries, client.statistics().failed) == (ATTEMPTS - 1, 0)
    assert answer["ResponseMetadata"]["RetryAttempts"] == ATTEMPTS - 1


COUNTER = next(case for case in EXAMPLES if case.kind == "other")
UNKNOWN_OUTCOMES = [cell for cell in cells(ALL_FAULTS, [COUNTER]) if cell.values[0].is_indeterminate("other")]


@pytest.mark.parametrize(("row", "name", "case"), UNKNOWN_OUTCOMES)
async def test_ambiguous_writes_retry_makes_any_write_repeatable(autojump_clock, world, row, name, case):
    """Also for one operation: it is treated as a repeatable write, and fails as one."""
    fault = row.faults[name]
    world.spoil(fault, FOR_EVER)
    async with world.open_client() as client:
        with pytest.raises(row.error) as caught:
            await client.call(case.operation, case.parameters, ambiguous_writes="retry")
    assert len(world.attempts(fault)) == (1 if row.pauses is None else ATTEMPTS)
    assert caught.value.may_have_happened


def test_every_operation_has_its_kind():
    """No operation of the service model is missing from the table."""
    assert set(KINDS) == set(TARGETS)


def test_the_documentation_has_the_table():
    """docs/retries.md says what is tested here, cell by cell; paste what `rendered` returns when it does not."""
    page = Path(__file__).parents[2] / "docs" / "retries.md"
    assert rendered() in page.read_text(encoding="utf-8")


def test_the_documentation_names_the_operations():
    """Each kind of operations stands there by name."""
    text = (Path(__file__).parents[2] / "docs" / "retries.md").read_text(encoding="utf-8")
    assert [operation for operation in KINDS if f"`{operation}`" not in text] == []

"""What judges a chaos run finds what is planted: lost writes, errors without a fault, growth."""

from __future__ import annotations

import os
import random
import threading

import pytest
import trio
from accounts import AFTERMATH, LAG, Windows
from callers import SLOTS, Caller, View
from cancelling import Guillotine
from chaos_report import report
from chaos_run import Choices, Findings
from gate import Gate
from journal import Journal
from registers import Counter, Register
from rest import Rest
from tally import Tally
from vitals import JUDGED_FROM, Held, Sample, complaint, least, more
from weather import KINDS, plan

from alternator_trio import (
    AttemptTimeoutError,
    ConnectionLostError,
    DecodingError,
    IndeterminateWriteError,
    OperationTimeoutError,
    UnknownServiceError,
)

HORIZON = 10.0
NODE, OTHER = "http://127.0.0.1:1", "http://127.0.0.2:1"


def register() -> Register:
    made = Register("shelf/slot", HORIZON)
    made.acknowledge(1, began=0.0, now=0.1, repeated=False)
    return made


# What may be read


def test_an_acknowledged_write_that_is_not_there_is_found_out() -> None:
    """Neither nothing nor an older write may be there."""
    made = register()
    made.acknowledge(2, began=1.0, now=1.1, repeated=False)
    assert made.judge(2) is None
    assert "edition 2 was acknowledged, and 1 was found" in made.judge(1)
    assert made.judge(0)


def test_a_write_that_failed_for_certain_is_not_there() -> None:
    """If it is, the complaint says so."""
    made = register()
    made.refuse(2)
    assert "failed for certain" in made.judge(2)


def test_a_write_of_unknown_outcome_may_be_there_or_not() -> None:
    """Both are right until the next one."""
    made = register()
    made.doubt(2, now=1.0)
    assert (made.judge(1), made.judge(2), made.is_certain) == (None, None, False)


@pytest.mark.parametrize(("began", "may_come"), [(5.0, True), (11.5, False)])
def test_an_abandoned_attempt_may_come_over_a_newer_write_for_a_time(began: float, may_come: bool) -> None:
    """It counts when the newer write began before the horizon was over, and no longer."""
    made = register()
    made.doubt(2, now=1.0)
    made.acknowledge(3, began=began, now=began + 0.1, repeated=False)
    assert (made.judge(2) is None) is may_come


def test_a_repeated_write_may_come_back() -> None:
    """One of its attempts was given up."""
    made = register()
    made.acknowledge(2, began=1.0, now=1.5, repeated=True)
    made.acknowledge(3, began=2.0, now=2.1, repeated=False)
    assert made.judge(2) is None


def test_a_counter_is_within_its_bounds() -> None:
    """Acknowledged additions are there, refused ones are not, and no addition is there twice."""
    counter = Counter("counter")
    for _ in range(3):
        counter.begin(1)
    counter.acknowledge(1, 1)
    counter.refuse(1)
    found = [counter.judge(value, at_least=counter.acknowledged) is None for value in range(4)]
    assert found == [False, True, True, False]


@pytest.mark.parametrize(
    ("found", "is_right"), [([1], True), ([1, 3], True), ([], False), ([1, 1], False), ([1, 2], False), ([1, 9], False)]
)
def test_a_journal_tells_what_was_executed(found: list[int], is_right: bool) -> None:
    """Entry 1 was acknowledged, 2 refused, 3 is of unknown outcome, and each may be executed once."""
    journal = Journal("journal")
    for entry in (1, 2, 3):
        journal.begin(entry, 1)
    journal.acknowledge(1)
    journal.refuse(2)
    assert (journal.judge(found) is None) is is_right


class Shelf:
    """A client whose shelf is what it is given to be."""

    def __init__(self, *items: dict[str, object]) -> None:
        self.items = items

    async def query(self, **_: object) -> dict[str, object]:
        await trio.lowlevel.checkpoint()
        return {"ResponseMetadata": {"RetryAttempts": 0, "Node": NODE}, "Items": self.items}


def caller(tally: Tally) -> Caller:
    return Caller(
        0, [], tally=tally, guillotine=Guillotine(random.Random(1), 1.0), counters=[], rng=random.Random(1),
        horizon=HORIZON, pause=0.01,
    )  # fmt: skip


async def test_a_client_that_loses_writes_is_found_out(autojump_clock: object) -> None:
    """An empty shelf after acknowledged writes is a complaint for each of them."""
    tally = Tally(Windows())
    one = caller(tally)
    for made in one.registers.values():
        made.acknowledge(1, began=0.0, now=0.1, repeated=False)
    await one.check_everything(View(name="plain", client=Shelf()))
    assert tally.wrong == SLOTS


async def test_an_answer_that_belongs_to_another_request_is_found_out(autojump_clock: object) -> None:
    """An item under the right key with the right edition and another one's text."""
    tally = Tally(Windows())
    one = caller(tally)
    one.registers["slot-00"].acknowledge(1, began=0.0, now=0.1, repeated=False)
    other = {**one._key("slot-00"), "edition": {"N": "1"}, "body": {"S": "another's"}}
    await one.check_everything(View(name="plain", client=Shelf(other)))
    assert "another answer" in tally.complaints[0]


async def test_an_operation_that_never_ends_is_found_out(autojump_clock: object) -> None:
    """The run ends it, after a bound, and complains."""

    class Silent:
        async def query(self, **_: object) -> dict[str, object]:
            await trio.sleep_forever()
            raise AssertionError

    tally = Tally(Windows())
    await caller(tally).check_everything(View(name="plain", client=Silent()))
    assert "query has not ended within" in tally.complaints[0]


async def test_behind_a_shut_gate_nothing_is_under_way(autojump_clock: object) -> None:
    """What is inside is waited for, and nobody passes any more."""
    gate, log = Gate(), []

    async def pass_through(seconds: float) -> None:
        await gate.passed()
        with gate.inside():
            await trio.sleep(seconds)
        log.append(seconds)

    async with trio.open_nursery() as nursery:
        gate.open()
        for seconds in (1, 2):
            nursery.start_soon(pass_through, seconds)
        await trio.testing.wait_all_tasks_blocked()
        gate.shut()
        nursery.start_soon(pass_through, 0)
        await gate.empty()
        assert log == [1, 2]
        nursery.cancel_scope.cancel()


# What an error is put down to

LOST = ConnectionLostError("gone", node=NODE)


def windows(kind: str, node: str = NODE) -> Windows:
    made = Windows()
    made.end(made.begin(kind, node, 10.0), 12.0)
    return made


@pytest.mark.parametrize(
    ("kind", "node", "began", "cause"),
    [
        ("kill", NODE, 11.0, "kill"),
        ("kill", OTHER, 11.0, None),
        ("throttle", NODE, 11.0, None),
        ("kill", NODE, 12.0 + AFTERMATH / 2, "kill"),
        ("kill", NODE, 12.1 + AFTERMATH, None),
    ],
)
def test_an_error_needs_a_fault_of_its_kind_at_its_node_and_time(
    kind: str, node: str, began: float, cause: str | None
) -> None:
    """Another node's, another kind's and an old fault explain nothing."""
    assert windows(kind, node).explain(LOST, began, began + 0.1) == cause


def test_an_error_that_no_fault_can_cause_is_never_accounted_for() -> None:
    """An answer that cannot be read is the client's own fault, whatever is on."""
    assert windows("truncate").explain(DecodingError("not JSON", node=NODE), 10.0, 11.0) is None


def test_an_indeterminate_write_is_put_down_to_what_caused_it() -> None:
    """To a timeout, here."""
    error = IndeterminateWriteError("?", node=NODE)
    error.__cause__ = AttemptTimeoutError("late", node=NODE)
    assert windows("pause").explain(error, 11.0, 12.0) == "pause"
    assert windows("reset").explain(error, 11.0, 12.0) is None


def test_a_refusal_is_put_down_to_what_makes_nodes_refuse() -> None:
    """A ValidationException has no fault to come from."""
    shed = UnknownServiceError("busy", code="RequestLimitExceeded", status=400, node=NODE)
    wrong = UnknownServiceError("no", code="ValidationException", status=400, node=NODE)
    assert windows("shed").explain(shed, 11.0, 12.0) == "shed"
    assert windows("shed").explain(wrong, 11.0, 12.0) is None


def test_an_error_in_a_calm_is_one_too_many() -> None:
    """Though a fault that has just ended would explain it; not so one that the machine explains."""
    tally = Tally(windows("kill"))
    tally.calm_since = 12.1
    tally.failed(LOST, began=12.2, ended=12.3)
    assert tally.wrong == 1
    tally = Tally(windows(LAG, ""))
    tally.calm_since = 10.0
    tally.failed(AttemptTimeoutError("late", node=NODE), began=11.0, ended=12.0)
    assert tally.wrong == 0


def test_a_timeout_that_nobody_asked_for_is_found_out() -> None:
    """OperationTimeoutError has no other cause than the caller's own limit."""

    class Hasty:
        async def query(self, **_: object) -> dict[str, object]:
            raise OperationTimeoutError("not done in time")

    tally = Tally(Windows())
    trio.run(caller(tally).check_everything, View(name="plain", client=Hasty()))
    assert "nobody had asked" in tally.complaints[0]


# What is held


def sample(at: int, rss: int) -> Sample:
    return Sample(
        at=at, descriptors=10, connections=0, tasks=5, threads=1, rss=rss, operations=at, errors=0, cancelled=0,
        faults=0, open_faults=0, calm=False,
    )  # fmt: skip


def test_memory_that_grows_after_warm_up_is_found_out() -> None:
    """By a tenth over the run: too much; what grows in the first third only is none."""
    growing = [sample(at, 1000 + at) for at in range(300)]
    warming = [sample(at, 1000 + min(at, 90)) for at in range(300)]
    assert complaint(growing, JUDGED_FROM)
    assert complaint(warming, JUDGED_FROM) is None


class Alone:
    """A cluster to which nobody is connected."""

    open_connections = 0

    async def look(self) -> Alone:
        await trio.lowlevel.checkpoint()
        return self


async def test_what_is_held_from_rest_to_rest_is_found_out() -> None:
    """A descriptor, a task and a thread more at the second rest than at the first."""
    tally = Tally(Windows())
    rest = Rest(Alone(), [], [], [], tally, native=True)
    await rest.see()
    assert tally.complaints == []
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    async with trio.open_nursery() as nursery:
        with open(os.devnull, encoding="ascii"):  # noqa: ASYNC230 - a descriptor
            nursery.start_soon(trio.sleep_forever)
            thread.start()
            await rest.see()
        nursery.cancel_scope.cancel()
    done.set()
    thread.join()
    (complaint,) = tally.complaints
    assert "1 more descriptors, 1 more tasks, 1 more threads" in complaint


def test_what_there_is_more_of_is_named() -> None:
    """A descriptor, for one; what there is less of is no trouble."""
    before, after = Held(descriptors=3, tasks=5, threads=1), Held(descriptors=4, tasks=4, threads=1)
    assert more(before, after) == "1 more descriptors"
    assert more(before, least([before, after])) is None


# What goes wrong, and who leaves


def test_a_seed_is_a_plan() -> None:
    """The same one each time, another one for another seed."""
    plans = [plan(random.Random(seed), seconds=60, nodes=6, rate=3) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_a_plan_has_every_kind_and_one_fault_per_layer_and_node_at_a_time() -> None:
    """Faults that overlap at one node would end each other."""
    faults = plan(random.Random(1), seconds=600, nodes=6, rate=5)
    assert {fault.kind for fault in faults} == set(KINDS)
    free_from: dict[tuple[str, int], float] = {}
    for fault in faults:
        place = KINDS[fault.kind].layer, fault.node
        assert free_from.get(place, 0.0) <= fault.at
        free_from[place] = fault.at + fault.seconds
        assert free_from[place] <= 600


async def test_the_guillotine_falls_on_all_in_one_tick(autojump_clock: object) -> None:
    """All tasks under it have ended two ticks later, and none is registered any more."""
    guillotine = Guillotine(random.Random(1), 1.0)
    ended = []

    async def wait(number: int) -> None:
        scope = trio.CancelScope()
        with scope, guillotine.over(scope):
            await trio.sleep_forever()
        ended.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(wait, number)
        await trio.testing.wait_all_tasks_blocked()
        guillotine.fall(1.0)
        await trio.testing.wait_all_tasks_blocked()
    assert sorted(ended) == list(range(50))
    assert guillotine.most == 50


def test_the_report_says_what_is_wrong() -> None:
    """In words, with the count."""
    tally = Tally(Windows())
    tally.complain("something is lost")
    found = Findings(Choices(seed=1, seconds=1.0), tally, seconds=1.0, healed_after=[0.1])
    assert "WRONG, 1 times:\n  something is lost" in report(found)

"""Restart rules, under the virtual clock."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import ClassVar

import pytest
import trio
import trio.testing

from alternator_trio._supervision import (
    Actor,
    Children,
    CrashReport,
    Inbox,
    IntensityExceededError,
    Message,
    Reply,
    RestartForever,
    RestartLimited,
    RestartPolicy,
    supervise,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Order(Message):
    """Something to do; each is a key of its own."""

    limit: ClassVar[int] = 1_000
    what: str
    reply: Reply[str] = dataclasses.field(default_factory=Reply)

    @property
    def merge_key(self) -> int:
        return id(self)

    def abandon(self, error: Exception) -> None:
        self.reply.fail(error)


class Worker(Actor[int, Order, str]):
    """Counts what it did; crashes when told to, in the decider or in a child."""

    def __init__(self, *, doomed: bool = False) -> None:
        super().__init__("worker", Inbox("worker"), 0)
        self.doomed = doomed
        self.beginnings: list[tuple[str, float, int]] = []
        self.reports: list[CrashReport] = []
        self.result: Reply[str] = Reply()

    def started(self, state: int, now: float) -> tuple[int, Sequence[str]]:
        return self._begin("started", state, now)

    def recovered(self, state: int, now: float) -> tuple[int, Sequence[str]]:
        return self._begin("recovered", state, now)

    def _begin(self, how: str, state: int, now: float) -> tuple[int, Sequence[str]]:
        self.beginnings.append((how, now, trio.lowlevel.current_statistics().tasks_living))
        if self.doomed:
            raise RuntimeError("doomed")
        return state, ()

    def decide(self, state: int, message: Order | None, now: float) -> tuple[int, Sequence[str]]:
        assert message is not None
        if message.what == "crash beside a result":
            self.inbox.deliver(Order("result", self.result))
        if message.what.startswith("crash"):
            raise RuntimeError(f"crash at {now:g}")
        message.reply.settle("done")
        return state + 1, (message.what,)

    def perform(self, action: str, children: Children[Order]) -> None:
        if action == "child":
            children.start(self.child, name="child")
        if action == "stubborn child":
            children.start(self.stubborn_child, name="stubborn child")
        if action == "bad child":
            children.start(self.bad_child, name="bad child")

    async def child(self) -> Order:
        await trio.sleep_forever()
        raise AssertionError

    async def bad_child(self) -> Order:
        raise LookupError("bad child")

    async def stubborn_child(self) -> Order:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise LookupError("crashed while being cancelled") from None
        raise AssertionError

    def order(self, what: str) -> Reply[str]:
        order = Order(what)
        self.inbox.tell(order)
        return order.reply

    async def supervised(self, policy: RestartPolicy) -> None:
        await supervise(self, policy, self.reports.append)


async def test_for_ever_means_delays_doubling_from_a_tenth_to_thirty_seconds(autojump_clock) -> None:
    """An actor that cannot even start is tried again and again, ever more rarely."""
    worker = Worker(doomed=True)
    with trio.move_on_after(140):
        await worker.supervised(RestartForever())
    delays = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0]
    assert [report.restart_in for report in worker.reports] == pytest.approx(delays)
    begun = [at for _, at, _ in worker.beginnings]
    assert [after - before for before, after in itertools.pairwise(begun)] == pytest.approx(delays[:-1])


@pytest.mark.parametrize(("lasted", "delay"), [(30.5, 0.1), (29.5, 0.8)])
async def test_a_long_run_starts_the_delays_afresh(autojump_clock, nursery, lasted: float, delay: float) -> None:
    """A run longer than the longest delay counts as health; a shorter one does not."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartForever())
    for _ in range(3):
        worker.order("crash")
        await trio.sleep(1)
    await trio.sleep(lasted - 1 + worker.reports[-1].restart_in)
    worker.order("crash")
    await trio.sleep(1)
    assert [report.restart_in for report in worker.reports] == pytest.approx([0.1, 0.2, 0.4, delay])


async def test_the_sixth_crash_within_the_period_gives_up(autojump_clock) -> None:
    """Five restarts in thirty seconds are allowed; what leaves then comes from the last crash."""
    worker = Worker()
    for _ in range(6):
        worker.order("crash")
    with pytest.raises(IntensityExceededError, match="worker") as caught:
        await worker.supervised(RestartLimited())
    assert [report.restart_in for report in worker.reports] == [0.0] * 5 + [None]
    assert caught.value.__cause__ is worker.reports[-1].error
    assert trio.current_time() == 0.0


async def test_five_crashes_within_the_period_are_survived(autojump_clock, nursery) -> None:
    """An actor at its intensity goes on working."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartLimited())
    for _ in range(5):
        worker.order("crash")
    assert await worker.order("work").wait() == "done"


async def test_crashes_spread_over_more_than_the_period_never_give_up(autojump_clock, nursery) -> None:
    """Old crashes are forgotten: six of them count only when they fit into the period."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartLimited())
    for _ in range(40):
        worker.order("crash")
        await trio.sleep(6.1)
    assert await worker.order("work").wait() == "done"
    assert len(worker.reports) == 40


async def test_crashes_that_fill_the_period_after_quiet_times_give_up(autojump_clock) -> None:
    """The period slides: it is not counted from the first crash."""
    worker = Worker()

    async def crash_now_and_then() -> None:
        for pause in (29, 1, 1, 1, 1, 1, 1):
            worker.order("crash")
            await trio.sleep(pause)

    with pytest.RaisesGroup(IntensityExceededError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.supervised, RestartLimited())
            nursery.start_soon(crash_now_and_then)
    assert trio.current_time() == 34


async def test_the_period_includes_both_its_ends(autojump_clock) -> None:
    """Six crashes of which the last comes thirty seconds after the first are within thirty seconds."""
    worker = Worker()

    async def crash_every_six_seconds() -> None:
        while True:
            worker.order("crash")
            await trio.sleep(6)

    with pytest.RaisesGroup(IntensityExceededError), trio.move_on_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.supervised, RestartLimited())
            nursery.start_soon(crash_every_six_seconds)
    assert trio.current_time() == 30


async def test_state_survives_a_crash(autojump_clock, nursery) -> None:
    """The restarted actor goes on from what it knew."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartLimited())
    for what in ("work", "work", "crash", "work"):
        worker.order(what)
    await trio.sleep(1)
    assert worker.state == 3


async def test_recovered_runs_instead_of_started(autojump_clock, nursery) -> None:
    """Every run after a crash begins with `recovered`."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartLimited())
    for _ in range(2):
        worker.order("crash")
    await trio.sleep(1)
    assert [how for how, _, _ in worker.beginnings] == ["started", "recovered", "recovered"]


async def test_the_message_being_handled_is_dropped_and_reported(autojump_clock, nursery) -> None:
    """A poisonous message crashes once; those behind it are handled."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartForever())
    worker.order("crash")
    after = worker.order("work")
    assert await after.wait() == "done"
    (report,) = worker.reports
    assert isinstance(report.message, Order)
    assert (report.actor, report.message.what, str(report.error)) == ("worker", "crash", "crash at 0")


async def test_the_reply_of_the_message_being_handled_fails_with_the_crash(autojump_clock, nursery) -> None:
    """Whoever asked learns of the crash at once, not at the restart."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartForever())
    with pytest.raises(RuntimeError, match="crash at 0") as caught:
        await worker.order("crash").wait()
    assert repr(caught.value) == repr(worker.reports[0].error)
    assert trio.current_time() == 0.0


async def test_a_childs_crash_is_reported_bare_and_without_a_message(autojump_clock, nursery) -> None:
    """What the child was started for is long handled; the error comes out of its nurseries."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartLimited())
    worker.order("bad child")
    await trio.sleep(1)
    (report,) = worker.reports
    assert isinstance(report.error, LookupError)
    assert report.message is None


async def test_several_crashes_at_once_are_one_crash_report(autojump_clock, nursery) -> None:
    """Children that crash together count once, and all of them are shown."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartLimited())
    worker.order("stubborn child")
    await trio.sleep(1)
    worker.order("crash")
    await trio.sleep(1)
    (report,) = worker.reports
    assert isinstance(report.error, ExceptionGroup)
    assert {type(error) for error in report.error.exceptions} == {RuntimeError, LookupError}


async def test_children_are_gone_before_the_actor_runs_again(autojump_clock, nursery) -> None:
    """A restart begins without tasks of the run before it."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartLimited())
    worker.order("child")
    worker.order("child")
    await trio.sleep(1)
    worker.order("crash")
    await trio.sleep(1)
    (_, _, tasks_at_start), (_, _, tasks_at_recovery) = worker.beginnings
    assert tasks_at_recovery == tasks_at_start


async def test_results_of_children_do_not_outlive_the_crash(autojump_clock, nursery) -> None:
    """Marks are cleared, so a result without its mark must not come after them; its reply is settled."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartLimited())
    worker.order("crash beside a result")
    with pytest.raises(RuntimeError):
        await worker.result.wait()
    await trio.sleep(1)
    assert (worker.state, worker.inbox.statistics().pending) == (0, 0)


async def test_a_cancellation_is_no_crash(autojump_clock) -> None:
    """Stopping an actor is not reported."""
    worker = Worker()
    worker.order("child")
    with trio.move_on_after(5) as scope:
        await worker.supervised(RestartLimited())
    assert scope.cancelled_caught
    assert worker.reports == []


async def test_a_crash_during_cancellation_is_reported_and_not_restarted(autojump_clock) -> None:
    """A crash and a cancellation in the same tick: the crash is reported, the cancellation wins."""
    worker = Worker()
    worker.order("stubborn child")
    with trio.move_on_after(5) as scope:
        await worker.supervised(RestartForever())
    assert scope.cancelled_caught
    (report,) = worker.reports
    assert isinstance(report.error, LookupError)
    assert report.restart_in is None
    assert len(worker.beginnings) == 1


async def test_a_cancellation_during_the_delay_ends_it(autojump_clock) -> None:
    """An actor that waits for its restart can be stopped."""
    worker = Worker(doomed=True)
    with trio.move_on_after(0.05) as scope:
        await worker.supervised(RestartForever())
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(0.05)
    assert len(worker.beginnings) == 1


async def test_what_is_told_during_the_delay_is_handled_after_the_restart(autojump_clock, nursery) -> None:
    """An inbox outlives its reader's crash."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartForever(first_delay=10.0))
    worker.order("crash")
    await trio.sleep(5)
    assert await worker.order("work").wait() == "done"
    assert trio.current_time() == 10.0


async def test_a_crash_leaves_no_reference_to_its_frames(autojump_clock, nursery) -> None:
    """A supervisor that goes on does not keep the last crash, with all its frames, alive."""
    worker = Worker()
    nursery.start_soon(worker.supervised, RestartLimited())
    worker.order("crash")
    await trio.sleep(1)
    (task,) = [task for task in nursery.child_tasks if "supervised" in task.name]
    frame = task.coro.cr_await.cr_frame
    assert not [name for name, value in frame.f_locals.items() if isinstance(value, BaseException)]

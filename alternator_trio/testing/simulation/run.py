"""Running an async function in virtual time, with one seed for everything, so that a run can be repeated exactly.

Rules: time passes only when every task waits, and then jumps to the next deadline; the seed decides the order of tasks
and everything that simulated clusters draw; a run that does not end is ended, and says what it was waiting for.
"""

from __future__ import annotations

import contextvars
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, TypeVarTuple

import trio
from trio.testing import MockClock

from alternator_trio.testing._no_network import no_network
from alternator_trio.testing.simulation._trio_internals import break_off, seeded_scheduler
from alternator_trio.testing.simulation.history import History

__all__ = ["Run", "SimulationStuckError", "current_run", "possible_run", "simulate"]

_EPOCH: Final = 1_767_225_600.0  # 2026-01-01, where all wall clocks begin
_GRACE_SECONDS: Final = 60.0
_GRACE_STEPS: Final = 200_000
_STEPS: Final = 20_000_000

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SimulationStuckError(Exception):
    """A run took more virtual time, or more scheduling steps, than it may; notes say where its tasks stood."""


class Run:
    """What one run of `simulate` has for itself.

    Args:
        seed: The seed.

    Attributes:
        seed: The seed.
        history: What has happened so far.
    """

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self.history = History()
        self._uses: dict[str, int] = {}

    def random(self, purpose: str) -> random.Random:
        """A generator for one purpose: what is drawn for one thing changes nothing of what is drawn for another."""
        use = self._uses[purpose] = self._uses.get(purpose, 0) + 1
        return random.Random(f"{self.seed}/{purpose}/{use}")  # noqa: S311  # decides what is simulated

    @staticmethod
    def time() -> float:
        """The wall clock, for code under test in place of `time.time`: seconds since 1970, from 2026-01-01 on.

        It goes with Trio's clock, and is what the clocks of nodes and clients are off from, where they are.
        """
        return _EPOCH + trio.current_time()


_current: contextvars.ContextVar[Run | None] = contextvars.ContextVar("alternator_trio simulation", default=None)


def current_run() -> Run:
    """The run that the caller's task is part of.

    Raises:
        RuntimeError: It is part of none.

    Example:
        >>> async def main():
        ...     await trio.sleep(60)
        ...     return current_run().time(), current_run().random("mine").random()
        >>> simulate(main, seed=7)
        (1767225660.0, 0.4438983731630488)
    """
    run = possible_run()
    if run is None:
        raise RuntimeError("this runs outside of simulate: there is no run to speak of")
    return run


def possible_run() -> Run | None:
    """The run that the caller's task is part of; None outside `simulate`."""
    return _current.get()


def simulate(
    main: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    seed: int | str = 0,
    max_seconds: float = 3600.0,
    max_steps: int = _STEPS,
    run: Run | None = None,
) -> T:
    """Run ``main(*args)`` in virtual time, so that the same seed gives the same run.

    Whatever ``main`` uses must take part: randomness seeded, no threads, no wall clock but `Run.time`. There is no
    network: who opens a socket over Trio is refused. A `SimulatedCluster` that is opened inside draws everything from
    the same seed.

    It is called outside of Trio, from a synchronous test. Trio's scheduler has one source of randomness for the whole
    process: a second simulation is refused while one runs, and any other Trio run in another thread disturbs it.

    Args:
        main: The async function.
        args: Its arguments.
        seed: Decides everything.
        max_seconds: Virtual seconds after which ``main`` is cancelled and the run fails.
        max_steps: Steps of tasks after which it is, for a run that goes round in circles.
        run: The run, made beforehand by whoever wants to see its history; its seed wins.

    Returns:
        What ``main`` returns.

    Raises:
        RuntimeError: It is called within a Trio run, or while another simulation runs in this process.
        TypeError: ``main`` cannot be called.
        SimulationStuckError: It did not end in time. What does not heed its cancellation is broken off.
        BaseException: What ``main`` raises. A note names the seed.

    Example:
        >>> from alternator_trio.testing import SimulatedCluster
        >>> async def main():
        ...     async with SimulatedCluster(nodes=3) as cluster, cluster.open_client() as client:
        ...         cluster.nodes[0].kill()
        ...         await client.refresh()
        ...         return trio.current_time() < 5
        >>> simulate(main, seed=7)
        True
    """
    if trio.lowlevel.in_trio_run():
        raise RuntimeError(
            "simulate makes a Trio run of its own: call it from a synchronous test, not within async code"
        )
    if not callable(main):
        raise TypeError(f"main must be an async function, not {main!r}: write simulate(main), not simulate(main())")
    run = Run(seed) if run is None else run
    clock = MockClock(autojump_threshold=0)
    guard = _Guard(max_seconds, max_steps)

    async def guarded() -> T:
        guard.main = trio.lowlevel.current_task()
        trio.lowlevel.spawn_system_task(guard.watch)
        with no_network(), guard.scope:
            return await main(*args)
        raise guard.stuck_error()

    context = contextvars.copy_context()
    context.run(_current.set, run)
    with seeded_scheduler(f"{run.seed}/scheduler"):
        try:
            return context.run(lambda: guard.ending(lambda: trio.run(guarded, clock=clock, instruments=[guard])))
        except BaseException as error:
            error.add_note(f"simulate(..., seed={run.seed!r})")
            raise


class _BrokenOff(BaseException):  # no error: like Ctrl-C, nobody is to catch it
    """Raised in tasks that do not heed their cancellation."""


class _Guard(trio.abc.Instrument):
    """Ends a run that does not end by itself."""

    def __init__(self, max_seconds: float, max_steps: int) -> None:
        self.scope = trio.CancelScope()
        self.main: trio.lowlevel.Task | None = None
        self.has_broken_off = False
        self._max_seconds = max_seconds
        self._max_steps = max_steps
        self._steps = 0
        self._why = ""
        self._stood: list[str] = []

    async def watch(self) -> None:
        await trio.sleep(self._max_seconds)
        self._cancel(f"not over after {self._max_seconds:g} virtual seconds")
        while True:
            await trio.sleep(_GRACE_SECONDS)
            self._break_off()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        del task
        self._steps += 1
        beyond = self._steps - self._max_steps
        if beyond == 0:
            self._cancel(f"not over after {self._max_steps} steps of tasks, at {trio.current_time():.3f} s")
        elif beyond > 0 and beyond % _GRACE_STEPS == 0:
            self._break_off()

    def ending(self, run: Callable[[], T]) -> T:
        """Call what runs; when it was broken off that is what came of it."""
        try:
            return run()
        finally:
            if self.has_broken_off:
                raise self.stuck_error()

    def stuck_error(self) -> SimulationStuckError:
        error = SimulationStuckError(self._why)
        for line in self._stood:
            error.add_note(line)
        return error

    def _cancel(self, why: str) -> None:
        self._why = self._why or why
        self._stood = self._stood or _where_tasks_stand()
        self.scope.cancel()

    def _break_off(self) -> None:
        if not self.has_broken_off:
            self.has_broken_off = True
            self._why += ", and not even when it was cancelled"
        if self.main is not None:
            break_off(self.main, _BrokenOff(self._why))


def _where_tasks_stand() -> list[str]:
    """Each task and the innermost place that it waits at."""
    root = trio.lowlevel.current_root_task()
    tasks = [] if root is None else [root]
    lines: list[str] = []
    for task in tasks:  # grows as it is read
        for nursery in task.child_nurseries:
            tasks += sorted(nursery.child_tasks, key=lambda child: child.name)
        frames = [(frame.f_code.co_qualname, line) for frame, line in task.iter_await_frames()]
        shown = " < ".join(f"{name}:{line}" for name, line in reversed(frames[-6:]))
        lines.append(f"{task.name}: {shown}")
    return lines

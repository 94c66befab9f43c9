"""The sweep: a story is told once undisturbed, then once for each moment of it, being cancelled at that moment.

Rules:

* A moment is a step of a task, any task of the run, or a look of Trio's at the network and the clock: what is cancelled
  may have been woken already, be about to be, or know nothing of it. The scheduler and the client are seeded, so that
  the moments before the cancellation are the same in every telling.
* What is cancelled is everything that calls, some of those who call (in one tick), or the client's whole block.
* What the callers do must succeed, or be cancelled: an error that does not belong to the story is a failure.
* Afterwards the client must be as good as new, see `tests.cancellation.afterwards`; a story that is told wrong says at
  which moment, and `Story.tell` repeats it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Literal, TypeAlias
from unittest.mock import patch

import trio

from alternator_trio import AlternatorError, Client
from alternator_trio.testing import simulate
from tests.cancellation.afterwards import check_client, check_nothing_left
from tests.cancellation.networks import Network, client_context
from tests.scripted_nodes import ScriptedNodes

__all__ = ["SCHEDULES", "SIZES", "Caller", "Story", "Whom", "over_httpx", "sweep"]

SCHEDULES = int(os.environ.get("SWEEP_SCHEDULES", "1"))
"""In how many orders of tasks each story is told."""

SIZES = int(os.environ.get("SWEEP_SIZES", "1"))
"""How many of the twelve sizes that a crowd's part can have are cancelled at each moment; 12: all, and all that is
otherwise left out as well."""

SECONDS = 2000.0  # virtual, for one telling: beyond it the story hangs

Caller: TypeAlias = Callable[[Client, ScriptedNodes], Awaitable[object]]
Whom: TypeAlias = Literal["callers", "client"] | Collection[int]
"""All callers, the client's block, or some of the callers."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What callers do with a client, and what happens to them meanwhile.

    Attributes:
        name: What it is called.
        callers: What each caller does, in a task of its own.
        before: Sets up the nodes.
        nodes: How many nodes.
        topology: Datacenters, racks and numbers of nodes, in place of ``nodes``.
        seeds: First contacts; none: all nodes.
        options: The client's.
        network: The network's; see `Network`.
        over: The transport.
        crashes: How many crashes of actors belong to it.
        may_raise: Errors that belong to it.
        rest: Seconds until what happens in it to others than nodes is over.
        leaves_after: Seconds after which the client's block is left, the callers being outside of it; None: it is left
            when all of them are done.
    """

    name: str
    callers: Sequence[Caller]
    before: Callable[[ScriptedNodes], object] = lambda nodes: None
    nodes: int = 3
    topology: Mapping[str, Mapping[str, int]] | None = None
    seeds: tuple[str, ...] = ()
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    network: Mapping[str, object] = dataclasses.field(default_factory=dict)
    over: Literal["native", "httpx"] = "native"
    crashes: int = 0
    may_raise: tuple[type[AlternatorError], ...] = ()
    rest: float = 0.0
    leaves_after: float | None = None

    def tell(self, whom: Whom = (), at: int = 0, schedule: int = 0) -> int:
        """Tell it once, cancelling ``whom`` at moment ``at``, if it has so many.

        Returns:
            How many moments there were.
        """
        moments = _Moments(at)
        try:
            simulate(self._main, whom, moments, seed=f"{self.name}/{schedule}", max_seconds=SECONDS)
        except BaseException as error:
            error.add_note(f"in {self.name!r}: tell({whom!r}, at={at}, schedule={schedule})")
            raise
        return moments.count

    async def _main(self, whom: Whom, moments: _Moments) -> None:
        tls = bool(self.network.get("tls"))
        async with ScriptedNodes(self.nodes, topology=self.topology, scheme="https" if tls else "http") as nodes:
            self.before(nodes)
            await trio.testing.wait_all_tasks_blocked()
            tasks = trio.lowlevel.current_statistics().tasks_living
            network = Network(nodes, **self.network)
            options = {**self.options, "transport": self.over, **({"tls": client_context()} if tls else {})}
            with patch("trio.open_tcp_stream", network.open_stream), trio.CancelScope() as block:
                if whom == "client":
                    moments.begin(block.cancel)
                opened = nodes.open_client(*self.seeds, dial=network.dial, **options)
                if self.leaves_after is not None:
                    await self._leave(opened, nodes, whom, moments)
                else:
                    async with opened as client:
                        await self._call(client, nodes, whom, moments)
                        if whom != "client":
                            moments.end()
                            await trio.sleep(self.rest)
                            await check_client(client, nodes, network, crashes=self.crashes)
            moments.end()
            await check_nothing_left(network, tasks)

    async def _leave(
        self, opened: AbstractAsyncContextManager[Client], nodes: ScriptedNodes, whom: Whom, moments: _Moments
    ) -> None:
        async with trio.open_nursery() as outside:
            async with opened as client:
                outside.start_soon(self._call, client, nodes, whom, moments)
                await trio.sleep(self.leaves_after or 0.0)
            left = trio.current_time()
        assert trio.current_time() == left, "who was outside of the block was held up"

    async def _call(self, client: Client, nodes: ScriptedNodes, whom: Whom, moments: _Moments) -> None:
        scopes = [trio.CancelScope() for _ in self.callers]

        async def call(caller: Caller, scope: trio.CancelScope) -> None:
            with scope, suppress(*self.may_raise):
                await caller(client, nodes)

        def cancel() -> None:
            for number in range(len(scopes)) if whom == "callers" else whom:
                scopes[number].cancel()

        if whom != "client":
            moments.begin(cancel)
        if len(scopes) == 1:
            await call(self.callers[0], scopes[0])
            return
        async with trio.open_nursery() as nursery:
            for caller, scope in zip(self.callers, scopes, strict=True):
                nursery.start_soon(call, caller, scope)


def sweep(story: Story, whom: Whom, stride: int = 1) -> int:
    """Tell a story undisturbed, then with a cancellation at each of its moments, or at each ``stride``-th.

    The next schedule takes the moments in between.

    Returns:
        How many moments there are.
    """
    for schedule in range(SCHEDULES):
        moments = story.tell(whom, schedule=schedule)
        for at in range(1 + schedule % stride, moments + 1, stride):
            story.tell(whom, at, schedule)
    return moments


def over_httpx(story: Story) -> Story:
    """The same story over the other transport."""
    return dataclasses.replace(story, over="httpx")


class _Moments(trio.abc.Instrument):
    """Counts the moments from `begin` to `end`, and does something at one of them."""

    def __init__(self, at: int) -> None:
        self.count = 0
        self._at = at
        self._act: Callable[[], object] | None = None

    def begin(self, act: Callable[[], object]) -> None:
        self._act = act
        trio.lowlevel.add_instrument(self)

    def end(self) -> None:
        if self._act is not None:
            self._act = None
            trio.lowlevel.remove_instrument(self)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._pass()

    def before_io_wait(self, timeout: float) -> None:
        self._pass()

    def _pass(self) -> None:
        if self._act is None:
            return
        self.count += 1
        if self.count == self._at:
            self._act()

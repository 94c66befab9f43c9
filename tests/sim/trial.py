"""One seed: load with faults on, then healing, then a cluster in which all must be well; and what the checkers say.

Rules: everything comes from the seed; the load checks nothing and the checkers do nothing; the digest covers whatever
happened, so that two trials of one seed can be compared.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

import trio

from alternator_trio import Client, NodeHealth
from alternator_trio.config import Options
from alternator_trio.testing import SimulatedCluster, SimulationStuckError, simulate
from alternator_trio.testing.simulation import Event, Run
from alternator_trio.testing.simulation.server import SERVER_TIMEOUT
from tests.sim.check_bounds import BoundsWatch, check_nothing_left
from tests.sim.check_convergence import check_healthy, converge
from tests.sim.check_health import HealthWatch
from tests.sim.check_kept import watched_actors
from tests.sim.check_keys import Store, check_keys, check_present_key
from tests.sim.check_plans import watched_plans
from tests.sim.check_wire import WireWatch
from tests.sim.check_writes import (
    check_deletions,
    check_late,
    check_reads,
    check_repeats,
    check_transactions,
    check_writes,
)
from tests.sim.clocks import ROLES, SIGNED, Clocks
from tests.sim.drawn import Drawn
from tests.sim.mishaps import Crashes, Mishaps
from tests.sim.tables import Tables
from tests.sim.workload import Workload

__all__ = ["Trial", "run_trial"]

MAX_SECONDS = 1800.0
MAX_STEPS = 3_000_000
LATEST = SERVER_TIMEOUT + 1.0
"""Seconds after healing in which what was accepted before, and given up, may take effect, its way there included."""
SETTLED_SECONDS = 25.0
"""After healing, until nothing that was accepted before can still take effect: twice the server's timeout and more."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one seed.

    Attributes:
        seed: The seed.
        violations: What was against the rules; none when all is well.
        digest: Of all that happened.
        events: How many things happened.
        seconds: Virtual seconds that it took.
        outcomes: How many operations ended how.
        hard: Registers about which nothing could be said.
    """

    seed: int
    violations: tuple[str, ...]
    digest: str
    events: int
    seconds: float
    outcomes: dict[str, int]
    hard: tuple[str, ...]


def run_trial(seed: int, listen: Callable[[Event], object] | None = None) -> Trial:
    """Run one seed.

    Args:
        seed: The seed.
        listen: Told of each event.
    """
    drawn, run = Drawn.draw(seed), Run(seed)
    if listen is not None:
        run.history.listeners.append(listen)
    world = _World(drawn, run)
    with watched_plans() as plans, watched_actors():
        try:
            simulate(world.main, run=run, max_seconds=MAX_SECONDS, max_steps=MAX_STEPS)
        except SimulationStuckError as error:
            world.violations.append("\n    ".join([f"stuck: {error}", *error.__notes__]))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
            world.violations.append(f"raised {error!r}")
        world.violations += plans
    outcomes: dict[str, int] = {}
    for done in world.workload.done:
        outcomes[done.outcome] = outcomes.get(done.outcome, 0) + 1
    return Trial(
        seed=seed,
        violations=tuple(world.violations),
        digest=run.history.digest,
        events=run.history.count,
        seconds=world.seconds,
        outcomes=outcomes,
        hard=tuple(world.hard),
    )


class _World:
    """The run itself."""

    def __init__(self, drawn: Drawn, run: Run) -> None:
        self.violations: list[str] = []
        self.hard: list[str] = []
        self.seconds = 0.0
        self._healed_at = 0.0
        self._clocks = Clocks(run.history, run.random("clocks of clients"))
        self.workload = Workload(drawn, run.history, run.random("workload"), self._clocks)
        self._drawn = drawn
        self.tables = Tables(run.history, run.random("tables"))
        self._run = run
        self._engine = Store(spread=drawn.spread, rng=run.random("engine"))
        for table in ("lwt", "plain"):
            self._engine.create_table(table, "id")
        health = self._health = drawn.options["node_health"] or NodeHealth()
        self._watch = WireWatch(
            has_cluster_scope=any(scope.is_cluster for scope in drawn.options["routing_scope"].chain),
            probes=health.probe_concurrency,
            answers_may_be_wrong=drawn.faults.wrong_length > 0,
        )

    async def main(self) -> None:
        drawn = self._drawn
        tasks_before = trio.lowlevel.current_statistics().tasks_living
        async with SimulatedCluster(
            topology=drawn.topology,
            faults=drawn.faults,
            engine=self._engine,
            credentials=ROLES if drawn.signed else None,
        ) as cluster:
            cluster.network.watchers.append(self._watch)
            async with contextlib.AsyncExitStack() as stack:
                await self._with_clients(cluster, stack)
            for number in range(drawn.clients):
                self.violations += check_nothing_left(cluster, f"c{number + 1}")
        self.seconds = trio.current_time()
        self.violations += self._watch.end()
        tasks = trio.lowlevel.current_statistics().tasks_living
        if tasks != tasks_before:
            self.violations.append(f"{tasks - tasks_before} tasks are left")
        self._check_history()

    async def _with_clients(self, cluster: SimulatedCluster, stack: contextlib.AsyncExitStack) -> None:
        names = [f"c{number + 1}" for number in range(self._drawn.clients)]
        anchors = {node.datacenter: node.url for node in reversed(cluster.nodes)}
        seeds = sorted(anchors.values()) if self._drawn.from_anchors else cluster.seeds
        watches: list[BoundsWatch] = []
        clients: dict[str, Client] = {}
        for name in names:
            health = HealthWatch(name, self._health)
            cluster.network.watchers.append(health)
            stack.callback(lambda health=health: self.violations.extend(health.violations))
            clients[name] = client = await stack.enter_async_context(
                cluster.open_client(*seeds, **self._options(), instruments=[health, self._clocks])
            )
            health.attach(client)
            watches.append(BoundsWatch(cluster, client, name))
        async with trio.open_nursery() as watching:
            for watch in watches:
                watching.start_soon(watch.run, 0.7)
            await self._trouble(cluster, clients, watches)
            async with trio.open_nursery() as nursery:
                for name, client in clients.items():
                    nursery.start_soon(self._calm_down, cluster, client, name)
            await trio.sleep(SETTLED_SECONDS)
            await self._read_all(clients[names[0]], names[0])
            watching.cancel_scope.cancel()
        for watch in watches:
            await watch.end()
        self.violations += [each for watch in watches for each in watch.violations]

    def _options(self) -> Options:
        return {**self._drawn.options, **(SIGNED if self._drawn.signed else {})}

    async def _trouble(self, cluster: SimulatedCluster, clients: dict[str, Client], watches: list[BoundsWatch]) -> None:
        """The load, while everything goes wrong; then the cluster is healed."""
        drawn = self._drawn
        mishaps = Mishaps(cluster, self._run.random("mishaps"))
        crashes = [
            Crashes(client, name, watch, self._run.random("crashes"))
            for (name, client), watch in zip(clients.items(), watches, strict=True)
            if drawn.crashes
        ]
        cluster.network.watchers += crashes
        async with trio.open_nursery() as nursery:
            for each in crashes:
                nursery.start_soon(each.run)
            for mishap in drawn.mishaps:
                nursery.start_soon(getattr(mishaps, mishap))
            if drawn.signed:
                nursery.start_soon(self._clocks.run, cluster)
            async with trio.open_nursery() as load:
                for name, client in clients.items():
                    load.start_soon(self.workload.run, client, name)
                    if drawn.changes_tables:
                        load.start_soon(self.tables.run, client, f"of-{name}")
            nursery.cancel_scope.cancel()
        for each in crashes:
            cluster.network.watchers.remove(each)
        if drawn.exodus:
            mishaps.exodus()
        cluster.heal()
        self._healed_at = trio.current_time()

    async def _calm_down(self, cluster: SimulatedCluster, client, name: str) -> None:
        wrong = list(await converge(client, cluster))
        if not wrong:
            wrong = await check_healthy(client, cluster, self._engine, f"{name}.calm")
            if self._drawn.changes_tables and not self.tables.unanswered:
                await self.tables.run(client, f"of-{name}")
                wrong += await check_present_key(client, self._engine, f"of-{name}")
        self.violations += [f"{name}: {each}" for each in wrong]

    async def _read_all(self, client, name: str) -> None:
        """What is left of everything, through the client."""
        for table in ("lwt", "plain"):
            for number in range(self._drawn.keys):
                done = await self.workload.perform(client, name, "read", table, f"k{number}")
                there = self._engine.item(table, id={"S": f"k{number}"})
                if done.outcome != "ok" or (done.seen and done.seen[0]) != (there and there["v"]["S"]):
                    self.violations.append(f"the server has {there}: {done}")

    def _check_history(self) -> None:
        calm = [
            write for write in self._engine.applied if write.table in {"lwt", "plain"} and ".calm." not in write.key[0]
        ]
        self.violations += [*self.workload.surprises, *self.tables.unanswered, *self._clocks.violations]
        if not self._drawn.crashes:  # an actor that is about to run again knows of no change
            self.violations += check_keys(self.tables.asked, self._engine)
        self.violations += check_writes(self.workload.done, calm)
        if self._drawn.options["ambiguous_writes"] == "raise":
            self.violations += check_repeats(self.workload.done, calm)
        self.violations += check_deletions(self.workload.done, calm)
        self.violations += check_late(calm, self._healed_at + LATEST + self._drawn.spread)
        self.violations += check_reads(self.workload.done, calm)
        self.violations += check_transactions(self.workload.done, self.hard)

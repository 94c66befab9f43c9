"""The demo: a load on a cluster, a node that dies in the middle of it, and everything read back.

Rules: what the run has found out stands on the object at every moment, so that there is a report however it ends; what
was made on a cluster that is not ours is removed again; the load's clock starts when the table is there.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import trio

from alternator_trio._version import __version__
from alternator_trio.cli.guarded import GuardedWriter
from alternator_trio.cli.outage import outage
from alternator_trio.cli.progress import Progress
from alternator_trio.cli.read_back import Verification, read_back
from alternator_trio.cli.report import Report, make_report
from alternator_trio.cli.settings import Settings
from alternator_trio.cli.table import drop_table, fresh_name, make_table
from alternator_trio.cli.tally import Event, Tally
from alternator_trio.cli.ticker import Ticker, short_name
from alternator_trio.cli.watch import HealthWatch
from alternator_trio.cli.workload import Worker
from alternator_trio.client import Client, open_alternator
from alternator_trio.errors import ClientStoppedError
from alternator_trio.testing import Engine, LocalCluster, LocalNode

__all__ = ["Demo"]

_DROP_SECONDS: Final = 15.0


class Demo:
    """One run.

    Args:
        settings: What to do.
        progress: Where to show how it comes along; entered and left by `run`.
        engine: The store of the embedded cluster; None: the default one.
        rng: Draws operations and keys; None: a generator seeded by the system.
    """

    def __init__(
        self,
        settings: Settings,
        progress: Progress,
        *,
        engine: Engine | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._progress = progress
        self._engine = engine
        self._rng = random.Random() if rng is None else rng  # noqa: S311 - which key comes next is no secret
        self._table = fresh_name()
        self._tally = Tally(settings.seconds)
        self._local: tuple[LocalNode, ...] = ()
        self._nodes: tuple[str, ...] = ()
        self._verification: Verification | None = None
        self._retries = 0
        self._remarks: list[str] = []

    async def run(self) -> None:
        """Do all of it.

        Raises:
            AlternatorError: The cluster cannot be reached, or the table cannot be made.
            OSError: The embedded cluster cannot start.
        """
        settings = self._settings
        with self._progress:
            if not settings.is_embedded:
                self._remarks.append("the cluster is not the demo's own: no node was killed")
                await self._with_client(settings.seeds)
                return
            async with LocalCluster(settings.nodes, engine=self._engine, record_requests=False) as cluster:
                self._local = cluster.nodes
                await self._with_client(cluster.seeds)

    def report(self, *, interrupted: bool = False) -> Report:
        """What is known now."""
        return make_report(
            self._settings,
            self._tally,
            self._verification,
            version=__version__,
            nodes=self._nodes,
            table=self._table,
            retries=self._retries,
            interrupted=interrupted,
            remarks=tuple(self._remarks),
        )

    async def _with_client(self, seeds: Sequence[str]) -> None:
        try:
            watch = HealthWatch(self._tally, self._announce)
            async with open_alternator(*seeds, instruments=[watch]) as client:
                self._nodes = tuple(str(node) for node in await client.refresh())
                try:
                    await make_table(client, self._table)
                    await self._load_and_read_back(client)
                finally:
                    self._retries = client.statistics().retries
                    if not self._settings.is_embedded:  # an embedded store goes with its cluster
                        remark: str | None = f"table {self._table} may be left behind: dropping it took too long"
                        with trio.move_on_after(_DROP_SECONDS, shield=True):
                            remark = await drop_table(client, self._table)
                        self._remarks += [] if remark is None else [remark]
        except ClientStoppedError as error:
            self._tally.failed("client", error)

    async def _load_and_read_back(self, client: Client) -> None:
        tasks = self._make_tasks(client)
        self._progress.note(self._plan())
        ticker = Ticker(self._tally, self._settings.seconds, lambda: self._states(client), self._progress)
        async with trio.open_nursery() as nursery:
            began = trio.current_time()
            self._tally.begin(began)
            nursery.start_soon(ticker.run)
            await self._load(tasks, began)
            ticker.stage = "reading back"
            self._say(trio.current_time(), f"{self._tally.total:,} operations done; reading everything back")
            self._verification = await read_back(
                client,
                self._table,
                [task.ledger for task in tasks],
                self._tally,
                concurrency=self._settings.concurrency,
            )
            nursery.cancel_scope.cancel()

    async def _load(self, tasks: Sequence[Worker | GuardedWriter], began: float) -> None:
        try:
            async with trio.open_nursery() as nursery:
                if self._local:
                    victim = self._local[len(self._local) // 2]
                    nursery.start_soon(outage, victim, self._settings, self._tally, began, self._announce)
                for task in tasks:
                    nursery.start_soon(task.run, began + self._settings.seconds)
        finally:
            self._tally.end(trio.current_time())

    def _make_tasks(self, client: Client) -> list[Worker | GuardedWriter]:
        settings, table, tally = self._settings, self._table, self._tally
        tasks: list[Worker | GuardedWriter] = [
            Worker(client, table, number, tally=tally, rng=random.Random(self._rng.random()))  # noqa: S311 - the same
            for number in range(settings.workers)
        ]
        tasks += [GuardedWriter(client, table, number, tally=tally) for number in range(settings.guarded_writers)]
        return tasks

    def _states(self, client: Client) -> dict[str, bool]:
        """Each node's endpoint, and whether it is up as far as can be told here."""
        if self._local:
            return {node.url: node.is_running for node in self._local}
        return {str(node): True for node in client.nodes()}

    def _plan(self) -> str:
        settings = self._settings
        what = "embedded cluster" if settings.is_embedded else "cluster, of which no node will be killed,"
        return (
            f"{what} of {len(self._nodes)} nodes: {', '.join(map(short_name, self._nodes))}; "
            f"{settings.concurrency} operations in flight for {settings.seconds:g} s"
        )

    def _announce(self, event: Event) -> None:
        self._say(trio.current_time(), f"{short_name(event.node)} {event.text}")

    def _say(self, now: float, text: str) -> None:
        self._progress.note(f"{self._tally.elapsed(now):5.1f} s  {text}")

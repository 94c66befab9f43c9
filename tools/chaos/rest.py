"""What is looked at when nothing is in flight: everything is read back, and everything that is held is counted.

Rules: every operation has ended; the clients' counts are the load's; no lease is out and nobody waits; the clients hold
as many connections as the proxy sees; descriptors less connections, tasks and threads are what they were at the first
rest.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio
from soon import answers_yes
from vitals import Held, least, more

if TYPE_CHECKING:
    from collections.abc import Sequence

    from callers import Caller
    from registers import Counter
    from remote import RemoteCluster
    from tally import Tally
    from world import Subject

MOST_LOOKUPS = 50
"""Operations of the clients' own between two rests: lookups of a partition key."""
_MOMENTS = 40


class Rest:
    """Looks at rest.

    Attributes:
        held: What was held at each, connections not counted.
    """

    def __init__(
        self,
        cluster: RemoteCluster,
        subjects: Sequence[Subject],
        callers: Sequence[Caller],
        counters: Sequence[Counter],
        tally: Tally,
        *,
        native: bool,
    ) -> None:
        self._cluster = cluster
        self._subjects = subjects
        self._callers = callers
        self._counters = counters
        self._tally = tally
        self._native = native
        self.held: list[Held] = []

    async def see(self) -> None:
        """Look at everything."""
        await self._read_back()
        if self._tally.in_flight:
            self._tally.complain(f"{self._tally.in_flight} operations have neither result nor error")
        self._compare_counts()
        await self._see_connections()
        await self._see_what_is_held()

    async def _read_back(self) -> None:
        """Everything, by everybody."""
        plain = [subject.views[0] for subject in self._subjects]
        async with trio.open_nursery() as nursery:
            for number, caller in enumerate(self._callers):
                nursery.start_soon(caller.check_everything, plain[number % len(plain)])
            for counter in self._counters:
                nursery.start_soon(partial(self._callers[0].check_counter, plain[0], counter, may_leave=False))

    def _compare_counts(self) -> None:
        found = [subject.client.statistics() for subject in self._subjects]
        own = sum(each.operations for each in found) - self._tally.begun
        if not 0 <= own <= MOST_LOOKUPS * (len(self.held) + 1):
            self._tally.complain(f"the clients count {own} operations more than the {self._tally.begun} begun")
        for each in found:
            if each.crashes or each.dropped_messages:
                self._tally.complain(f"crashes or dropped messages: {each}")

    async def _see_connections(self) -> None:
        if not await answers_yes(self._connections_add_up):
            found = [subject.client.statistics() for subject in self._subjects]
            self._tally.complain(f"connections at rest do not add up: {found}, the proxy: {await self._cluster.look()}")

    async def _connections_add_up(self) -> bool:
        look = await self._cluster.look()
        found = [subject.client.statistics() for subject in self._subjects]
        if any(each.connections_leased or each.waiting for each in found):
            return False
        # Over httpx the pools have rights to exchanges, and httpx the connections.
        return not self._native or sum(each.connections_idle for each in found) == look.open_connections

    async def _see_what_is_held(self) -> None:
        """The least of some moments: in one of them a refresh or a probe may be under way."""
        moments: list[Held] = []
        for _ in range(_MOMENTS):
            moments.append(Held.now((await self._cluster.look()).open_connections))
            if self.held and moments[-1] == self.held[0]:
                break
            await trio.sleep(0.02)
        self.held.append(least(moments))
        if further := more(self.held[0], self.held[-1]):
            self._tally.complain(f"at rest: {further}, against the first rest")

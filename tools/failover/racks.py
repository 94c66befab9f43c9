"""A rack is taken away from a client that prefers it, and given back, under load."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import trio
from findings import Findings
from load import Log, create_table, keep_calling
from remote import running_cluster

from alternator_trio import Instrument, RoutingScope, open_alternator

if TYPE_CHECKING:
    from alternator_trio import NodeStateChanged, ScopeChanged

TOPOLOGY = {"dc1": {"rack1": 2, "rack2": 2}, "dc2": {"rack1": 2, "rack2": 2}}
PREFERRED = "dc1/rack1"
SCOPE = RoutingScope.rack("dc1", "rack1").with_fallback(RoutingScope.datacenter("dc1"), RoutingScope.cluster())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens, and when.

    Attributes:
        name: On the command line, and in the picture's file name.
        title: Above the picture.
        order: What is done to each node of the racks: one of the cluster process's orders.
        lost_at: When, in seconds since the load began.
        back_at: When the nodes are started again.
        end_at: When the load ends.
        racks: Which racks are lost.
    """

    name: str
    title: str
    order: Literal["stop", "kill"]
    lost_at: float
    back_at: float
    end_at: float
    racks: tuple[str, ...] = (PREFERRED,)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="stop", title="Preferred rack stopped in order", order="stop", lost_at=3, back_at=9, end_at=15),
        Scenario(
            name="crash", title="Preferred rack crashed, back while the other nodes still list it", order="kill",
            lost_at=3, back_at=15, end_at=21,
        ),
        Scenario(
            name="crash-long", title="Preferred rack crashed, back after it has left the list", order="kill",
            lost_at=3, back_at=27, end_at=33,
        ),
        Scenario(
            name="datacenter", title="Both racks of the preferred datacenter crashed", order="kill",
            lost_at=3, back_at=12, end_at=18, racks=("dc1/rack1", "dc1/rack2"),
        ),
    )
}  # fmt: skip


USUAL = [name for name, scenario in SCENARIOS.items() if scenario.racks == (PREFERRED,)]
"""Those in which the application must see nothing."""


class Witness(Instrument):
    """Notes what the client tells its instruments."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str]] = []

    def scope_changed(self, event: ScopeChanged) -> None:
        self.events.append((time.monotonic(), f"scope {event.new}"))

    def node_state_changed(self, event: NodeStateChanged) -> None:
        self.events.append((time.monotonic(), f"{event.node} {event.new}"))


async def run(scenario: Scenario, *, in_flight: int) -> Findings:
    """Run one scenario."""
    log, witness = Log(), Witness()
    async with running_cluster(TOPOLOGY) as cluster:
        lost = [node for node in cluster.nodes if node.rack in scenario.racks]
        # One seed in each datacenter, none in the preferred rack: discovery has to find that.
        seeds = [cluster.in_rack(rack)[0].url for rack in ("dc1/rack2", "dc2/rack1")]
        async with open_alternator(*seeds, routing_scope=SCOPE, instruments=[witness]) as client:
            await client.refresh()
            await create_table(client)
            async with trio.open_nursery() as nursery:
                began = time.monotonic()
                nursery.start_soon(keep_calling, client, log, in_flight)
                await _sleep_until(began + scenario.lost_at)
                lost_at = await cluster.do(scenario.order, lost)
                await _sleep_until(began + scenario.back_at)
                back_at = await cluster.do("start", lost)
                await _sleep_until(began + scenario.end_at)
                nursery.cancel_scope.cancel()
            retries = client.statistics().retries
    return Findings.of(
        log.done,
        {node.url: node.rack for node in cluster.nodes},
        PREFERRED,
        began=began,
        lost_at=lost_at - began,
        back_at=back_at - began,
        end_at=scenario.end_at,
        errors=dict(log.errors),
        retries=retries,
        events=[(at - began, what) for at, what in witness.events if at >= began],
    )


async def _sleep_until(when: float) -> None:
    """On the clock of all processes, not on Trio's own."""
    await trio.sleep(max(0.0, when - time.monotonic()))

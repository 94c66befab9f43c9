"""What one run is: topology, options of the clients, faults and load, all drawn from its seed."""

from __future__ import annotations

import dataclasses
import random

from alternator_trio import KeyRouteAffinity, NodeHealth, RetryPolicy, RoutingScope
from alternator_trio.config import Options
from alternator_trio.testing import FaultRates

__all__ = ["Drawn"]

TOPOLOGIES = (
    {"dc1": {"rack1": 3}},
    {"dc1": {"rack1": 1, "rack2": 1, "rack3": 1}},
    {"dc1": {"rack1": 2, "rack2": 2}},
    {"dc1": {"rack1": 2, "rack2": 1}, "dc2": {"rack1": 2}},
    {"dc1": {"rack1": 1, "rack2": 1}, "dc2": {"rack1": 2}},
)
RACK1, DC1, CLUSTER = RoutingScope.rack("dc1", "rack1"), RoutingScope.datacenter("dc1"), RoutingScope.cluster()
SCOPES = (CLUSTER, DC1, RACK1.with_fallback(DC1), RACK1.with_fallback(DC1, CLUSTER), DC1.with_fallback(CLUSTER))

FRAIL = NodeHealth(active_failure=1, quarantine_failure=1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One run.

    Attributes:
        seed: Its seed.
        topology: The cluster's.
        faults: How often what goes wrong.
        spread: Seconds until a plain write is visible, at most.
        options: Of the clients.
        clients: How many.
        tasks: Per client.
        operations: Per task.
        pause: Seconds between a task's operations, on average.
        cancelled: The fraction of operations that their caller gives up.
        keys: Per table.
        races: The fraction of operations that are several reads, of which the first ends the others.
        changes_tables: Whether tables come and go, while others ask for their keys.
        crashes: Whether actors crash.
        mishaps: Which of `Mishaps` come again and again.
        from_anchors: Whether clients know only the first node of each datacenter.
        exodus: Whether the first datacenter comes back under other addresses in the end, where there is a
            second that can be asked for it.
        signed: Whether nodes verify signatures, and the clients' clock jumps by hours.
    """

    seed: int
    topology: dict[str, dict[str, int]]
    faults: FaultRates
    spread: float
    options: Options
    clients: int
    tasks: int
    operations: int
    pause: float
    cancelled: float
    keys: int
    races: float
    changes_tables: bool
    crashes: bool
    mishaps: tuple[str, ...]
    from_anchors: bool
    exodus: bool
    signed: bool

    @classmethod
    def draw(cls, seed: int) -> Drawn:
        rng = random.Random(f"{seed}/drawn")
        clients = rng.choice((1, 1, 2))
        tasks = rng.choice((2, 4, 8, 16))
        topology, options = rng.choice(TOPOLOGIES), _options(rng)
        return cls(
            seed=seed,
            topology=topology,
            faults=FaultRates.draw(rng),
            spread=rng.choice((0.0, 0.0, 0.01, 0.2)),
            options=options,
            clients=clients,
            tasks=tasks,
            operations=max(2, 120 // (tasks * clients)),
            pause=rng.choice((0.0, 0.05, 1.0)),
            cancelled=rng.choice((0.0, 0.0, 0.1, 0.3)),
            keys=rng.choice((4, 8)),
            races=rng.choice((0.0, 0.0, 0.2)),
            changes_tables=rng.random() < 0.4,
            crashes=rng.random() < 0.3,
            mishaps=tuple(name for name in ("blink", "drag", "hang", "list_nobody") if rng.random() < 0.2),
            from_anchors=rng.random() < 0.5,
            exodus="dc2" in topology and options["routing_scope"] != CLUSTER and rng.random() < 0.5,
            signed=rng.random() < 0.3,
        )

    def shown(self) -> str:
        """Everything, for whoever is to understand a failure."""
        fields = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        shown = {name: value.shown() if isinstance(value, FaultRates) else value for name, value in fields}
        return "\n".join(f"  {name}: {value}" for name, value in shown.items())


def _options(rng: random.Random) -> Options:
    affinity = rng.choice((None, KeyRouteAffinity.rmw(), KeyRouteAffinity.any_write()))
    options: Options = {
        "routing_scope": rng.choice(SCOPES),
        "key_route_affinity": affinity,
        "node_health": rng.choice((NodeHealth(), NodeHealth(active_failure=2), FRAIL, None)),
        "retry": RetryPolicy(max_attempts=rng.choice((1, 2, 4, 4, 4, 6))),
        "ambiguous_writes": rng.choice(("raise", "raise", "retry")),
        "attempt_timeout": rng.choice((0.5, 3.0, 12.0)),
        "operation_timeout": rng.choice((None, None, 2.0)),
        "ddl_timeout": rng.choice((0.5, 3.0)),
        "connect_timeout": rng.choice((0.2, 2.0)),
        "max_connections_per_node": rng.choice((1, 3, 64)),
        "max_connections": rng.choice((2, 4, 12, 1024)),
        "acquire_timeout": rng.choice((1.0, 10.0)),
        "idle_connection_lifetime": rng.choice((2.0, 60.0)),
        "max_connection_age": rng.choice((None, None, 5.0)),
        "optimize_headers": rng.choice((True, True, False)),
    }
    return options

"""An Alternator cluster in memory and in virtual time, drawn from one seed, for the production client as it is.

`simulate` runs an async function so that the same seed gives the same run; `SimulatedCluster` is the cluster inside it,
`SimulatedNode` one node of it, `FaultRates` what goes wrong and how often. `RegisterEngine` is a store that knows what
only a server can know.

Rules: nothing here uses a socket, a thread or a real clock; what is drawn is drawn from the run's seed.
"""

from __future__ import annotations

from alternator_trio.testing.simulation.cluster import SimulatedCluster
from alternator_trio.testing.simulation.history import Event, History
from alternator_trio.testing.simulation.link import LinkWatcher
from alternator_trio.testing.simulation.node import SimulatedNode
from alternator_trio.testing.simulation.rates import FaultRates
from alternator_trio.testing.simulation.register_engine import AppliedWrite, RegisterEngine
from alternator_trio.testing.simulation.run import Run, SimulationStuckError, current_run, simulate

__all__ = [
    "AppliedWrite",
    "Event",
    "FaultRates",
    "History",
    "LinkWatcher",
    "RegisterEngine",
    "Run",
    "SimulatedCluster",
    "SimulatedNode",
    "SimulationStuckError",
    "current_run",
    "simulate",
]

"""Servers to test against: an embedded Alternator cluster on this machine, with faults on demand.

`LocalCluster` is the cluster, `LocalNode` one node of it, `ReceivedRequest` one entry of a node's record; the faults
that a node can be told to commit are `Reset`, `Close`, `Hang`, `Shed`, `Truncate` and `Answer`. `CountingProxy` stands
between a client and the nodes, counts connections, and makes the network go wrong.

`SimulatedCluster` is the same without a socket, for `simulate`: in memory, in virtual time, drawn from one seed;
`current_run` has a clock and randomness for whatever else takes part.
`FaultRates` is what goes wrong in it, `RegisterEngine` a store for it that knows what only a server can know.
"""

from __future__ import annotations

from alternator_trio.testing.cluster import LocalCluster
from alternator_trio.testing.engine import Engine
from alternator_trio.testing.faults import Answer, Close, Fault, Hang, Reset, Shed, Truncate
from alternator_trio.testing.ministack_engine import MinistackEngine
from alternator_trio.testing.node import LocalNode
from alternator_trio.testing.proxy import CountingProxy, ProxyConnection
from alternator_trio.testing.received import ReceivedRequest
from alternator_trio.testing.simulation import (
    FaultRates,
    RegisterEngine,
    Run,
    SimulatedCluster,
    SimulatedNode,
    SimulationStuckError,
    current_run,
    simulate,
)

__all__ = [
    "Answer",
    "Close",
    "CountingProxy",
    "Engine",
    "Fault",
    "FaultRates",
    "Hang",
    "LocalCluster",
    "LocalNode",
    "MinistackEngine",
    "ProxyConnection",
    "ReceivedRequest",
    "RegisterEngine",
    "Reset",
    "Run",
    "Shed",
    "SimulatedCluster",
    "SimulatedNode",
    "SimulationStuckError",
    "Truncate",
    "current_run",
    "simulate",
]

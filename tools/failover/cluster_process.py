"""The cluster in a process of its own: ``cluster_process.py TOPOLOGY``; the client has an event loop to itself."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import trio
from apart.taking_orders import take_orders

from alternator_trio.testing import Answer, LocalCluster, Reset
from alternator_trio.testing.faults import LOCALNODES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from alternator_trio.testing import Fault, LocalNode

FOR_EVER = 10**9
LISTED_FOR = 20.0
"""Seconds for which the other nodes go on listing one that has crashed."""


def spoil(node: LocalNode, fault: Fault) -> None:
    """Commit a fault on everything, discovery and probes included."""
    node.fail_next(fault, times=FOR_EVER)
    node.fail_next(fault, times=FOR_EVER, operation=LOCALNODES)


def delay(node: LocalNode, seconds: float) -> None:
    """Let every answer wait."""
    node.delay = seconds


ORDERS: Mapping[str, Callable[[LocalNode], None]] = {
    "stop": lambda node: node.stop(),
    "kill": lambda node: node.kill(listed_for=LISTED_FOR),
    "start": lambda node: node.start(),
    "pause": lambda node: node.pause(),
    "reset everything": lambda node: spoil(node, Reset()),
    "answer 500": lambda node: spoil(node, Answer(status=500)),
    "be slow": lambda node: delay(node, 0.25),
}


async def main(topology: Mapping[str, Mapping[str, int]]) -> None:
    """Run until stdin ends."""
    async with LocalCluster(topology=topology, record_requests=False) as cluster:

        def carry_out(order: Mapping[str, Any]) -> Mapping[str, object]:
            for number in order["nodes"]:
                ORDERS[order["do"]](cluster.nodes[number])
            return {}

        await take_orders(cluster.nodes, cluster.seeds, carry_out)


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))

"""The cluster in a process of its own: ``cluster_process.py TOPOLOGY``, ordered about by JSON lines.

Rules: the first line of stdout says which nodes there are; every order is one line of stdin, carried out in full before
its answer leaves, and the answer says when that was (``time.monotonic``, which all processes of a machine share). The
cluster ends with its stdin. It is a process of its own so that the client has an event loop, and a core, to itself.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

import trio

from alternator_trio.testing import Answer, LocalCluster, Reset
from alternator_trio.testing.faults import LOCALNODES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

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
        _say({"nodes": [{"url": node.url, "rack": f"{node.datacenter}/{node.rack}"} for node in cluster.nodes]})
        async with trio.lowlevel.FdStream(os.dup(0)) as orders:
            async for line in _lines(orders):
                order = json.loads(line)
                for number in order["nodes"]:
                    ORDERS[order["do"]](cluster.nodes[number])
                _say({"at": time.monotonic()})


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    """Give whole lines; the last one has its end, too."""
    rest = b""
    async for data in stream:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))

"""What a cluster in a process of its own does: it says which nodes there are, and carries out orders.

Rules: the first line of stdout says where the nodes are; every order is one line of stdin, carried out in full before
its answer leaves; every answer says when that was (``time.monotonic``, which all processes of a machine share). It ends
with its stdin.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from alternator_trio.testing import LocalNode


async def take_orders(
    nodes: Sequence[LocalNode], urls: Sequence[str], carry_out: Callable[[Any], Mapping[str, object]]
) -> None:
    """Say where each node is dialled, then carry out one order after another; what that returns goes with its `at`."""
    racks = [f"{node.datacenter}/{node.rack}" for node in nodes]
    _say({"nodes": [{"url": url, "rack": rack} for url, rack in zip(urls, racks, strict=True)]})
    async with trio.lowlevel.FdStream(os.dup(0)) as orders:
        async for line in _lines(orders):
            told = carry_out(json.loads(line))
            _say({"at": time.monotonic(), **told})


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

"""What must hold of a client whenever nothing moves, beside what `check_bounds` knows.

Rules: one refresh, one lookup per table and one probe per node at a time.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

from alternator_trio import Client
from alternator_trio.testing import SimulatedCluster
from tests.sim.check_bounds import BoundsWatch, living_tasks

__all__ = ["wrong_now"]

ONE_AT_A_TIME = ("Discovery refresh", "Discovery probes ", "KeyResolver looks up ")


def wrong_now(client: Client, cluster: SimulatedCluster, name: str) -> Iterator[str]:
    """What is against the rules."""
    yield from BoundsWatch(cluster, client, name).look()
    tasks = collections.Counter(task.name for task in living_tasks() if task.name.startswith(ONE_AT_A_TIME))
    yield from (f"{count} tasks at a time: {each}" for each, count in tasks.items() if count > 1)

"""What must hold of a client whenever nothing moves, beside what `check_bounds` knows.

Rules: one refresh, one lookup per table and one probe per node at a time; a table whose key is held to be looked up is
looked up.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

from alternator_trio import Client
from alternator_trio.testing import SimulatedCluster
from tests.sim.check_bounds import BoundsWatch
from tests.sim.check_kept import living_tasks

__all__ = ["wrong_now"]

LOOKUP = "KeyResolver looks up "
ONE_AT_A_TIME = ("Discovery refresh", "Discovery probes ", LOOKUP)


def wrong_now(client: Client, cluster: SimulatedCluster, name: str) -> Iterator[str]:
    """What is against the rules."""
    yield from BoundsWatch(cluster, client, name).look()
    tasks = collections.Counter(task.name for task in living_tasks() if task.name.startswith(ONE_AT_A_TIME))
    yield from (f"{count} tasks at a time: {each}" for each, count in tasks.items() if count > 1)
    pending = {f"{LOOKUP}{table}" for table in client._runtime.key_names.value.pending}
    lookups = {name for name in tasks if name.startswith(LOOKUP)}
    if pending != lookups:
        yield f"held to be running: {pending}; running: {lookups}"

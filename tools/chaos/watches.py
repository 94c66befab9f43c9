"""What is looked at all the time: whether the machine holds a process up, and each second what the clients hold."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import trio
from accounts import LAG
from vitals import Held, Sample, rss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote import Look, RemoteCluster
    from tally import Tally
    from world import Subject

LATE = 0.1
"""Seconds from which on a process counts as held up: a request passes both of them several times."""
_EVERY = 0.1


class Watches:
    """Looks.

    Attributes:
        samples: One per second.
        lags: How often the machine held one of the processes up.
    """

    def __init__(self, cluster: RemoteCluster, tally: Tally, subjects: Sequence[Subject]) -> None:
        self._subjects = subjects
        self._cluster = cluster
        self._tally = tally
        self._look: Look | None = None
        self._began = time.monotonic()
        self.samples: list[Sample] = []
        self.lags = 0

    async def watch(self) -> None:
        """Note when the machine holds one of the processes up, and when connections are beyond their bounds."""
        windows = self._tally.windows
        while True:
            due = time.monotonic() + _EVERY
            await trio.sleep(_EVERY)
            late = time.monotonic() - due
            for subject in self._subjects:
                self._tally.complain(subject.beyond_bounds())
            self._look = await self._cluster.look()
            if max(late, self._look.took) > LATE:
                self.lags += 1
                windows.end(windows.begin(LAG, "", due), time.monotonic())

    async def sample(self) -> None:
        """Note what is held, and what has happened so far."""
        while True:
            await trio.sleep(1.0)
            self.samples.append(self._sample())

    def _sample(self) -> Sample:
        tally, held = self._tally, Held.now()
        return Sample(
            at=time.monotonic() - self._began,
            descriptors=held.descriptors,
            connections=self._look.open_connections if self._look else 0,
            tasks=held.tasks,
            threads=held.threads,
            rss=rss(),
            operations=tally.ended,
            errors=tally.errors.total(),
            cancelled=tally.cancelled,
            faults=tally.faults.total(),
            open_faults=tally.windows.open,
            calm=tally.calm_since is not None,
        )

"""What a demo is asked to do, and when the outage comes in it.

Rules: a bad value raises `ConfigurationError` that names the command's option; nothing here does I/O.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final

from alternator_trio.config import AlternatorConfig
from alternator_trio.errors import ConfigurationError

__all__ = ["Settings"]

MIN_NODES: Final = 2  # one of them is killed
MAX_NODES: Final = 254  # what LocalCluster has addresses for
MIN_CONCURRENCY: Final = 2  # one writer of conditional writes beside the load
_GUARDED_SHARE: Final = 8
_KILL_AFTER: Final = 0.4
_DOWN_SHARE: Final = 0.25
_LONGEST_DOWN: Final = 5.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one demo.

    Attributes:
        seconds: How long the load runs.
        concurrency: Operations in flight, the conditional writes included; at least 2.
        nodes: Nodes of the embedded cluster; at least 2.
        seeds: Seeds of a cluster that runs elsewhere; empty: the embedded cluster.

    Raises:
        ConfigurationError: A value is wrong.

    Example:
        >>> settings = Settings(seconds=10)
        >>> settings.kill_at, settings.restart_at
        (4.0, 6.5)
    """

    seconds: float = 15.0
    concurrency: int = 32
    nodes: int = 3
    seeds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ConfigurationError(f"--seconds: {self.seconds:g} is no positive number of seconds")
        if self.concurrency < MIN_CONCURRENCY:
            raise ConfigurationError(
                f"--concurrency: {self.concurrency}; it must be at least {MIN_CONCURRENCY}, "
                "one task for the load and one for conditional writes"
            )
        if not MIN_NODES <= self.nodes <= MAX_NODES:
            raise ConfigurationError(
                f"--nodes: {self.nodes}; the embedded cluster has {MIN_NODES} to {MAX_NODES}, for one of them is killed"
            )
        if self.seeds:
            AlternatorConfig(seeds=self.seeds)  # refuses bad ones, by name

    @property
    def is_embedded(self) -> bool:
        """Whether the demo starts the cluster itself."""
        return not self.seeds

    @property
    def guarded_writers(self) -> int:
        """How many of the tasks do conditional writes."""
        return max(1, self.concurrency // _GUARDED_SHARE)

    @property
    def workers(self) -> int:
        """How many of the tasks do the mixed load."""
        return self.concurrency - self.guarded_writers

    @property
    def kill_at(self) -> float:
        """Seconds from the load's start to the kill."""
        return self.seconds * _KILL_AFTER

    @property
    def restart_at(self) -> float:
        """Seconds from the load's start until the killed node is started again."""
        return self.kill_at + min(_LONGEST_DOWN, self.seconds * _DOWN_SHARE)

"""What a user says about routing: which nodes are preferred, when one is sick, and which writes stay together.

Rules: frozen values, validated when they are built; the defaults are the specification's.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Self

from alternator_trio.errors import ConfigurationError

__all__ = ["AffinityMode", "KeyRouteAffinity", "NodeHealth", "RoutingScope"]

_MAX_PROBES = 64


@dataclasses.dataclass(frozen=True, slots=True)
class RoutingScope:
    """The nodes that requests go to, and where they go when there are none.

    Build one with `cluster`, `datacenter` or `rack`, and `with_fallback`.

    Attributes:
        datacenter_name: None: every datacenter.
        rack_name: None: every rack.
        fallbacks: The scopes that take over, in order, when this one is empty, unreachable, or all its nodes are down.

    Example:
        >>> scope = RoutingScope.rack("dc1", "rack1").with_fallback(RoutingScope.datacenter("dc1"))
        >>> [str(each) for each in scope.chain]
        ['rack dc1/rack1', 'datacenter dc1']
    """

    datacenter_name: str | None = None
    rack_name: str | None = None
    fallbacks: tuple[RoutingScope, ...] = ()

    def __post_init__(self) -> None:
        if self.rack_name is not None and self.datacenter_name is None:
            raise ConfigurationError(f"routing_scope: rack {self.rack_name!r} needs its datacenter")
        for fallback in self.fallbacks:
            if not isinstance(fallback, RoutingScope) or fallback.fallbacks:  # pyright: ignore[reportUnnecessaryIsInstance]  # what callers pass is not always what we ask for
                raise ConfigurationError(
                    f"routing_scope: {fallback!r} is no fallback; build the chain with with_fallback"
                )
        for name, value in (("datacenter", self.datacenter_name), ("rack", self.rack_name)):
            if value is not None:
                _check_name(name, value)

    @classmethod
    def cluster(cls) -> Self:
        """All nodes of all datacenters that a seed leads to: a node lists its own, so give a seed in each."""
        return cls()

    @classmethod
    def datacenter(cls, datacenter: str) -> Self:
        """The nodes of one datacenter."""
        _check_name("datacenter", datacenter)
        return cls(datacenter)

    @classmethod
    def rack(cls, datacenter: str, rack: str) -> Self:
        """The nodes of one rack of one datacenter."""
        _check_name("datacenter", datacenter)
        _check_name("rack", rack)
        return cls(datacenter, rack)

    def with_fallback(self, *scopes: RoutingScope) -> RoutingScope:
        """This scope, with others that take over in their order (theirs included)."""
        for scope in scopes:
            if not isinstance(scope, RoutingScope):  # pyright: ignore[reportUnnecessaryIsInstance]  # the same
                raise ConfigurationError(f"routing_scope: {scope!r} is no RoutingScope to fall back to")
        chained = tuple(link for scope in scopes for link in scope.chain)
        chain = (*self.chain, *chained)
        if len({link.key for link in chain}) < len(chain):
            raise ConfigurationError("routing_scope: the chain of fallbacks names a scope twice")
        return dataclasses.replace(self, fallbacks=chain[1:])

    @property
    def chain(self) -> tuple[RoutingScope, ...]:
        """This scope without its fallbacks, then each of them."""
        return (dataclasses.replace(self, fallbacks=()), *self.fallbacks)

    @property
    def key(self) -> tuple[str | None, str | None]:
        """Datacenter and rack."""
        return self.datacenter_name, self.rack_name

    @property
    def is_cluster(self) -> bool:
        """Whether all datacenters are in it."""
        return self.datacenter_name is None

    def __str__(self) -> str:
        if self.datacenter_name is None:
            return "cluster"
        if self.rack_name is None:
            return f"datacenter {self.datacenter_name}"
        return f"rack {self.datacenter_name}/{self.rack_name}"


def _check_name(what: str, value: object) -> None:
    # None as well, which an environment variable may have given: a wider scope is not what was meant.
    if not (isinstance(value, str) and value and value.isprintable()):
        raise ConfigurationError(f"routing_scope: {what} {value!r} is no name")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeHealth:
    """When a node is taken out of traffic and when it comes back.

    Attributes:
        active_failure: Failures in a row that take an active node down.
        down_recovery: Successful probes in a row that bring it to quarantine.
        quarantine_promotion: Successful requests in a row that make a quarantined node active.
        quarantine_failure: Failures in a row that take a quarantined node down.
        probe_concurrency: Probes in flight at once, 1 to 64; never two at one node.
        probe_timeout: Seconds for one probe.
    """

    active_failure: int = 10
    down_recovery: int = 3
    quarantine_promotion: int = 10
    quarantine_failure: int = 3
    probe_concurrency: int = 4
    probe_timeout: float = 5.0

    def __post_init__(self) -> None:
        for name in ("active_failure", "down_recovery", "quarantine_promotion", "quarantine_failure"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"node_health.{name}: {value!r}; it must be a whole number of at least 1")
        probes = self.probe_concurrency
        if not isinstance(probes, int) or isinstance(probes, bool) or not 1 <= probes <= _MAX_PROBES:  # pyright: ignore[reportUnnecessaryIsInstance]  # the same
            raise ConfigurationError(f"node_health.probe_concurrency: {probes!r} is not within 1 to {_MAX_PROBES}")
        timeout = self.probe_timeout
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:  # pyright: ignore[reportUnnecessaryIsInstance]  # the same
            raise ConfigurationError(f"node_health.probe_timeout: {self.probe_timeout!r} seconds; it must be positive")


class AffinityMode(enum.Enum):
    """Which writes stay on one coordinator."""

    RMW = "rmw"
    """Those that read before they write."""
    ANY_WRITE = "any_write"
    """All of them."""


@dataclasses.dataclass(frozen=True, slots=True)
class KeyRouteAffinity:
    """Which writes of one partition key go to the same node, and the partition keys that are known beforehand.

    Attributes:
        mode: Which writes.
        partition_keys: Table to the name of its partition key; tables that are missing are looked up.

    Example:
        >>> KeyRouteAffinity.rmw(partition_keys={"users": "id"}).mode.value
        'rmw'
    """

    mode: AffinityMode
    partition_keys: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        if not isinstance(self.mode, AffinityMode):  # pyright: ignore[reportUnnecessaryIsInstance]  # the same
            raise ConfigurationError(f"key_route_affinity: {self.mode!r} is no mode; use rmw() or any_write()")
        if not isinstance(self.partition_keys, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # the same
            raise ConfigurationError(f"key_route_affinity: {self.partition_keys!r} is no table of partition keys")
        for table, name in self.partition_keys.items():
            if not (isinstance(table, str) and isinstance(name, str) and table and name):  # pyright: ignore[reportUnnecessaryIsInstance]  # the same
                raise ConfigurationError(f"key_route_affinity: {table!r}: {name!r} is no table with its partition key")
        object.__setattr__(self, "partition_keys", dict(self.partition_keys))

    def __hash__(self) -> int:
        return hash((self.mode, frozenset(self.partition_keys.items())))

    def __repr__(self) -> str:
        return f"KeyRouteAffinity.{self.mode.value}(partition_keys={self.partition_keys!r})"

    @classmethod
    def rmw(cls, *, partition_keys: Mapping[str, str] | None = None) -> Self:
        """Writes that read first: with a condition, an update expression, or a return value of the old item."""
        return cls(AffinityMode.RMW, partition_keys or {})

    @classmethod
    def any_write(cls, *, partition_keys: Mapping[str, str] | None = None) -> Self:
        """Every write of one item, and batches."""
        return cls(AffinityMode.ANY_WRITE, partition_keys or {})

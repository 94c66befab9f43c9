"""What is under test, and how it is called: two clients of one cluster, and views of them.

Rules: the one client prefers a rack and falls back, the other uses the whole cluster with affinity; both have few
connections, so that callers wait for them; a part of the callers compresses, signs with another role, has limits of its
own, or another policy of retries.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from callers import TABLE, View

from alternator_trio import (
    Credentials,
    KeyRouteAffinity,
    RequestCompression,
    RetryPolicy,
    RoutingScope,
    open_alternator,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from remote import RemoteCluster

    from alternator_trio import Client

TOPOLOGY: Mapping[str, Mapping[str, int]] = {"dc1": {"rack1": 2, "rack2": 2}, "dc2": {"rack1": 2}}
PREFERRED = "dc1/rack1"
ROLES: Mapping[str, str] = {"first": "secret-of-the-first", "second": "secret-of-the-second"}
PER_NODE, IN_ALL = 6, 24
"""Connections that a client may have."""
_ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One client: the nodes that it uses when all is well, and the ways to call it; the first is the plain one."""

    client: Client
    nodes: frozenset[str]
    scope: str
    views: Sequence[View]

    @property
    def is_well(self) -> bool:
        """Whether it uses the nodes that it should, and finds all of them well."""
        states = {url: status.state for url, status in self.client.node_health().items() if status.is_listed}
        return str(self.client.routing_scope) == self.scope and states == dict.fromkeys(self.nodes, "ACTIVE")

    def beyond_bounds(self) -> str | None:
        """Which bound its connections are beyond; None when they are within all."""
        found = self.client.statistics()
        most = max(found.connections_by_node.values(), default=0)
        if found.connections_idle + found.connections_leased > IN_ALL or most > PER_NODE:
            return f"more connections than {PER_NODE} per node and {IN_ALL} in all: {found}"
        return None


@asynccontextmanager
async def open_subjects(
    cluster: RemoteCluster, transport: Literal["native", "httpx"], *, signed: bool
) -> AsyncIterator[tuple[Subject, ...]]:
    """Open the clients, with their table made."""
    options: dict[str, Any] = {
        "connect_timeout": 1.0, "attempt_timeout": 2.0, "acquire_timeout": 5.0, "max_connections_per_node": PER_NODE,
        "max_connections": IN_ALL, "max_connection_age": 20.0, "idle_connection_lifetime": 4.0, "transport": transport,
        "credentials": Credentials("first", ROLES["first"]) if signed else None,
    }  # fmt: skip
    rack = RoutingScope.rack(*PREFERRED.split("/"))
    scope = rack.with_fallback(RoutingScope.datacenter("dc1"), RoutingScope.cluster())
    # One seed in each datacenter, none in the preferred rack: discovery has to find that.
    seeds = [next(node.url for node in cluster.nodes if node.rack == rack) for rack in ("dc1/rack2", "dc2/rack1")]
    async with (
        open_alternator(*seeds, routing_scope=scope, **options) as near,
        open_alternator(
            *(node.url for node in cluster.nodes), key_route_affinity=KeyRouteAffinity.any_write(), **options
        ) as wide,
    ):
        await _create_table(wide)
        close_by = frozenset(node.url for node in cluster.nodes if node.rack == PREFERRED)
        everywhere = frozenset(node.url for node in cluster.nodes)
        yield (
            Subject(client=near, nodes=close_by, scope=str(rack), views=_views(near, signed=signed)),
            Subject(
                client=wide, nodes=everywhere, scope=str(RoutingScope.cluster()), views=_views(wide, signed=signed)
            ),
        )


def _views(client: Client, *, signed: bool) -> tuple[View, ...]:
    gzip = client.with_options(
        request_compression=RequestCompression.gzip(threshold_bytes=256), response_compression=("gzip", "deflate")
    )
    other = client.with_options(
        credentials=Credentials("second", ROLES["second"]) if signed else None,
        optimize_headers=False,
        request_compression=RequestCompression.deflate(threshold_bytes=0),
    )
    return (
        View(name="plain", client=client),
        View(name="compressed", client=gzip),
        View(name="other role", client=other),
        View(name="affinity", client=client.with_options(key_route_affinity=KeyRouteAffinity.rmw())),
        View(name="as AWS retries", client=client.with_options(ambiguous_writes="retry"), executions=_ATTEMPTS),
        View(name="patient", client=client.with_options(retry=RetryPolicy(max_attempts=8))),
        View(name="one attempt", client=client.with_options(retry=RetryPolicy(max_attempts=1))),
        View(name="short attempts", client=client.with_options(attempt_timeout=1.0), only_in_storms=True),
        *(
            View(
                name=f"within {limit:g} s", client=client.with_options(operation_timeout=limit), limit=limit,
                only_in_storms=True,
            )
            for limit in (0.03, 0.3, 2.0)
        ),
    )  # fmt: skip


async def _create_table(client: Client) -> None:
    await client.refresh()
    await client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[
            {"AttributeName": "shelf", "AttributeType": "S"},
            {"AttributeName": "slot", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "shelf", "KeyType": "HASH"}, {"AttributeName": "slot", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )

"""After the faults: the client comes back to all nodes of its preferred scope, within a bounded time, and all is well.

Rules: half a minute is the longest pause between two probes of a node, and a minute the time that an idle connection is
kept, so that two minutes are enough for everything. Then no operation fails, every node serves, and with affinity one
key has one coordinator; each success has brought a token of the retry quota back; and who asks for a refresh gets it.
"""

from __future__ import annotations

from collections.abc import Iterator

import trio

from alternator_trio import AlternatorError, Client, KeyRouteAffinity, RoutingScope
from alternator_trio.errors import UnknownServiceError
from alternator_trio.testing import RegisterEngine, SimulatedCluster

__all__ = ["CALM_SECONDS", "check_healthy", "converge"]

CALM_SECONDS = 90.0
CONVERGENCE_SECONDS = 120.0
READS = 3
WRITES = 5
READING_SECONDS = 5.0  # connections that nobody wants give their slots one in a second, to nodes that have none
QUOTA = 500
REFRESH_SECONDS = 30.0


async def converge(client: Client, cluster: SimulatedCluster) -> Iterator[str]:
    """Read now and then until the client sees the cluster as it is; what is left undone at the end."""
    begin = trio.current_time()
    wrong = ["never looked"]
    while trio.current_time() < begin + CALM_SECONDS or wrong:
        if trio.current_time() > begin + CONVERGENCE_SECONDS:
            return iter(f"{CONVERGENCE_SECONDS:g} s after healing {each}" for each in wrong)
        try:
            with trio.move_on_after(20):
                await client.get_item(TableName="plain", Key={"id": {"S": "k0"}})
        except AlternatorError:
            pass  # for the first while
        await trio.sleep(0.5)
        wrong = list(_differences(client, cluster))
    return iter(())


def _differences(client: Client, cluster: SimulatedCluster) -> Iterator[str]:
    scope, expected = _expected(client, cluster)
    if client.routing_scope != scope:
        yield f"the scope is {client.routing_scope}, not {scope}"
    ring = sorted(node.host for node in client.nodes())
    if ring != expected:
        yield f"the ring is {ring}, not {expected}"
    for endpoint, status in client.node_health().items():
        if status.is_listed and status.state != "ACTIVE":
            yield f"{endpoint} is {status.state}"


def _expected(client: Client, cluster: SimulatedCluster) -> tuple[RoutingScope, list[str]]:
    """The first scope of the chain that has nodes, and their addresses."""
    for scope in client._runtime.config.routing_scope.chain:
        nodes = [
            node.address
            for node in cluster.nodes
            if scope.datacenter_name in {None, node.datacenter} and scope.rack_name in {None, node.rack}
        ]
        if nodes:
            return scope, sorted(nodes)
    raise AssertionError("no scope has a node")


async def check_healthy(client: Client, cluster: SimulatedCluster, engine: RegisterEngine, prefix: str) -> list[str]:
    """Every node serves, no operation fails, and what was written is read."""
    wrong: list[str] = []
    before = {node.name: len(node.requests) for node in cluster.nodes}
    tokens, at_once = client.statistics().retry_tokens, 0
    try:
        reads = READS * len(client.nodes())
        for _ in range(reads):
            await trio.sleep(READING_SECONDS / reads)
            answer = await client.get_item(TableName="plain", Key={"id": {"S": "k0"}})
            at_once += not answer["ResponseMetadata"]["RetryAttempts"]
        served = {
            node.address
            for node in cluster.nodes
            if any(request.operation for request in node.requests[before[node.name] :])
        }
        # With fewer connections than nodes somebody goes without: one would be closed for each that is opened. Who has
        # nodes outside of the ring to ask about changes has one connection that goes from each of them to the next.
        asks_elsewhere = len(cluster.nodes) > len(client.nodes())
        if client._runtime.config.max_connections >= len(client.nodes()) + asks_elsewhere:
            wrong += [f"{node.host} serves nothing" for node in client.nodes() if node.host not in served]
        if client.statistics().retry_tokens < min(QUOTA, tokens + at_once):
            wrong.append(f"{client.statistics().retry_tokens} retry tokens, {at_once} successes after {tokens}")
        with trio.move_on_after(REFRESH_SECONDS) as patience:
            await client.refresh()
        if patience.cancelled_caught:
            wrong.append(f"a refresh does not end within {REFRESH_SECONDS:g} s")
        wrong += await _check_writes(client, engine, prefix)
    except AlternatorError as error:
        wrong.append(f"fails in a healthy cluster at {trio.current_time():.3f}: {type(error).__name__}: {error}")
    return wrong


async def _check_writes(client: Client, engine: RegisterEngine, prefix: str) -> list[str]:
    """Writes of fresh keys, one after another: with affinity each has one coordinator, whose order they keep."""
    affinity = client._runtime.config.key_route_affinity
    in_order = affinity is not None and affinity.mode is KeyRouteAffinity.any_write().mode
    if affinity is not None:
        await _find_key(client)
    wrong: list[str] = []
    for place in range(3):
        key = f"{prefix}.{place}"
        first = len(engine.applied)
        for number in range(WRITES):
            value = {"S": f"{key}.{number}"}
            await client.put_item(TableName="plain", Item={"id": {"S": key}, "v": value})
            seen = (await client.get_item(TableName="plain", Key={"id": {"S": key}}))["Item"]["v"]
            if in_order and seen != value:
                wrong.append(f"{key} is {seen} after {value} was written")
        coordinators = {write.coordinator for write in engine.applied[first:] if write.key == (f'{{"S":"{key}"}}',)}
        if in_order and len(coordinators) != 1:
            wrong.append(f"{key} had the coordinators {sorted(coordinators)}")
    return wrong


async def _find_key(client: Client) -> None:
    try:
        await client.partition_key("plain")
    except UnknownServiceError:
        # A refusal that a wrong length has garbled is a 4xx without a name, and those are remembered for five minutes.
        client.clear_partition_key("plain")
        await client.partition_key("plain")

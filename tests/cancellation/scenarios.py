"""Every scenario that is more than pure code as a short story, for the sweep: what its id says, with a few requests."""

from __future__ import annotations

from contextlib import suppress

import trio

from alternator_trio import (
    AlternatorError,
    Client,
    Credentials,
    DiscoveryError,
    KeyRouteAffinity,
    NodeHealth,
    RequestCompression,
    RoutingScope,
)
from alternator_trio._supervision import Message
from alternator_trio.testing import Answer, Hang, Reset
from tests.cancellation.sweep import Story
from tests.scenarios.lookups import NOT_FOUND, answer_lookups
from tests.scripted_nodes import Late, ScriptedNodes

__all__ = ["SCENARIOS", "Nonsense", "put"]

BUSY = Answer(status=503)
FOURTH = ("http://10.0.0.4:8000",)
ROLE = Credentials("role", "salted_hash")
GZIP = RequestCompression.gzip(threshold_bytes=0)
ANY_WRITE = {"key_route_affinity": KeyRouteAffinity.any_write()}
KNOWN_KEY = {"key_route_affinity": KeyRouteAffinity.any_write(partition_keys={"users": "id"})}
DC1, DC2 = RoutingScope.datacenter("dc1"), RoutingScope.datacenter("dc2")


class Nonsense(Message):
    """A message that no actor knows: whoever reads it crashes."""


async def put(client: Client, key: str = "ada") -> None:
    await client.put_item(TableName="users", Item={"id": {"S": key}})


async def _get(client: Client) -> None:
    await client.get_item(TableName="users", Key={"id": {"S": "ada"}})


async def _reuse(client: Client, nodes: ScriptedNodes) -> None:
    await client.refresh()
    for _ in range(3):
        await put(client)
        await _get(client)


async def _reuse_after_idle(client: Client, nodes: ScriptedNodes) -> None:
    for pause in (0.5, 2.0, 0.0):
        await _get(client)
        await trio.sleep(pause)


async def _reuse_across_discovery(client: Client, nodes: ScriptedNodes) -> None:
    for _ in range(5):
        await _get(client)
        await trio.sleep(0.03)


def _slow_lists(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.fail_next(Late(seconds=0.05), times=1000, operation="localnodes")


async def _empty_answers(client: Client, nodes: ScriptedNodes) -> None:
    await client.refresh()
    nodes.listed = []
    with suppress(DiscoveryError):
        await client.refresh()
    await _get(client)


def _fail_lists(nodes: ScriptedNodes) -> None:
    nodes[0].fail_next(Reset(), times=3, operation="localnodes")
    nodes[1].fail_next(Hang(), times=3, operation="localnodes")


async def _refresh_twice(client: Client, nodes: ScriptedNodes) -> None:
    await client.refresh()
    await client.refresh()
    await _get(client)


def _list_three(nodes: ScriptedNodes) -> None:
    nodes.listed = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


async def _seeds_at_last(client: Client, nodes: ScriptedNodes) -> None:
    await client.refresh()
    for node in list(nodes)[:3]:
        node.kill()
    await client.refresh()


async def _total_failure(client: Client, nodes: ScriptedNodes) -> None:
    await client.refresh()
    for node in nodes:
        node.fail_next(BUSY, times=2, operation="localnodes")
    with suppress(DiscoveryError):
        await client.refresh()
    await _get(client)


async def _first_use(client: Client, nodes: ScriptedNodes) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(_get, client)
            nursery.start_soon(client.refresh)


def _fail_attempts(nodes: ScriptedNodes) -> None:
    nodes[0].fail_next(Reset(), times=2)
    nodes[1].fail_next(Answer(status=500), times=2)
    nodes[2].fail_next(Hang())


async def _retried(client: Client, nodes: ScriptedNodes) -> None:
    for _ in range(4):
        await _get(client)


async def _writes(client: Client, nodes: ScriptedNodes) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(put, client, f"key {number % 2}")


async def _fallback(client: Client, nodes: ScriptedNodes) -> None:
    await client.refresh()
    for change in ("kill", "start"):
        for host in nodes.hosts_in("dc1"):
            getattr(nodes[host], change)()
        await put(client)
        await trio.sleep(0.3)


async def _lookup(client: Client, nodes: ScriptedNodes) -> None:
    answer_lookups(nodes, BUSY, BUSY)
    await put(client)
    await client.partition_key("users")
    await put(client)


async def _cooldown(client: Client, nodes: ScriptedNodes) -> None:
    answer_lookups(nodes, NOT_FOUND)
    for pause in (0.1, 301.0, 0.0):
        with suppress(AlternatorError):
            await client.partition_key("users")
        await trio.sleep(pause)
    await put(client)


def _slow_lookups(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.fail_next(Late(seconds=0.05), times=10, operation="DescribeTable")


async def _one_lookup(client: Client, nodes: ScriptedNodes) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(put, client, str(number))
            nursery.start_soon(client.partition_key, "users")


async def _resolver_crashes(client: Client, nodes: ScriptedNodes) -> None:
    await put(client)
    client._runtime.keys_inbox.tell(Nonsense())
    await client.partition_key("users")
    await put(client)


async def _overrides(client: Client, nodes: ScriptedNodes) -> None:
    for each in (client, client.with_options(request_compression=GZIP, optimize_headers=False), client):
        await put(each)


async def _large(client: Client, nodes: ScriptedNodes) -> None:
    for text in ("short", "long" * 30_000):
        await client.put_item(TableName="users", Item={"id": {"S": "ada"}, "text": {"S": text}})


def _reset_each(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.fail_next(Reset())


EVERYTHING = {
    "user_agent": lambda default: f"x {default}",
    "region": "eu-1",
    "max_connections": 2,
    "operation_timeout": 30.0,
    "attempt_timeout": 1.0,
    "response_compression": ("gzip",),
    "max_connection_age": 0.01,
}
RETRIED = {"before": _fail_attempts, "callers": [_retried], "options": {"attempt_timeout": 0.5}}
OVER_TLS = {"network": {"tls": True}, "nodes": 2}

SCENARIOS = [
    Story(name="c1", callers=[_reuse], nodes=1),
    Story(name="c2", callers=[_reuse_after_idle], nodes=1, options={"idle_connection_lifetime": 1.0}),
    Story(name="c3", callers=[_reuse_across_discovery], before=_slow_lists, options={"active_interval": 0.05}),
    Story(name="l1", callers=[_empty_answers]),
    Story(name="l2", callers=[_refresh_twice], before=_fail_lists),
    Story(name="l3", callers=[_seeds_at_last], before=_list_three, nodes=4, seeds=FOURTH),
    Story(name="l4", callers=[_total_failure]),
    Story(name="l5", callers=[_first_use], options={"node_health": NodeHealth(), "max_connections": 4}),
    Story(name="q1", **RETRIED),
    Story(
        name="a1",
        callers=[_writes],
        before=_fail_attempts,
        options={**KNOWN_KEY, "max_connections_per_node": 1, "attempt_timeout": 0.5},
    ),
    Story(
        name="a2",
        callers=[_fallback],
        topology={"dc1": {"rack1": 2}, "dc2": {"rack1": 1}},
        options={**KNOWN_KEY, "routing_scope": DC1.with_fallback(DC2), "node_health": NodeHealth(active_failure=1)},
    ),
    Story(name="k1", callers=[_lookup], options=ANY_WRITE),
    Story(name="k2", callers=[_cooldown], options={**ANY_WRITE, "idle_interval": 1000.0}),
    Story(name="k3", callers=[_one_lookup], before=_slow_lookups, options={**ANY_WRITE, "max_connections": 2}),
    Story(name="k4", callers=[_resolver_crashes], before=_slow_lookups, options=ANY_WRITE, crashes=1),
    Story(name="h1", callers=[_overrides]),
    Story(name="h2", callers=[_large], before=_reset_each, options={"request_compression": GZIP}),
    Story(name="h3", callers=[_large], options={"request_compression": GZIP, "credentials": ROLE}),
    Story(name="h4", callers=[_retried], before=_reset_each, options={"credentials": ROLE}),
    Story(name="b1", callers=[_writes], options=EVERYTHING),
    Story(
        name="b3",
        callers=[_refresh_twice],
        seeds=("http://10.0.0.1:8000", "http://10.0.0.1:8000/", "HTTP://10.0.0.1:8000"),
    ),
    Story(name="t1", callers=[_overrides], **OVER_TLS),
    Story(name="t2", callers=[_refresh_twice], **OVER_TLS),
    Story(name="t3", callers=[_writes], **OVER_TLS),
]
"""By id."""

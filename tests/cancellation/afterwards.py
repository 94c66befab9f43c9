"""What must hold once a client's callers have been cancelled, and once its block has been left.

Rules: the client's own background tasks may still be at work; everything else is over at once, without time passing. In
a cluster that is well again the next request succeeds at once, and what was being looked up or probed goes on.
"""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from alternator_trio import Client
from alternator_trio._core.retry import QUOTA_TOKENS
from tests.cancellation.networks import Network
from tests.scripted_nodes import ScriptedNodes, respond_by_default

__all__ = ["check_client", "check_nothing_left"]

BACKGROUND = ("Discovery", "KeyResolver")
AT_ONCE = 1.0  # virtual seconds; what is in somebody's way for longer is stuck
SETTLED = 40.0  # virtual seconds until every refresh, lookup, attempt and round of probes is over


async def check_client(client: Client, nodes: ScriptedNodes, network: Network, *, crashes: int) -> None:
    """The client goes on: nothing of those who were cancelled is in its way."""
    await wait_all_tasks_blocked()
    _check_counts(client, network)
    _check_line(client)
    _heal(nodes)
    with trio.fail_after(AT_ONCE):
        await client.get_item(TableName="afterwards", Key={"id": {"S": "ada"}})
    await trio.sleep(SETTLED)
    await wait_all_tasks_blocked()
    _check_counts(client, network)
    await _check_rest(client, crashes)


async def check_nothing_left(network: Network, tasks: int) -> None:
    """The block has been left: no connection, no dial and no task is."""
    await wait_all_tasks_blocked()
    assert (len(network.open), network.dialling) == (0, 0), "connections are left"
    await trio.sleep(SETTLED)  # a node that answers late is done as well
    await wait_all_tasks_blocked()
    left = trio.lowlevel.current_statistics().tasks_living - tasks
    assert not left, f"{left} tasks are left"


def _check_counts(client: Client, network: Network) -> None:
    """Leases add up, by the client's own counts and by what there is."""
    now, pools = client.statistics(), client._runtime.pools
    counted = now.connections_idle + now.connections_leased
    assert pools.used == counted, f"{pools.used} slots for {counted} connections"
    assert 0 <= now.retry_tokens <= QUOTA_TOKENS, f"{now.retry_tokens} retry tokens"
    if client._runtime.config.transport == "native":
        there = len(network.open) + network.dialling
        assert pools.used == there, f"{pools.used} slots for {there} wires and dials"


def _check_line(client: Client) -> None:
    """Only the client's own tasks still wait in line."""
    waiting = [waiter.task.name for waiter in client._runtime.pools._line.all()]
    assert all(name.startswith(BACKGROUND) for name in waiting), f"in line: {waiting}"


def _heal(nodes: ScriptedNodes) -> None:
    nodes.respond = respond_by_default
    nodes.listed = [node.host for node in nodes]
    for node in nodes:
        node.clear_faults()
        node.start()
        node.delay, node.localnodes_answer, node.respond = 0.0, None, None


async def _check_rest(client: Client, crashes: int) -> None:
    """All is quiet, and every actor does what it is asked."""
    runtime, now = client._runtime, client.statistics()
    assert (now.connections_leased, now.waiting) == (0, 0), f"not at rest: {now}"
    assert (now.crashes, now.dropped_messages) <= (crashes, 0), f"{now}"
    assert not runtime.key_names.value.pending, f"marks: {runtime.key_names.value.pending}"
    states = {name: status.state for name, status in client.node_health().items()}
    assert set(states.values()) <= {"ACTIVE"}, f"not probed: {states}"
    client.clear_partition_key("users")
    with trio.fail_after(AT_ONCE):
        assert await client.refresh()
        assert await client.partition_key("users") == "id"

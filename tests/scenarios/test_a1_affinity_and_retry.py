"""A1: a write with affinity whose node fails goes on to the next node of the same plan, and does not come back.

The key in a request's body tells which attempts belong together.
"""

from __future__ import annotations

import collections
import json

import pytest
import trio

from alternator_trio import AlternatorError, KeyRouteAffinity, NodeHealth, RetryPolicy
from alternator_trio.testing import Answer, Hang, Reset
from tests.routing.world import all_active, order_over, settle
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scenarios.faults import FAULTS
from tests.scripted_nodes import Late, Raw, ScriptedNodes

KEYS = [f"key {number}" for number in range(30)]
AFFINITY = KeyRouteAffinity.rmw(partition_keys={"users": "id"})


@pytest.fixture
async def nodes():
    """Five nodes, so that a plan has a middle."""
    async with ScriptedNodes(5) as scripted:
        yield scripted


async def write(client, key):
    """It qualifies, and may be repeated: the assignment reads nothing."""
    await client.update_item(
        TableName="users",
        Key={"id": {"S": key}},
        UpdateExpression="SET n = :n",
        ExpressionAttributeValues={":n": {"N": "1"}},
    )


def ways(nodes):
    """The nodes that each write reached, by its key, in order."""
    reached = collections.defaultdict(list)
    for request in nodes.requests_of("UpdateItem"):
        reached[json.loads(request.body)["Key"]["id"]["S"]].append(request.host)
    return reached


def order(nodes, key, without=()):
    ring = [node.node for node in nodes if node.host not in without]
    return [node.host for node in order_over(ring, key)]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a1_the_next_node_of_the_plan_is_tried(autojump_clock, nodes, fault):
    """One of five nodes fails whatever it gets: its keys go to the second of their order, all others to the first."""
    nodes[1].fail_next(FAULTS[fault], times=10**6, operation="UpdateItem")
    async with nodes.open_client(key_route_affinity=AFFINITY, attempt_timeout=0.5) as client:
        await client.refresh()
        for key in KEYS:
            await write(client, key)
    expected = {
        key: order(nodes, key)[:2] if order(nodes, key)[0] == nodes[1].host else order(nodes, key)[:1] for key in KEYS
    }
    assert ways(nodes) == expected
    assert any(len(hosts) == 2 for hosts in expected.values())


async def test_a1_a_refused_connection_goes_on_in_the_plan(autojump_clock, nodes):
    """The dead node gets nothing, the second of each order gets its keys."""
    nodes[1].refuse()
    async with nodes.open_client(key_route_affinity=AFFINITY, discovery=False) as client:
        for key in KEYS:
            await write(client, key)
        retries = client.statistics().retries
    assert ways(nodes) == {key: [next(host for host in order(nodes, key) if host != nodes[1].host)] for key in KEYS}
    assert retries == sum(order(nodes, key)[0] == nodes[1].host for key in KEYS) > 0


@pytest.mark.parametrize("failing", [2, 3, 4])
async def test_a1_the_plan_is_followed_as_far_as_it_takes(autojump_clock, nodes, failing):
    """The first nodes of a key's order fail: attempt by attempt the order is followed, each node once."""
    key = KEYS[0]
    hosts = order(nodes, key)
    for host in hosts[:failing]:
        nodes[host].fail_next(Reset(), times=10**6, operation="UpdateItem")
    policy = RetryPolicy(max_attempts=failing + 1)
    async with nodes.open_client(key_route_affinity=AFFINITY, retry=policy) as client:
        await client.refresh()
        await write(client, key)
    assert ways(nodes) == {key: hosts[: failing + 1]}


async def test_a1_no_new_selection_is_made(autojump_clock, nodes):
    """The node list changes while the first attempt is under way: the second is still that of the first one's plan."""
    leaving = nodes[4].host
    for key in KEYS:
        before, after = order(nodes, key), order(nodes, key, [leaving])
        if leaving not in before[:2] and before[1] != after[1]:
            break  # a selection anew would be seen
    nodes[before[0]].fail_next(Raw(data=b"", then="hang"), operation="UpdateItem")
    async with nodes.open_client(key_route_affinity=AFFINITY, attempt_timeout=1.0) as client:
        await client.refresh()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, client, key)
            await trio.sleep(0.5)
            nodes.listed.remove(leaving)
            await client.refresh()
            assert len(client.nodes()) == 4
        assert ways(nodes)[key] == before[:2]
        await write(client, key)
    assert ways(nodes)[key][2:] == after[:1]


async def test_a1_a_failed_node_is_not_come_back_to(autojump_clock, nodes):
    """It answers again at once, but the write has gone on; only the next write begins there again."""
    key = KEYS[0]
    hosts = order(nodes, key)
    nodes[hosts[0]].fail_next(Reset(), operation="UpdateItem")
    nodes[hosts[1]].fail_next(Answer(status=500), operation="UpdateItem")
    nodes[hosts[2]].fail_next(Answer(status=503), operation="UpdateItem")
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        await client.refresh()
        await write(client, key)
        assert ways(nodes)[key] == hosts[:4]
        await write(client, key)
    assert ways(nodes)[key] == [*hosts[:4], hosts[0]]


async def test_a1_a_node_that_goes_down_meanwhile_is_skipped(autojump_clock, nodes):
    """Health is asked at the last moment: the second of the plan is down by then, the third gets the write."""
    key = KEYS[0]
    hosts = order(nodes, key)
    other = next(other for other in KEYS if order(nodes, other)[0] == hosts[1])
    nodes[hosts[0]].fail_next(Raw(data=b"", then="hang"), operation="UpdateItem")
    health = NodeHealth(active_failure=1)
    async with nodes.open_client(key_route_affinity=AFFINITY, node_health=health, attempt_timeout=1.0) as client:
        await all_active(client)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, client, key)
            await trio.sleep(0.9)
            nodes[hosts[1]].kill()
            await write(client, other)
            await settle()
            assert client.node_health()[nodes[hosts[1]].url].state == "DOWN"
    assert ways(nodes)[key] == [hosts[0], hosts[2]]


async def test_a1_when_all_fail_the_same_order_begins_again(autojump_clock, nodes):
    """Seven attempts over five failing nodes: the order, and the first two of it again."""
    for node in nodes:
        node.fail_next(Reset(), times=10**6, operation="UpdateItem")
    async with nodes.open_client(key_route_affinity=AFFINITY, retry=RetryPolicy(max_attempts=7)) as client:
        await client.refresh()
        with pytest.raises(AlternatorError) as caught:
            await write(client, KEYS[0])
        assert caught.value.attempts == 7
    hosts = order(nodes, KEYS[0])
    assert ways(nodes)[KEYS[0]] == [*hosts, *hosts[:2]]


async def test_a1_concurrent_writes_keep_to_their_own_plans(autojump_clock, nodes):
    """Thirty at once, two nodes failing: each follows the order of its own key."""
    bad = {nodes[0].host, nodes[3].host}
    for host in bad:
        nodes[host].fail_next(Reset(), times=10**6, operation="UpdateItem")
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        await client.refresh()
        async with trio.open_nursery() as nursery:
            for key in KEYS:
                nursery.start_soon(write, client, key)
    for key in KEYS:
        hosts = order(nodes, key)
        good = next(place for place, host in enumerate(hosts) if host not in bad)
        assert ways(nodes)[key] == hosts[: good + 1]


async def test_a1_the_retried_write_is_the_same_write(autojump_clock, nodes):
    """Its body is the same byte for byte, its Host that of the node that it goes to."""
    hosts = order(nodes, KEYS[0])
    for host in hosts[:2]:
        nodes[host].fail_next(Reset(), operation="UpdateItem")
    async with nodes.open_client(key_route_affinity=AFFINITY) as client:
        await client.refresh()
        await write(client, KEYS[0])
    requests = nodes.requests_of("UpdateItem")
    assert len({request.body for request in requests}) == 1
    assert [request.header("host") for request in requests] == [f"{host}:8000" for host in hosts[:3]]


async def test_a1_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled while writes with affinity fail, wait for their node and go on in their plans: nothing is left."""

    async def scenario():
        for node in nodes:
            node.clear_faults()
        nodes[0].fail_next(Reset(), times=3, operation="UpdateItem")
        nodes[1].fail_next(Answer(status=500), times=3, operation="UpdateItem")
        nodes[2].fail_next(Hang(), operation="UpdateItem")
        nodes[3].fail_next(Late(seconds=0.1), times=5, operation="UpdateItem")
        options = {"attempt_timeout": 0.5, "max_connections_per_node": 1, "retry": RetryPolicy(max_attempts=8)}
        affinity = KeyRouteAffinity.rmw()
        async with nodes.open_client(key_route_affinity=affinity, node_health=NodeHealth(), **options) as client:
            await client.partition_key("users")
            async with trio.open_nursery() as nursery:
                for key in KEYS:
                    nursery.start_soon(write, client, key)

    await cancel_in_the_middle(scenario, nodes, moments=12)

"""Q1: when the first node fails, the next attempt of the same request goes to a different one.

Many requests begin at all nodes by turns; the key in a request's body tells which attempts belong together.
"""

from __future__ import annotations

import collections
import json

import pytest
import trio

from alternator_trio import AlternatorError, RetryPolicy
from alternator_trio.client import open_alternator
from alternator_trio.testing import Answer, Hang, Reset
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scenarios.faults import FAULTS

REQUESTS = 30


def ways(requests):
    """The nodes that each request went to, by its key, in order."""
    attempts = collections.defaultdict(list)
    for host, request in requests:
        if request.operation == "GetItem":
            attempts[json.loads(request.body)["Key"]["id"]["S"]].append(host)
    return attempts


async def get_many(client, count=REQUESTS):
    for number in range(count):
        await client.get_item(TableName="users", Key={"id": {"S": str(number)}})


@pytest.mark.parametrize("fault", FAULTS)
async def test_q1_the_next_attempt_goes_to_another_node(autojump_clock, nodes, fault):
    """One of three nodes fails whatever it gets: each request that began there went on, once, to another node."""
    nodes[1].fail_next(FAULTS[fault], times=10**6)
    async with nodes.open_client(attempt_timeout=0.5) as client:
        await get_many(client)
        statistics = client.statistics()
    attempts = ways((request.host, request) for request in nodes.requests)
    began_there = [hosts for hosts in attempts.values() if hosts[0] == "10.0.0.2"]
    assert len(attempts) == REQUESTS
    assert len(began_there) == REQUESTS // 3
    assert all(len(hosts) == 2 and hosts[1] != "10.0.0.2" for hosts in began_there)
    assert (statistics.retries, statistics.failed) == (len(began_there), 0)


async def test_q1_a_refused_connection_is_tried_elsewhere(autojump_clock, nodes):
    """A node that refuses connections gets nothing: the requests that began there are served by both others."""
    nodes[1].refuse()
    async with nodes.open_client(discovery=False) as client:
        await get_many(client)
        assert (client.statistics().retries, client.statistics().failed) == (REQUESTS // 3, 0)
    served = collections.Counter(request.host for request in nodes.requests_of("GetItem"))
    assert served.keys() == {"10.0.0.1", "10.0.0.3"}
    assert min(served.values()) > REQUESTS // 3  # its share was spread, not given to one neighbour


async def test_q1_two_failing_nodes_leave_the_third(autojump_clock, nodes):
    """No request comes back to a node that failed it as long as another is left."""
    for node in (nodes[0], nodes[1]):
        node.fail_next(Reset(), times=10**6)
    async with nodes.open_client() as client:
        await get_many(client, 20)
    for hosts in ways((request.host, request) for request in nodes.requests).values():
        assert hosts[-1] == "10.0.0.3"
        assert len(set(hosts)) == len(hosts)


async def test_q1_when_all_fail_each_is_tried_before_any_again(autojump_clock, nodes):
    """Six attempts over three failing nodes: two rounds, the second not beginning where the first ended."""
    for node in nodes:
        node.fail_next(Answer(status=500), times=10**6)
    async with nodes.open_client(retry=RetryPolicy(max_attempts=6)) as client:
        with pytest.raises(AlternatorError):
            await get_many(client, 1)
    (hosts,) = ways((request.host, request) for request in nodes.requests).values()
    assert len(set(hosts[:3])) == len(set(hosts[3:])) == 3
    assert hosts[2] != hosts[3]


async def test_q1_a_retried_request_is_the_same_request(autojump_clock, nodes):
    """The body is the same byte for byte; the Host header is that of the node that it goes to."""
    for node in (nodes[0], nodes[1]):
        node.fail_next(Reset(), times=10**6)
    async with nodes.open_client(discovery=False) as client:
        await get_many(client, 3)
    assert {len(request.body) for request in nodes.requests} == {len(nodes.requests[0].body)}
    assert all(request.header("host") == f"{request.host}:8000" for request in nodes.requests)


async def test_q1_wire_one_address_refused(cluster, proxy):
    """Over TCP: with one address refused, all requests succeed at the two others, over one connection each."""
    proxy.refuse("127.0.0.2")
    async with open_alternator(*proxy.seeds, discovery=False) as client:
        await get_many(client)
        assert (client.statistics().retries, client.statistics().failed) == (REQUESTS // 3, 0)
    served = [len(node.requests) for node in cluster.nodes]
    assert (served[1], sum(served)) == (0, REQUESTS)
    assert proxy.connects == 2


async def test_q1_wire_a_connection_cut_in_mid_request(cluster, proxy):
    """Over TCP: a request waits at one node when its connection is reset; its next attempt is answered elsewhere."""
    victim = cluster.nodes[1]
    victim.fail_next(Hang(), times=10**6)
    async with open_alternator(*proxy.seeds, discovery=False) as client, trio.open_nursery() as nursery:
        nursery.start_soon(get_many, client, 3)
        with trio.fail_after(5):
            while not victim.requests:
                await trio.sleep(0.001)
        proxy.cut("127.0.0.2")
    attempts = ways((node.address, request) for node in cluster.nodes for request in node.requests)
    cut = [hosts for hosts in attempts.values() if "127.0.0.2" in hosts]
    assert (len(attempts), len(cut), len(cut[0])) == (3, 1, 2)
    assert (client.statistics().retries, client.statistics().failed) == (1, 0)


async def test_q1_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled while attempts fail, back off and go elsewhere: no connection is left."""

    async def scenario():
        for node in nodes:
            node.clear_faults()
        nodes[0].fail_next(Reset(), times=3)
        nodes[1].fail_next(Answer(status=500), times=3)
        nodes[2].fail_next(Hang(), times=1)
        async with nodes.open_client(attempt_timeout=0.5, retry=RetryPolicy(max_attempts=12)) as client:
            await get_many(client, 10)

    await cancel_in_the_middle(scenario, nodes, moments=12)


async def test_q1_wire_cancelled_in_the_middle(cluster, proxy):
    """The same over TCP, with a node that dies and comes back."""

    async def scenario():
        for node in cluster.nodes:
            node.start()
            node.clear_faults()
        cluster.nodes[0].fail_next(Reset(), times=2)
        async with open_alternator(*proxy.seeds, discovery=False) as client:
            await get_many(client, 10)
            cluster.nodes[1].kill()
            await get_many(client, 10)

    await cancel_in_the_middle(scenario, proxy, *cluster.nodes)

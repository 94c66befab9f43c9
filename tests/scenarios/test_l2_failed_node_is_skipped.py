"""L2: a node that fails is passed over, and the refresh goes on with the next candidates of the same scope."""

from __future__ import annotations

import pytest
import trio

from alternator_trio.testing import Answer, Close, Hang, Reset, Truncate
from tests.routing.world import CHAIN, CLUSTER, DC1, RACK1, TOPOLOGY, questions, ring
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scripted_nodes import Raw, ScriptedNodes

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
FAILURES = {
    "reset": Reset(),
    "closed": Close(),
    "truncated": Truncate(body_bytes=5),
    "500": Answer(status=500),
    "404": Answer(status=404, body=b'{"message": "Not found", "code": 404}'),
    "redirect": Answer(status=301, headers=(("Location", "http://10.0.0.9:8000/localnodes"),)),
    "text": Answer(status=200, body=b"healthy"),
    "object": Answer(status=200, body=b"{}"),
    "nonsense": Answer(status=200, body=b'["0.0.0.0", 7, "a b"]'),
    "empty": Answer(status=200, body=b"[]"),
    "not HTTP": Raw(data=b"SSH-2.0-OpenSSH_9.6\r\n", then="hang"),
    "silent": Hang(),
}


def hosts(client):
    return tuple(node.host for node in client.nodes())


def break_for_discovery(node, failure):
    if failure == "refused":
        node.refuse()
    else:
        node.fail_next(FAILURES[failure], times=100, operation="localnodes")


@pytest.mark.parametrize("failure", ["refused", *FAILURES])
async def test_l2_the_next_candidate_is_asked(autojump_clock, nodes, failure):
    """Whatever is wrong with two of three nodes, twenty refreshes in random order all succeed by the third."""
    for node in (nodes[0], nodes[1]):
        break_for_discovery(node, failure)
    nodes[2].lists(*HOSTS, "10.0.0.4")
    async with nodes.open_client(attempt_timeout=30.0) as client:
        for _ in range(20):
            began = trio.current_time()
            await client.refresh()
            assert hosts(client) == (*HOSTS, "10.0.0.4")
            assert trio.current_time() - began <= 1.0  # at worst, two silent nodes are passed over after 500 ms each
    assert nodes[0].requests_of("localnodes") or failure == "refused"


async def test_l2_a_failed_node_is_asked_once_per_refresh(autojump_clock, nodes):
    """Within one refresh nobody is asked twice, failed or not."""
    for node in (nodes[0], nodes[1]):
        break_for_discovery(node, "500")
    async with nodes.open_client() as client:
        await client.refresh()
    assert all(len(node.requests_of("localnodes")) <= 1 for node in nodes)


@pytest.mark.parametrize("failure", ["refused", *(name for name in FAILURES if name != "empty")])
@pytest.mark.parametrize(("scope", "listed"), [(DC1, (1, 2, 3)), (RACK1, (1, 2)), (CHAIN, (1, 2))], ids=str)
async def test_l2_in_the_same_scope(autojump_clock, scope, listed, failure):
    """All nodes but one fail: it is asked for the same datacenter or rack; no fallback is even asked for."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes:
        for node in list(nodes)[:4]:
            break_for_discovery(node, failure)
        async with nodes.open_client(routing_scope=scope, attempt_timeout=30.0) as client:
            for _ in range(5):
                began = trio.current_time()
                await client.refresh()
                assert (ring(client), client.routing_scope.key) == (listed, scope.key)
                assert trio.current_time() - began <= 4.0
        assert set(questions(nodes)) == {scope.key}


async def test_l2_along_a_chain_nobody_who_failed_is_asked_again(autojump_clock):
    """The rack is empty and the datacenter too: a node that failed for the rack is passed over for all that follows."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes:
        nodes.listed = nodes.listed[3:]
        for node in list(nodes)[:3]:
            break_for_discovery(node, "500")
        async with nodes.open_client(routing_scope=CHAIN) as client:
            for _ in range(5):
                before = [len(node.requests) for node in nodes]
                await client.refresh()
                assert (ring(client), client.routing_scope) == ((4, 5), CLUSTER)
                now = [len(node.requests) for node in nodes]
                assert all(later - earlier <= 1 for earlier, later in list(zip(before, now, strict=True))[:3])


async def test_l2_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled while one node resets, one is silent and one answers: nothing is left."""

    async def scenario():
        nodes[0].fail_next(Reset(), times=2, operation="localnodes")
        nodes[1].fail_next(Hang(), times=2, operation="localnodes")
        async with nodes.open_client() as client:
            for _ in range(4):
                await client.refresh()
            assert hosts(client) == HOSTS

    await cancel_in_the_middle(scenario, nodes, moments=10)


async def test_l2_along_a_chain_cancelled_in_the_middle(autojump_clock):
    """Cancelled while nodes fail and are silent in one scope after the other: nothing is left."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes:
        nodes.listed = nodes.listed[3:]

        async def scenario():
            nodes[0].fail_next(Reset(), times=2, operation="localnodes")
            nodes[1].fail_next(Hang(), times=2, operation="localnodes")
            async with nodes.open_client(routing_scope=CHAIN) as client:
                for _ in range(4):
                    await client.refresh()
                assert ring(client) == (4, 5)

        await cancel_in_the_middle(scenario, nodes, moments=10)

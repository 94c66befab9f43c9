"""L2: a node that fails is passed over, and the refresh goes on with the next candidates of the same scope."""

from __future__ import annotations

import pytest
import trio

from alternator_trio.testing import Answer, Close, Hang, Reset, Truncate
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scripted_nodes import Raw

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

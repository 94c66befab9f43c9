"""B3: the same seed several times, in several spellings, is one seed: no request is made for a duplicate."""

from __future__ import annotations

import collections

import pytest

from alternator_trio import DiscoveryError
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scripted_nodes import ScriptedNodes

SPELLINGS = {
    "address": (
        ["10.0.0.1", "10.0.0.2"],
        8000,
        ["http://10.0.0.1:8000", "HTTP://10.0.0.1:8000/", "http://10.0.0.2:8000", "http://10.0.0.1:8000"],
    ),
    "name": (
        ["node-1.example", "node-2.example"],
        8000,
        ["http://Node-1.Example:8000", "http://node-1.example:8000", "Http://NODE-2.example:8000/"],
    ),
    "IPv6": (
        ["2001:db8::1", "2001:db8::2"],
        8000,
        ["http://[2001:db8::1]:8000", "http://[2001:0DB8:0:0::0001]:8000", "http://[2001:db8::2]:8000/"],
    ),
    "default port": (
        ["10.0.0.1", "10.0.0.2"],
        80,
        ["http://10.0.0.1", "http://10.0.0.1:80", "http://10.0.0.2:80/", "http://10.0.0.2/"],
    ),
}


def asked(nodes):
    return collections.Counter(request.host for request in nodes.requests_of("localnodes"))


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_b3_one_request_per_node_and_refresh(autojump_clock, spelling):
    """Each node lists only itself, so that all must be asked: five refreshes ask each node five times, not more."""
    hosts, port, seeds = SPELLINGS[spelling]
    async with ScriptedNodes(hosts, port=port) as nodes:
        for node in nodes:
            node.lists(node.host)
        async with nodes.open_client(*seeds) as client:
            for number in range(1, 6):
                ring = await client.refresh()
                assert asked(nodes) == dict.fromkeys(hosts, number)
                assert sorted(node.host for node in ring) == hosts
        assert nodes.connects == len(hosts)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_b3_a_failing_seed_is_asked_once(autojump_clock, spelling):
    """A seed that fails is not asked again under another spelling, and the error names each seed once."""
    hosts, port, seeds = SPELLINGS[spelling]
    async with ScriptedNodes(hosts, port=port) as nodes:
        nodes.listed = []
        async with nodes.open_client(*seeds) as client:
            with pytest.raises(DiscoveryError) as caught:
                await client.refresh()
            assert asked(nodes) == dict.fromkeys(hosts, 1)
        assert sorted(candidate for candidate, _ in caught.value.failures) == sorted(node.url for node in nodes)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_b3_requests_are_spread_over_nodes_and_not_over_spellings(autojump_clock, spelling):
    """Before any answer the seeds are the nodes: each gets its equal share, however often it was named."""
    hosts, port, seeds = SPELLINGS[spelling]
    async with ScriptedNodes(hosts, port=port) as nodes:
        async with nodes.open_client(*seeds, discovery=False) as client:
            assert len(client.nodes()) == len(hosts)
            for number in range(20):
                await client.get_item(TableName="users", Key={"id": {"S": str(number)}})
        assert collections.Counter(one.host for one in nodes.requests_of("GetItem")) == dict.fromkeys(hosts, 10)


async def test_b3_an_answer_that_repeats_nodes_is_the_same_list(autojump_clock):
    """What ``/localnodes`` says twice, in two spellings, is one node too."""
    async with ScriptedNodes(["2001:db8::1", "2001:db8::2"]) as nodes:
        nodes.listed = ["2001:db8::1", "2001:0db8::0001", "2001:DB8::2", "2001:db8::2"]
        async with nodes.open_client(nodes[0].url) as client:
            assert len(await client.refresh()) == 2


async def test_b3_cancelled_in_the_middle(autojump_clock):
    """Cancelled in a refresh that asks duplicates' one node each: nothing is left."""
    hosts, port, seeds = SPELLINGS["IPv6"]
    async with ScriptedNodes(hosts, port=port) as nodes:

        async def scenario():
            for node in nodes:
                node.lists(node.host)
            async with nodes.open_client(*seeds) as client:
                for _ in range(3):
                    await client.refresh()

        await cancel_in_the_middle(scenario, nodes)

"""L1: without a fallback, an empty answer leaves the node list as it is, whatever the scope."""

from __future__ import annotations

import pytest

from alternator_trio import DiscoveryError
from tests.routing.world import CLUSTER, DC1, RACK1, TOPOLOGY, asked, get, host, ring, served
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scripted_nodes import ScriptedNodes

ALL = ("http://10.0.0.1:8000", "http://10.0.0.2:8000", "http://10.0.0.3:8000")


@pytest.fixture
async def two_datacenters():
    """dc1 with 10.0.0.1 and .2 in rack1 and .3 in rack2, dc2 with .4 and .5."""
    async with ScriptedNodes(topology=TOPOLOGY) as scripted:
        yield scripted


def endpoints(client):
    return tuple(map(str, client.nodes()))


async def test_l1_an_empty_answer_from_everybody_changes_nothing(autojump_clock, nodes):
    """Every node answers ``[]``: the refresh says so, naming each, and the list that was good stays in force."""
    async with nodes.open_client() as client:
        await client.refresh()
        nodes.listed = []
        with pytest.raises(DiscoveryError) as caught:
            await client.refresh()
        assert sorted(caught.value.failures) == [(url, "an empty node list") for url in ALL]
        assert endpoints(client) == ALL
        await client.get_item(TableName="users", Key={"id": {"S": "ada"}})


@pytest.mark.parametrize("empty", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
async def test_l1_an_empty_answer_from_one_takes_nobody_out(autojump_clock, nodes, empty):
    """One node answers ``[]``: the others are asked, and what they list holds, the empty-handed node included."""
    async with nodes.open_client() as client:
        nodes[empty].lists()
        await client.refresh()
        assert endpoints(client) == ALL


async def test_l1_the_first_answer_being_empty_leaves_the_seeds(autojump_clock, nodes):
    """A list that was never better than the seeds is not emptied either."""
    nodes.listed = []
    async with nodes.open_client(nodes[0].url) as client:
        with pytest.raises(DiscoveryError):
            await client.refresh()
        assert endpoints(client) == ALL[:1]


@pytest.mark.parametrize(("scope", "listed"), [(CLUSTER, (1, 2, 3, 4, 5)), (DC1, (1, 2, 3)), (RACK1, (1, 2))], ids=str)
async def test_l1_a_scope_that_has_emptied_keeps_its_list(autojump_clock, two_datacenters, scope, listed):
    """Cluster, datacenter or rack: all who are asked say that there is nobody; requests go where they went."""
    nodes = two_datacenters
    async with nodes.open_client(routing_scope=scope) as client:
        await client.refresh()
        nodes.listed.clear()
        for _ in range(3):
            with pytest.raises(DiscoveryError, match="an empty node list"):
                await client.refresh()
            assert (ring(client), client.routing_scope) == (listed, scope)
        await get(client, 10)
    assert set(served(nodes)) == set(listed)


@pytest.mark.parametrize("scope", [DC1, RACK1], ids=str)
async def test_l1_one_empty_answer_is_enough_for_a_datacenter_or_rack(autojump_clock, two_datacenters, scope):
    """Unlike the cluster's it is the answer: nobody else is asked, the list stays, and the next refresh asks again."""
    nodes = two_datacenters
    async with nodes.open_client(routing_scope=scope) as client:
        await client.refresh()
        listed = ring(client)
        for node in nodes:
            node.lists()
        del nodes.requests[:]
        with pytest.raises(DiscoveryError):
            await client.refresh()
        assert (len(asked(nodes)), ring(client)) == (1, listed)
        for node in nodes:
            node.lists(host(2))
        await client.refresh()
        assert ring(client) == (2,)


@pytest.mark.parametrize("scope", [DC1, RACK1], ids=str)
async def test_l1_a_scope_that_was_never_there_leaves_the_seeds(autojump_clock, two_datacenters, scope):
    """Nothing else is known: the seeds serve requests until the scope has nodes."""
    nodes = two_datacenters
    for number in (1, 2, 3):
        nodes[host(number)].stop()
    async with nodes.open_client(*nodes.seeds[3:], routing_scope=scope) as client:
        with pytest.raises(DiscoveryError):
            await client.refresh()
        await get(client, 4)
        assert set(served(nodes)) == {4, 5}
        nodes[0].start()
        await client.refresh()
        assert ring(client) == (1,)


async def test_l1_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled while empty answers come in: nothing is left, and a new client finds the same."""

    async def scenario():
        nodes.listed = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        async with nodes.open_client() as client:
            await client.refresh()
            nodes.listed = []
            with pytest.raises(DiscoveryError):
                await client.refresh()
            assert endpoints(client) == ALL

    await cancel_in_the_middle(scenario, nodes)


@pytest.mark.parametrize("scope", [DC1, RACK1], ids=str)
async def test_l1_in_a_scope_cancelled_in_the_middle(autojump_clock, two_datacenters, scope):
    """The same in a datacenter and in a rack."""
    nodes = two_datacenters
    everybody = list(nodes.listed)

    async def scenario():
        nodes.listed = list(everybody)
        async with nodes.open_client(routing_scope=scope) as client:
            await client.refresh()
            nodes.listed = []
            with pytest.raises(DiscoveryError):
                await client.refresh()
            assert ring(client)

    await cancel_in_the_middle(scenario, nodes)

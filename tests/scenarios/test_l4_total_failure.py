"""L4: a refresh in which every attempt fails leaves the node list as it is."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import DiscoveryError
from alternator_trio.testing import Answer, Hang, Reset
from tests.routing.world import CHAIN, CLUSTER, DC1, RACK1, TOPOLOGY, ring
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scripted_nodes import ScriptedNodes

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


def hosts(client):
    return tuple(node.host for node in client.nodes())


def break_all(nodes, how):
    for node in nodes:
        if how == "refused":
            node.kill()
        elif how == "unreachable":
            node.cut()
            node.black_hole()
        else:
            fault = {"reset": Reset(), "silent": Hang(), "503": Answer(status=503)}[how]
            node.fail_next(fault, times=100, operation="localnodes")


async def refresh_fails(nodes, client):
    """Within five seconds, and each node is named once."""
    began = trio.current_time()
    with pytest.raises(DiscoveryError) as caught:
        await client.refresh()
    assert trio.current_time() - began <= 5.01
    assert sorted(candidate for candidate, _ in caught.value.failures) == [node.url for node in nodes]


@pytest.mark.parametrize("how", ["refused", "unreachable", "reset", "silent", "503"])
async def test_l4_the_list_stays_when_nobody_answers(autojump_clock, nodes, how):
    """All three fail in the same way: the error names each of them, within five seconds, and the list is unchanged."""
    async with nodes.open_client() as client:
        await client.refresh()
        break_all(nodes, how)
        await refresh_fails(nodes, client)
        assert hosts(client) == HOSTS


async def test_l4_background_refreshes_fail_without_harm(autojump_clock, nodes):
    """Discovery fails for a minute beside the load: every request succeeds on the old list, no actor crashes."""
    async with nodes.open_client() as client:
        await client.refresh()
        break_all(nodes, "503")
        for number in range(120):
            await client.get_item(TableName="users", Key={"id": {"S": str(number)}})
            await trio.sleep(0.5)
        assert hosts(client) == HOSTS
        assert (client.statistics().failed, client.statistics().crashes) == (0, 0)
    assert {request.host for request in nodes.requests_of("GetItem")} == set(HOSTS)
    assert len(nodes.requests_of("localnodes")) > 60


async def test_l4_the_next_refresh_that_succeeds_counts(autojump_clock, nodes):
    """After total failure nothing has to be reset: the next answer is taken."""
    async with nodes.open_client() as client:
        await client.refresh()
        for node in nodes:
            node.kill()
        with pytest.raises(DiscoveryError):
            await client.refresh()
        nodes[2].accept()
        nodes.listed = ["10.0.0.3"]
        await client.refresh()
        assert hosts(client) == ("10.0.0.3",)


@pytest.mark.parametrize("how", ["refused", "unreachable", "reset", "silent", "503"])
@pytest.mark.parametrize("scope", [DC1, RACK1, CHAIN], ids=lambda scope: "+".join(map(str, scope.chain)))
async def test_l4_list_and_scope_stay(autojump_clock, scope, how):
    """With fallbacks or without: each node fails once and is named once, and the scope in force stays so."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes, nodes.open_client(routing_scope=scope) as client:
        await client.refresh()
        before = (ring(client), client.routing_scope)
        break_all(nodes, how)
        await refresh_fails(nodes, client)
        assert (ring(client), client.routing_scope) == before


async def test_l4_a_fallback_in_force_stays(autojump_clock):
    """The cluster is in force for want of the datacenter when everything fails: it stays, with its list."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes, nodes.open_client(routing_scope=CHAIN) as client:
        nodes.listed = nodes.listed[3:]
        await client.refresh()
        break_all(nodes, "503")
        for _ in range(3):
            with pytest.raises(DiscoveryError):
                await client.refresh()
            assert (ring(client), client.routing_scope) == ((4, 5), CLUSTER)


async def test_l4_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled while everything fails: nothing is left."""

    async def scenario():
        for node in nodes:
            node.accept()
        async with nodes.open_client() as client:
            await client.refresh()
            for node in nodes:
                node.black_hole()
            with pytest.raises(DiscoveryError):
                await client.refresh()
            assert hosts(client) == HOSTS

    await cancel_in_the_middle(scenario, nodes, moments=10)


async def test_l4_along_a_chain_cancelled_in_the_middle(autojump_clock):
    """The same with fallbacks."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes:

        async def scenario():
            for node in nodes:
                node.accept()
            async with nodes.open_client(routing_scope=CHAIN) as client:
                await client.refresh()
                for node in nodes:
                    node.black_hole()
                with pytest.raises(DiscoveryError):
                    await client.refresh()
                assert ring(client) == (1, 2)

        await cancel_in_the_middle(scenario, nodes, moments=10)

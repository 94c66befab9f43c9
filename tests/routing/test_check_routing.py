"""`client.check_routing()`: whether the cluster knows the datacenter and the rack, and filters by racks at all."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import ClientClosedError, DiscoveryError, RoutingScope
from alternator_trio._routing_check import check_routing
from alternator_trio.testing import Answer, Hang, Reset
from tests.routing.world import CHAIN, CLUSTER, DC1, RACK1, asked, host, questions, ring, url


@pytest.mark.parametrize(
    ("scope", "datacenter_known", "rack_known", "filters_racks"),
    [
        (CLUSTER, None, None, None),
        (DC1, True, None, True),
        (RACK1, True, True, True),
        (CHAIN, True, True, True),
        (RoutingScope.rack("dc1", "rack9"), True, False, True),
        (RoutingScope.datacenter("dc9"), False, None, True),
        (RoutingScope.rack("dc9", "rack1"), False, False, True),
        (RoutingScope.rack("dc2", "rack2"), True, False, True),
        (RoutingScope.rack("dc9", "rack9").with_fallback(DC1), False, False, True),
    ],
    ids=str,
)
async def test_what_the_cluster_knows(autojump_clock, nodes, scope, datacenter_known, rack_known, filters_racks):
    """Known and unknown names, of the preferred scope alone."""
    async with nodes.open_client(routing_scope=scope) as client:
        check = await client.check_routing()
    assert (check.scope, check.node in nodes.seeds) == (str(scope), True)
    assert (check.datacenter_known, check.rack_known, check.filters_racks) == (
        datacenter_known,
        rack_known,
        filters_racks,
    )


@pytest.mark.parametrize("scope", [RACK1, RoutingScope.rack("dc1", "rack9")], ids=str)
async def test_a_server_that_ignores_the_parameters_is_seen(autojump_clock, nodes, scope):
    """It lists nodes of a rack that does not exist: what it says about the other names is worth nothing."""
    nodes.ignores_parameters = True
    async with nodes.open_client(routing_scope=scope) as client:
        assert (await client.check_routing()).filters_racks is False


async def check_among_seeds(client, scope):
    """The check with no refresh beside it. (A client that does not discover refuses to be given a scope.)"""
    runtime = client._runtime
    return await check_routing(scope, runtime.config.seed_nodes, runtime.questions.ask_localnodes)


async def test_it_asks_one_node_three_times(autojump_clock, nodes):
    """For the datacenter, for its rack, and for a rack that no cluster has."""
    async with nodes.open_client(discovery=False) as client:
        check = await check_among_seeds(client, RACK1)
    numbers, rack = {number for number, _ in asked(nodes)}, questions(nodes)[-1][1]
    assert numbers == {int(check.node[-6])}
    assert questions(nodes) == [("dc1", None), ("dc1", "rack1"), ("dc1", rack)]
    assert rack not in {"rack1", "rack2", None}


async def test_nothing_is_remembered(autojump_clock, nodes):
    """A rack that comes to be is known at the next call, and refreshes ask for nothing but their scope."""
    nodes[0].stop()
    nodes[1].stop()
    async with nodes.open_client(url(3), routing_scope=RACK1) as client:
        await trio.sleep(1)
        assert not (await client.check_routing()).rack_known
        nodes[0].start()
        assert (await client.check_routing()).rack_known
        del nodes.requests[:]
        await client.refresh()
    assert questions(nodes) == [("dc1", "rack1")]


@pytest.mark.parametrize(
    "fault",
    [Reset(), Answer(status=500), Answer(status=200, body=b"{}"), Hang(), None],
    ids=["reset", "500", "object", "silent", "refused"],
)
async def test_the_next_node_is_asked_when_one_fails(autojump_clock, nodes, fault):
    """In whatever way: what the first one did not say the second says whole."""
    async with nodes.open_client(url(1), url(2), discovery=False) as client:
        if fault is None:
            nodes[0].kill()
        else:
            nodes[0].fail_next(fault, times=10**6, operation="localnodes")
        check = await check_among_seeds(client, RACK1)
        assert trio.current_time() <= 5.01
    assert (check.node, check.rack_known, check.filters_racks) == (url(2), True, True)


async def test_one_that_fails_half_way_is_not_half_believed(autojump_clock, nodes):
    """Nothing is concluded from one node about another: the second answers all the questions anew."""
    async with nodes.open_client(url(1), url(2), discovery=False) as client:
        nodes[0].fail_next(Answer(status=200, body=b"[]"), operation="localnodes")
        nodes[0].fail_next(Reset(), times=10**6, operation="localnodes")
        check = await check_among_seeds(client, RACK1)
    assert (check.node, check.datacenter_known, check.rack_known) == (url(2), True, True)
    assert questions(nodes)[2:4] == [("dc1", None), ("dc1", "rack1")]


async def test_nobody_answers(autojump_clock, nodes):
    """The error names each node that was asked, seeds included."""
    async with nodes.open_client(url(5), routing_scope=DC1) as client:
        await client.refresh()
        for node in nodes:
            node.kill()
        with pytest.raises(DiscoveryError) as caught:
            await client.check_routing()
    assert sorted(candidate for candidate, _ in caught.value.failures) == [url(number) for number in (1, 2, 3, 5)]


async def test_nodes_that_are_down_are_asked_last(autojump_clock, nodes):
    """An answer is an answer, but one from a node that is well comes sooner."""
    async with nodes.open_client(routing_scope=DC1) as client:
        await client.refresh()
        del nodes.requests[:]
        await client.check_routing()
        assert asked(nodes)[0][0] in ring(client)


async def test_a_closed_client_asks_nobody(autojump_clock, nodes):
    """It says that it is closed."""
    async with nodes.open_client(routing_scope=DC1) as client:
        pass
    del nodes.requests[:]
    with pytest.raises(ClientClosedError):
        await client.check_routing()
    assert nodes.requests == []


async def test_it_can_be_cancelled(autojump_clock, nodes):
    """In the middle of a silent node; no connection is left in use."""
    for node in nodes:
        node.fail_next(Hang(), times=10**6, operation="localnodes")
    async with nodes.open_client(url(1), discovery=False) as client:
        with trio.move_on_after(1) as scope:
            await check_among_seeds(client, DC1)
        assert scope.cancelled_caught
        assert client.statistics().connections_leased == 0
        assert nodes[host(1)].open_connections == 0

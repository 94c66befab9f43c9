"""Probes: who is probed when, how many at a time, and what a crash in the middle of one leaves."""

from __future__ import annotations

import itertools

import pytest
import trio

from alternator_trio import NodeHealth
from alternator_trio.testing import Answer, Hang, Reset
from tests.routing.world import (
    CHAIN,
    DC1,
    RACK1,
    Dials,
    Events,
    all_active,
    bring_down,
    crowd,
    get,
    host,
    probes,
    ring,
    settle,
    states,
    url,
)
from tests.scripted_nodes import Late, ScriptedNodes

BROKEN = Answer(status=500)
FOREVER = 10**6


def opened(nodes, *seeds, **options):
    """A client of dc1, so that refreshes and probes can be told apart; it refreshes when it is told to."""
    options = {
        "node_health": NodeHealth(),
        "routing_scope": DC1,
        "active_interval": 3600.0,
        "idle_interval": 3600.0,
        **options,
    }
    return nodes.open_client(*seeds, **options)


def near(*times):
    return [pytest.approx(time, abs=0.011) for time in times]


def gaps(times):
    return [later - earlier for earlier, later in itertools.pairwise(times)]


# When.


async def test_a_cluster_is_active_within_a_round_trip(autojump_clock, nodes):
    """Everything takes 100 ms: after the first answer all listed nodes are probed at once, and active 100 ms later."""
    for node in nodes:
        node.delay = 0.1
    events = Events()
    async with opened(nodes, url(1), instruments=[events]) as client:
        await trio.sleep(0.21)
        assert states(client) == {1: "ACTIVE", 2: "ACTIVE", 3: "ACTIVE"}
    assert [events.when(number, "ACTIVE") for number in (1, 2, 3)] == [near(0.1), near(0.2), near(0.2)]
    assert [probes(nodes, number) for number in (1, 2, 3)] == [[], near(0.1), near(0.1)]


async def test_an_active_node_is_not_probed(autojump_clock, nodes):
    """Not once in an hour."""
    async with opened(nodes) as client:
        await all_active(client)
        before = len(nodes.requests)
        await trio.sleep(3599)
        assert len(nodes.requests) == before


async def test_a_node_that_went_down_is_probed_ever_more_seldom(autojump_clock, nodes):
    """After a quarter of a second, then twice as long after each failure, up to half a minute."""
    dials = Dials(nodes)
    async with opened(nodes, dial=dials) as client:
        await all_active(client)
        await trio.sleep(1)
        await bring_down(nodes, client, 2)
        down = trio.current_time()
        await trio.sleep(160)
        times = [at - down for at in dials.to(2, since=down + 0.001)]
    assert times == near(0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 31.75, 61.75, 91.75, 121.75, 151.75)


async def test_after_a_success_it_is_probed_again_soon(autojump_clock, nodes):
    """Found alive after a minute: three probes to quarantine and a fourth to be active, a quarter of a second apart."""
    events = Events()
    async with opened(nodes, instruments=[events]) as client:
        await all_active(client)
        await bring_down(nodes, client, 2)
        await trio.sleep(60)
        nodes[1].accept()
        before = len(probes(nodes, 2))
        await trio.sleep(35)
        assert gaps(probes(nodes, 2)[before:]) == near(0.25, 0.25, 0.25)
        assert (states(client)[2], client.node_health()[url(2)].generation) == ("ACTIVE", 1)
        (quarantined,) = [at for at in events.when(2, "QUARANTINED") if at > 1]
        assert events.when(2, "ACTIVE")[-1] - quarantined == pytest.approx(0.25)


async def test_a_failed_probe_begins_recovery_anew(autojump_clock, nodes):
    """Two successes and a failure: three more successes are needed."""
    async with opened(nodes) as client:
        await all_active(client)
        await bring_down(nodes, client, 2)
        nodes[1].accept()
        for fault in (Late(seconds=0), Late(seconds=0), BROKEN):
            nodes[1].fail_next(fault, operation="localnodes")
        while states(client)[2] == "DOWN":
            await trio.sleep(0.01)
        assert len(probes(nodes, 2)) == 1 + 3 + 3  # the first when it appeared


async def test_it_is_probed_without_traffic_and_with_it_alike(autojump_clock, nodes):
    """Requests to the others neither hasten probes nor put them off."""
    dials = Dials(nodes)
    async with opened(nodes, dial=dials) as client:
        await all_active(client)
        await bring_down(nodes, client, 2)
        down = trio.current_time()
        while trio.current_time() < down + 20:
            await get(client)
            await trio.sleep(0.01)
        assert [at - down for at in dials.to(2, since=down + 0.001)] == near(0.25, 0.75, 1.75, 3.75, 7.75, 15.75)


async def test_while_no_node_is_routable_all_are_probed_often(autojump_clock, nodes):
    """All three are down: each is probed every quarter of a second, for as long as it takes."""
    dials = Dials(nodes)
    async with opened(nodes, url(1), dial=dials) as client:
        await all_active(client)
        for number in (1, 2, 3):
            nodes[host(number)].kill()
        while set(states(client).values()) != {"DOWN"}:
            await crowd(client, 3)
        began = trio.current_time()
        await trio.sleep(60)
        for number in (1, 2, 3):
            times = dials.to(number, since=began + 1)
            assert 230 <= len(times) <= 240
            assert max(gaps(times)) <= 0.2501
        nodes[2].accept()
        await trio.sleep(1.01)
        assert states(client)[3] == "ACTIVE"
        # From then on the others are probed as nodes that are down beside one that is not.
        times = dials.to(1, since=trio.current_time())
        await trio.sleep(100)
        assert len(dials.to(1, since=trio.current_time() - 100)) <= 9


async def test_a_preferred_scope_that_is_waited_for_is_probed_often(autojump_clock, nodes):
    """The datacenter is in force for want of the rack: the rack's nodes every quarter of a second, others as usual."""
    dials = Dials(nodes)
    async with opened(nodes, routing_scope=CHAIN, dial=dials) as client:
        await all_active(client)
        await bring_down(nodes, client, 1, 2)
        assert client.routing_scope == DC1
        began = trio.current_time()
        await trio.sleep(60)
        for number in (1, 2):
            times = dials.to(number, since=began + 1)
            assert 230 <= len(times) <= 240
        nodes[0].accept()
        await trio.sleep(1.01)
        assert client.routing_scope == RACK1
        began = trio.current_time()
        await trio.sleep(100)
        assert len(dials.to(2, since=began)) <= 9


async def test_a_node_in_quarantine_beside_active_ones_is_probed_seldom(autojump_clock, nodes):
    """It has appeared and answers no probe: at once, and then every half minute."""
    nodes[1].fail_next(BROKEN, times=FOREVER, operation="localnodes")
    async with opened(nodes, url(1)) as client:
        await client.refresh()
        await trio.sleep(100)
        assert states(client)[2] == "QUARANTINED"
    assert probes(nodes, 2) == near(0, 30, 60, 90)


async def test_a_node_that_appears_again_is_probed_at_once(autojump_clock, nodes):
    """It was in quarantine when it left the list: back on it, it does not wait for its half minute."""
    nodes[1].fail_next(BROKEN, times=FOREVER, operation="localnodes")
    async with opened(nodes, url(1)) as client:
        await client.refresh()
        await trio.sleep(5)
        nodes.listed.remove(host(2))
        await client.refresh()
        await trio.sleep(5)
        nodes.listed.append(host(2))
        await client.refresh()
        await trio.sleep(1)
        assert ring(client) == (1, 2, 3)
    assert probes(nodes, 2) == near(0, 10)


async def test_a_probe_that_takes_minutes_is_not_joined_by_another(autojump_clock, nodes):
    """A silent node and a user who gives probes ten minutes: one probe of it is under way, and no second."""
    nodes[1].fail_next(Hang(), times=FOREVER, operation="localnodes")
    async with opened(nodes, url(1), node_health=NodeHealth(probe_timeout=600.0)) as client:
        await client.refresh()
        await trio.sleep(300)
    assert probes(nodes, 2) == near(0)


async def test_a_node_that_has_left_is_not_probed(autojump_clock, nodes):
    """Nobody lists it: nobody waits for it."""
    dials = Dials(nodes)
    async with opened(nodes, url(1), dial=dials) as client:
        await all_active(client)
        await bring_down(nodes, client, 2)
        nodes[1].stop()
        await client.refresh()
        left = trio.current_time()
        await trio.sleep(60)
        assert dials.to(2, since=left + 0.001) == []


async def test_seeds_that_nobody_lists_are_not_probed_for_traffic(autojump_clock, nodes):
    """A seed of another datacenter is a contact for refreshes, and nothing else."""
    async with opened(nodes, url(1), url(5)) as client:
        await all_active(client)
        await trio.sleep(100)
    assert probes(nodes, 5) == []


# What counts.


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(status=200, body=b"[]"), "ACTIVE"),
        (Answer(status=200, body=b"<html>"), "ACTIVE"),
        (Answer(status=404), "QUARANTINED"),
        (Answer(status=500), "QUARANTINED"),
        (Answer(status=302, headers=(("Location", "/localnodes"),)), "QUARANTINED"),
        (Reset(), "QUARANTINED"),
        (Hang(), "QUARANTINED"),
    ],
    ids=["empty list", "no list", "404", "500", "302", "reset", "silent"],
)
async def test_a_probe_succeeds_with_200(autojump_clock, nodes, answer, state):
    """Whatever the body: it is the node's reachability that is asked for."""
    nodes[1].fail_next(answer, times=FOREVER, operation="localnodes")
    async with opened(nodes, url(1)) as client:
        await client.refresh()
        await trio.sleep(6)
        assert states(client)[2] == state


async def test_a_probe_has_its_own_timeout(autojump_clock, nodes):
    """A node is silent: a probe is given up after a second, and the next follows a quarter of one later."""
    async with opened(nodes, url(4), node_health=NodeHealth(probe_timeout=1.0)) as client:
        await all_active(client)
        for number in (1, 2, 3):
            nodes[host(number)].kill()
        while states(client) != {1: "DOWN", 2: "DOWN", 3: "DOWN", 4: "ACTIVE"}:
            await crowd(client, 3)
        nodes[1].accept()
        nodes[1].fail_next(Hang(), times=FOREVER, operation="localnodes")
        before = len(probes(nodes, 2))
        await trio.sleep(10)
        assert gaps(probes(nodes, 2)[before:]) == near(*[1.25] * 7)


# How many.


async def test_one_probe_per_node_at_a_time(autojump_clock, nodes):
    """No node is routable and one is slow: it has one probe in flight, although it would be due every 250 ms."""
    async with opened(nodes, url(4)) as client:
        await all_active(client)
        for number in (1, 2, 3):
            nodes[host(number)].kill()
        while list(states(client).values()).count("DOWN") < 3:
            await crowd(client, 3)
        nodes[1].accept()
        nodes[1].fail_next(Late(seconds=3.0), times=FOREVER, operation="localnodes")
        before = len(probes(nodes, 2))
        await trio.sleep(8)
        assert gaps(probes(nodes, 2)[before:]) == near(3.25, 3.25)[: len(probes(nodes, 2)[before:]) - 1]


@pytest.mark.parametrize(("concurrency", "seconds"), [(1, 19), (4, 5), (64, 1)])
async def test_probes_are_bounded(autojump_clock, concurrency, seconds):
    """Nineteen nodes appear and take a second to answer each: never more than the bound at once, and all of them."""
    hosts = [host(number) for number in range(1, 21)]
    async with ScriptedNodes(hosts) as nodes:
        for node in list(nodes)[1:]:
            node.fail_next(Late(seconds=1.0), operation="localnodes")
        health = NodeHealth(probe_concurrency=concurrency)
        async with opened(nodes, nodes[0].url, node_health=health) as client:
            await client.refresh()
            for second in range(seconds):
                await settle()
                begun = sum(len(node.requests_of("localnodes")) for node in list(nodes)[1:])
                assert begun == min(19, concurrency * (second + 1))
                await trio.sleep(1)
            await settle()
            assert set(states(client).values()) == {"ACTIVE"}


async def test_a_probe_that_finds_no_connection_is_made_later(autojump_clock, nodes):
    """The pool is full when a node appears: it is not blamed, and probed as soon as there is room."""
    nodes.listed = [host(1), host(3)]
    options = {"max_connections": 2, "acquire_timeout": 0.5, "attempt_timeout": 60.0}
    async with opened(nodes, url(1), **options) as client:
        await all_active(client)
        for number in (1, 3):
            nodes[host(number)].fail_next(Late(seconds=5.0), operation="GetItem")
            nodes[host(number)].fail_next(Late(seconds=0.1), operation="localnodes")
        nodes.listed.append(host(2))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(get, client)
            await settle()
            nursery.start_soon(client.refresh)
            await settle()
            nursery.start_soon(get, client)  # it gets the connection on which the refresh finds the new node
            await trio.sleep(4.9)
            assert (states(client)[2], probes(nodes, 2)) == ("QUARANTINED", [])
        await trio.sleep(0.8)
        assert (states(client)[2], client.node_health()[url(2)].generation) == ("ACTIVE", 0)
    assert len(probes(nodes, 2)) == 1


# Crashes.


async def test_a_crash_amid_probes_leaves_no_mark(autojump_clock, nodes, crash):
    """Discovery crashes while new nodes are being probed: after its restart they are probed at once, and active."""
    for number in (2, 3):
        nodes[host(number)].fail_next(Hang(), operation="localnodes")
    async with opened(nodes, url(1)) as client:
        await trio.sleep(0.2)
        assert states(client) == {1: "ACTIVE", 2: "QUARANTINED", 3: "QUARANTINED"}
        crash(client._runtime.discovery_inbox)
        await trio.sleep(1)
        assert states(client) == {1: "ACTIVE", 2: "ACTIVE", 3: "ACTIVE"}
        assert client.statistics().connections_leased == 0
    assert len(probes(nodes, 2)) == 2


async def test_a_crash_amid_a_probe_of_a_dead_node_blames_nobody(autojump_clock, nodes, crash):
    """Its probe died with the actor, and is made again; recovery goes on from where it was."""
    async with opened(nodes, url(1)) as client:
        await all_active(client)
        await bring_down(nodes, client, 2)
        nodes[1].accept()
        for fault in (Late(seconds=0), Late(seconds=0), Hang()):
            nodes[1].fail_next(fault, operation="localnodes")
        while client.node_health()[url(2)].successes < 2:
            await trio.sleep(0.01)
        await trio.sleep(0.3)
        crash(client._runtime.discovery_inbox)
        await trio.sleep(0.5)
        assert states(client)[2] == "QUARANTINED"
        await trio.sleep(0.5)
        assert states(client)[2] == "ACTIVE"


async def test_the_registrys_crash_keeps_probes_going(autojump_clock, nodes, crash):
    """It goes on from its last good state, probes in flight included."""
    async with opened(nodes, url(1)) as client:
        await all_active(client)
        await bring_down(nodes, client, 2)
        nodes[1].accept()
        nodes[1].fail_next(Late(seconds=0.5), operation="localnodes")
        await trio.sleep(0.4)
        crash(client._runtime.registry_inbox)
        await trio.sleep(2)
        assert states(client)[2] == "ACTIVE"

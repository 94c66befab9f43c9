"""Discovery: its cadence, whom it asks and when, who waits for it, and what a crash leaves."""

from __future__ import annotations

import collections
import itertools
import logging

import pytest
import trio
import trio.testing

from alternator_trio import ClientClosedError, DiscoveryError, RetryPolicy, RoutingScope
from alternator_trio._actors.discovery import Discovery
from alternator_trio._actors.messages import RefreshWanted
from alternator_trio.testing import Answer, Hang, Reset
from tests.scripted_nodes import Late, ScriptedNodes, answer_json
from tests.users import KEY


def times(nodes):
    """When ``/localnodes`` was asked, anywhere."""
    return [pytest.approx(request.at, abs=0.01) for request in nodes.requests_of("localnodes")]


def hosts(client):
    return tuple(node.host for node in client.nodes())


async def get(client):
    await client.get_item(TableName="users", Key=KEY)


async def get_every(client, seconds, until):
    while trio.current_time() < until:
        await get(client)
        await trio.sleep(seconds)


# Cadence.


async def test_the_first_refresh_begins_with_the_client(autojump_clock, nodes):
    """Nobody has to ask for it."""
    async with nodes.open_client():
        await trio.sleep(1)
        assert times(nodes) == [0]


async def test_while_requests_flow_refreshes_keep_the_active_interval(autojump_clock, nodes):
    """A request every 20 ms: one refresh per second, with the first request after it, and not one more."""
    async with nodes.open_client() as client:
        await get_every(client, 0.02, until=10.5)
        gaps = [later.at - earlier.at for earlier, later in _pairs(nodes.requests_of("localnodes"))]
    assert len(gaps) == 10
    assert all(1.0 <= gap <= 1.021 for gap in gaps)


async def test_while_no_request_flows_refreshes_keep_the_idle_interval(autojump_clock, nodes):
    """An idle client asks once a minute."""
    async with nodes.open_client():
        await trio.sleep(185)
        assert times(nodes) == [0, 60, 120, 180]


async def test_the_intervals_are_those_of_the_configuration(autojump_clock, nodes):
    """Both can be chosen."""
    async with nodes.open_client(active_interval=4.0, idle_interval=20.0) as client:
        await trio.sleep(45)
        assert times(nodes) == [0, 20, 40]
        await get_every(client, 0.1, until=53.0)
        assert times(nodes)[3:] == [45, 49, 53][:2]


async def test_the_first_request_after_an_idle_time_wakes_it(autojump_clock, nodes):
    """A single request, half a minute after the last refresh, begins another; the idle interval counts from there."""
    async with nodes.open_client() as client:
        await trio.sleep(30)
        await get(client)
        await trio.sleep(70)
        assert times(nodes) == [0, 30, 90]


async def test_a_request_soon_after_a_refresh_begins_none(autojump_clock, nodes):
    """Within the active interval the node list is fresh enough."""
    async with nodes.open_client() as client:
        await trio.sleep(0.9)
        await get(client)
        await trio.sleep(10)
        assert times(nodes) == [0]


async def test_requests_do_not_wait_for_it(autojump_clock, nodes):
    """A refresh that takes seconds delays no request."""
    for node in nodes:
        node.fail_next(Late(seconds=4.0), operation="localnodes")
    async with nodes.open_client() as client:
        await get(client)
        assert trio.current_time() == pytest.approx(0)


async def test_without_discovery_nobody_is_asked(autojump_clock, nodes):
    """`discovery=False`: no ``/localnodes``, ever; a refresh is the seeds at once."""
    async with nodes.open_client(discovery=False) as client:
        await get_every(client, 1.0, until=90)
        assert len(await client.refresh()) == 3
        assert times(nodes) == []


# Whom it asks, and when.


async def test_a_silent_node_is_hedged_after_half_a_second(autojump_clock):
    """All are silent: the next is asked every 500 ms, and from the fourth on takes the place of the last of three."""
    async with ScriptedNodes(5) as nodes:
        for node in nodes:
            node.fail_next(Hang(), operation="localnodes")
        async with nodes.open_client() as client:
            leased = []
            for _ in range(49):
                await trio.sleep(0.1)
                leased.append(client.statistics().connections_leased)
            assert times(nodes) == [0, 0.5, 1.0, 1.5, 2.0]
            assert max(leased) == 3


async def test_silent_nodes_do_not_keep_the_others_from_being_asked(autojump_clock):
    """Six of seven are silent, whoever they are: the seventh is asked within three seconds, and answers."""
    for well in range(7):
        async with ScriptedNodes(7) as nodes:
            for node in nodes:
                if node is not nodes[well]:
                    node.fail_next(Hang(), operation="localnodes")
            nodes[well].lists("10.0.0.9")
            began = trio.current_time()
            async with nodes.open_client(active_interval=60.0, routing_scope=RoutingScope.datacenter("dc1")) as client:
                await client.refresh()
                assert trio.current_time() - began <= 3.01
                assert hosts(client) == ("10.0.0.9",)


async def test_when_all_are_slow_the_first_are_waited_for(autojump_clock):
    """Twelve nodes that take three seconds each: the answer of the first is there after three seconds."""
    async with ScriptedNodes(12) as nodes:
        for node in nodes:
            node.fail_next(Late(seconds=3.0), operation="localnodes")
        async with nodes.open_client() as client:
            await client.refresh()
            assert trio.current_time() == pytest.approx(3.0)


async def test_those_who_were_asked_first_are_waited_for_to_the_end(autojump_clock):
    """All are silent: of three in flight the latest gives way to the next, and never one of the first two."""
    async with ScriptedNodes(6) as nodes:
        for node in nodes:
            node.fail_next(Hang(), times=100, operation="localnodes")
        async with nodes.open_client() as client:
            with pytest.raises(DiscoveryError) as caught:
                await client.refresh()
        asked = [f"http://{request.host}:8000" for request in nodes.requests_of("localnodes")]
    given_up = [url for url, reason in caught.value.failures if reason == "no answer within 0.5 s"]
    assert given_up == asked[2:5]


async def test_an_answer_that_covers_all_ends_the_refresh(autojump_clock, nodes):
    """All answer after 700 ms, so that one was hedged: the first answer ends the refresh, and nobody is waited for."""
    for node in nodes:
        node.fail_next(Late(seconds=0.7), operation="localnodes")
    async with nodes.open_client() as client:
        await client.refresh()
        assert trio.current_time() == pytest.approx(0.7)
        assert times(nodes) == [0, 0.5]
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().connections_leased == 0


async def test_every_node_that_no_answer_covers_is_asked(autojump_clock, nodes):
    """Answers that list only part of the candidates are united; a node that one of them covers is not asked again."""
    nodes["10.0.0.1"].lists("10.0.0.1", "10.0.0.2")
    nodes["10.0.0.2"].lists("10.0.0.1", "10.0.0.2")
    nodes["10.0.0.3"].lists("10.0.0.3", "10.0.0.4")
    async with nodes.open_client() as client:
        await client.refresh()
        assert hosts(client) == ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
    assert len(nodes.requests_of("localnodes")) == 2


async def test_a_failed_node_is_passed_over_at_once(autojump_clock, nodes):
    """Two nodes fail: the third is asked without any delay."""
    for node in (nodes[0], nodes[1]):
        node.fail_next(Answer(status=500), times=100, operation="localnodes")
    async with nodes.open_client() as client:
        await client.refresh()
        assert trio.current_time() == pytest.approx(0)


async def test_a_refresh_ends_within_five_seconds(autojump_clock):
    """Twelve silent nodes: the refresh gives up at five seconds and says of each what became of it."""
    async with ScriptedNodes(12) as nodes:
        for node in nodes:
            node.fail_next(Hang(), times=100, operation="localnodes")
        async with nodes.open_client() as client:
            with pytest.raises(DiscoveryError) as caught:
                await client.refresh()
            assert trio.current_time() == pytest.approx(5.0)
        reasons = dict(caught.value.failures)
        assert reasons.keys() == {node.url for node in nodes}
        assert collections.Counter(reasons.values()) == {
            "no answer within 5 s": 3,
            "no answer within 0.5 s": 7,
            "not asked: no answer within 5 s from others": 2,
        }


async def test_the_time_is_up_but_an_answer_is_there(autojump_clock):
    """One node answered, another, which that answer does not cover, is silent: at five seconds the answer counts."""
    async with ScriptedNodes(["10.0.0.1", "10.0.0.2"]) as nodes:
        nodes[0].lists("10.0.0.1")
        nodes[1].fail_next(Hang(), times=100, operation="localnodes")
        async with nodes.open_client() as client:
            ring = await client.refresh()
            assert trio.current_time() == pytest.approx(5.0)
            assert [node.host for node in ring] == ["10.0.0.1"]


async def test_the_error_names_every_candidate_and_why(autojump_clock):
    """Each node fails in its own way, and the error says which in which."""
    async with ScriptedNodes(4) as nodes:
        nodes[0].refuse()
        nodes[1].fail_next(Answer(status=503), times=9, operation="localnodes")
        nodes[2].fail_next(Answer(status=200, body=b"{}"), times=9, operation="localnodes")
        nodes[3].lists()
        async with nodes.open_client() as client:
            with pytest.raises(DiscoveryError) as caught:
                await client.refresh()
    reasons = dict(caught.value.failures)
    assert "refused" in reasons[nodes[0].url]
    assert "503" in reasons[nodes[1].url]
    assert "not a node list" in reasons[nodes[2].url]
    assert "empty" in reasons[nodes[3].url]
    assert all(f"{url}: {reason}" in str(caught.value) for url, reason in reasons.items())


async def test_that_there_is_no_node_list_is_logged_when_it_changes(autojump_clock, caplog):
    """Three refreshes find nothing, two find a list: one warning that says why, and one line that it is over."""
    caplog.set_level(logging.INFO, logger="alternator_trio")
    async with ScriptedNodes(1) as nodes:
        nodes[0].fail_next(Answer(status=503), times=3, operation="localnodes")
        async with nodes.open_client() as client:
            for _ in range(3):
                with pytest.raises(DiscoveryError):
                    await client.refresh()
            for _ in range(2):
                await client.refresh()
    logged = [(record.levelname, record.message) for record in caplog.records if "node list" in record.message]
    assert [level for level, _ in logged] == ["WARNING", "INFO"]
    assert f"{nodes[0].url}: " in logged[0][1]
    assert "503" in logged[0][1]
    assert "found again" in logged[1][1]


async def test_a_datacenter_that_dropped_out_comes_back(autojump_clock):
    """Its last good contact stays a candidate when no list names it any more and the seed that knew it is dead."""
    async with ScriptedNodes(["seed", "a1", "a2", "b1", "b2"]) as nodes:
        for host in ("a1", "a2"):
            nodes[host].lists("a1", "a2")
        for host in ("seed", "b1", "b2"):
            nodes[host].lists("b1", "b2")
        async with nodes.open_client(nodes["seed"].url, nodes["a1"].url) as client:
            await client.refresh()
            nodes["seed"].kill()
            await client.refresh()
            assert hosts(client) == ("a1", "a2", "b1", "b2")
            for host in ("b1", "b2"):
                nodes[host].kill()
            await client.refresh()
            assert hosts(client) == ("a1", "a2")
            for host in ("b1", "b2"):
                nodes[host].accept()
            await client.refresh()
            assert hosts(client) == ("a1", "a2", "b1", "b2")


# Who waits for it.


async def test_however_many_ask_there_is_one_refresh(autojump_clock, nodes):
    """A hundred callers get the answer of one request."""
    nodes[0].delay = nodes[1].delay = nodes[2].delay = 0.3
    async with nodes.open_client() as client:
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(client.refresh)
        assert times(nodes) == [0]


async def test_a_caller_joins_the_refresh_in_flight(autojump_clock, nodes):
    """Who comes in the middle of a refresh waits for its rest, not for another."""
    for node in nodes:
        node.fail_next(Late(seconds=0.4), operation="localnodes")
    async with nodes.open_client() as client:
        await trio.sleep(0.3)
        await client.refresh()
        assert trio.current_time() == pytest.approx(0.4)
        assert times(nodes) == [0]


async def test_a_caller_after_a_refresh_gets_another(autojump_clock, nodes):
    """`refresh` is not satisfied with what was found out before it was called."""
    async with nodes.open_client() as client:
        for _ in range(3):
            await client.refresh()
        assert len(times(nodes)) == 3


async def test_a_caller_who_leaves_takes_nothing_along(autojump_clock, nodes):
    """One of two callers is cancelled: the other one gets the list at the same time as it would have."""
    for node in nodes:
        node.fail_next(Late(seconds=0.4), operation="localnodes")
    async with nodes.open_client() as client, trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(client.refresh)
            nursery.start_soon(_cancel_at, scope, 0.2)
            await client.refresh()
        assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(0.4)
    assert times(nodes) == [0]


async def test_each_who_waits_for_a_refresh_that_fails_has_an_error_of_its_own(autojump_clock, nodes):
    """They say the same, and what one task makes of its error is not seen by another."""
    nodes.listed = []
    errors = []

    async def refresh():
        with pytest.raises(DiscoveryError) as caught:
            await client.refresh()
        errors.append(caught.value)

    async with nodes.open_client() as client, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(refresh)
    assert len({id(error) for error in errors}) == 5
    assert {error.failures for error in errors} == {errors[0].failures}
    assert len(errors[0].failures) == 3


async def test_consumed_plans_ask_for_one_refresh_per_tenth_of_a_second(autojump_clock, nodes):
    """Fifty requests fail at every node again and again for a second: eleven refreshes at most, for all of them."""
    for node in nodes:
        node.fail_next(Reset(), times=10**6)
    policy = RetryPolicy(max_attempts=1000, base_delay=0.001, max_delay=0.001)
    async with nodes.open_client(retry=policy) as client:
        client._runtime.quota.tokens = 10**9
        with trio.move_on_after(1.0):
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(get, client)
        gaps = [later.at - earlier.at for earlier, later in _pairs(nodes.requests_of("localnodes"))]
    assert 9 <= len(gaps) <= 10
    assert min(gaps) >= 0.0999


async def test_who_waits_when_the_block_ends_is_told(autojump_clock, nodes):
    """A refresh in a task outside the block ends with ClientClosedError, without waiting for the network."""
    for node in nodes:
        node.fail_next(Hang(), operation="localnodes")
    told = []

    async def refresh(client):
        with pytest.raises(ClientClosedError):
            await client.refresh()
        told.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        async with nodes.open_client() as client:
            nursery.start_soon(refresh, client)
            await trio.sleep(0.3)
    assert told == [pytest.approx(0.3)]


# Crashes.


async def test_a_crash_clears_the_mark_of_the_refresh_that_died_with_it(autojump_clock, nodes, crash):
    """Crashed amid a refresh, it begins another 100 ms later, and who waited is answered by that one."""
    nodes.respond = lambda request: answer_json({})
    for node in nodes:
        node.fail_next(Hang(), operation="localnodes")
    async with nodes.open_client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.refresh)
        await trio.sleep(0.2)
        for node in nodes:
            node.clear_faults()
        crash(client._runtime.discovery_inbox)
        await trio.sleep(0.05)
        assert client.statistics().connections_leased == 0  # what the dead refresh was doing ended with it
        await trio.sleep(0.05)
    assert trio.current_time() == pytest.approx(0.3)
    assert times(nodes) == [0, 0.3]


async def test_a_request_that_waits_for_a_refresh_lost_in_a_crash_goes_on(autojump_clock, nodes, caplog, monkeypatch):
    """Discovery crashes on the very message: a request whose plan is consumed begins another on the list in force."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")
    decide = Discovery.decide

    def crashing(self, state, message, now):
        if type(message) is RefreshWanted:
            raise RuntimeError("a bug")
        return decide(self, state, message, now)

    monkeypatch.setattr(Discovery, "decide", crashing)
    for node in nodes:
        node.fail_next(Reset())
    async with nodes.open_client() as client:
        await get(client)
        with pytest.raises(DiscoveryError, match="a bug") as caught:
            await client.refresh()
        assert isinstance(caught.value.__cause__, RuntimeError)


async def test_a_crash_keeps_the_cadence(autojump_clock, nodes, crash):
    """After a crash refreshes go on as before, idle and active."""
    async with nodes.open_client() as client:
        await trio.sleep(10)
        crash(client._runtime.discovery_inbox)
        await trio.sleep(60.2)
        assert times(nodes) == [0, 10.1, 70.1]
        await trio.sleep(1)
        await get(client)
        await trio.sleep(1)
        assert len(times(nodes)) == 4


async def test_a_crash_loop_is_slowed_down_and_costs_no_request(autojump_clock, nodes, crash):
    """It crashes whenever it is started, for two minutes: requests succeed, the delays double up to half a minute."""
    async with nodes.open_client() as client:
        await client.refresh()
        beginnings = []
        while trio.current_time() < 120:
            crashes = client.statistics().crashes
            crash(client._runtime.discovery_inbox)
            while client.statistics().crashes == crashes:  # until it runs, and reads
                await trio.sleep(0.05)
            beginnings.append(trio.current_time())
            await get(client)
        gaps = [later - earlier for earlier, later in _pairs(beginnings)]
        assert gaps[:6] == [pytest.approx(0.1 * 2**number, abs=0.11) for number in range(6)]
        assert max(gaps) == pytest.approx(30, abs=0.2)
        assert client.statistics().failed == 0


async def _cancel_at(scope, when):
    await trio.sleep_until(when)
    scope.cancel()


def _pairs(values):
    return list(itertools.pairwise(values))

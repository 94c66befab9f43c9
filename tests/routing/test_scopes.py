"""Scopes: whom a refresh asks for what, and which answers move it along the chain. Health is off, lists decide."""

from __future__ import annotations

import collections
import itertools

import pytest
import trio

from alternator_trio import DiscoveryError
from alternator_trio.testing import Answer, Close, Hang, Reset
from tests.routing.world import CHAIN, CLUSTER, DC1, DC2, RACK1, asked, get, host, questions, ring, served, settle, url
from tests.scripted_nodes import Late

MALFORMED = {
    "text": b"healthy",
    "object": b"{}",
    "null": b"null",
    "numbers": b"[1, 2]",
    "broken off": b'["10.0.0.1", "10.0',
    "nothing": b"",
}
FAILURES = {
    **{name: Answer(status=200, body=body) for name, body in MALFORMED.items()},
    "404": Answer(status=404, body=b'{"message": "Not found", "code": 404}'),
    "500": Answer(status=500, body=b'["10.0.0.9"]'),
    "204": Answer(status=204),
    "moved": Answer(status=307, headers=(("Location", "http://10.0.0.9:8000/localnodes"),), body=b'["10.0.0.9"]'),
    "reset": Reset(),
    "closed": Close(),
}


def fail_lists(nodes, *numbers, fault=FAILURES["500"]):
    for number in numbers:
        nodes[host(number)].fail_next(fault, times=10**6, operation="localnodes")


@pytest.mark.parametrize(
    ("scope", "question", "listed"),
    [(CLUSTER, (None, None), (1, 2, 3, 4, 5)), (DC1, ("dc1", None), (1, 2, 3)), (RACK1, ("dc1", "rack1"), (1, 2))],
    ids=str,
)
async def test_a_scope_asks_for_its_own_nodes(autojump_clock, nodes, scope, question, listed):
    """Whichever datacenter the asked node is in; requests then go to the nodes of the scope alone."""
    async with nodes.open_client(routing_scope=scope) as client:
        for _ in range(5):
            await client.refresh()
            assert ring(client) == listed
        await get(client, 10)
    assert set(questions(nodes)) == {question}
    assert set(served(nodes)) == set(listed)


async def test_one_answer_will_do_outside_of_cluster_scope(autojump_clock, nodes):
    """A datacenter's list is one node's answer; the cluster's takes one for each datacenter."""
    for scope, requests in ((DC2, 1), (RACK1, 1), (CLUSTER, 2)):
        del nodes.requests[:]
        async with nodes.open_client(routing_scope=scope) as client:
            await client.refresh()
            assert len(asked(nodes)) == requests


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_node_that_fails_is_skipped_in_the_same_scope(autojump_clock, nodes, failure):
    """No connection, no 200, no node list: the next candidate is asked the same, and the scope stays in force."""
    fail_lists(nodes, 1, 2, 3, 4, fault=FAILURES[failure])
    async with nodes.open_client(routing_scope=CHAIN) as client:
        for _ in range(5):
            await client.refresh()
            assert (ring(client), client.routing_scope) == ((1, 2), RACK1)
    assert set(questions(nodes)) == {("dc1", "rack1")}


async def test_an_empty_list_moves_on_to_the_next_scope(autojump_clock, nodes):
    """The rack is empty: the datacenter is asked for at once, in the same refresh, and is in force after it."""
    nodes[0].stop()
    nodes[1].stop()
    async with nodes.open_client(routing_scope=CHAIN) as client:
        await client.refresh()
        assert trio.current_time() == pytest.approx(0)
        assert (ring(client), client.routing_scope) == ((3,), DC1)
    assert questions(nodes) == [("dc1", "rack1"), ("dc1", None)]


async def test_an_empty_list_is_believed(autojump_clock, nodes):
    """It is an answer, not a failure: nobody else is asked about the same scope."""
    chain = RACK1.with_fallback(DC2)
    nodes[0].stop()
    nodes[1].stop()
    async with nodes.open_client(*map(url, (3, 4, 5)), routing_scope=chain) as client:
        await client.refresh()
        assert ring(client) == (4, 5)
    assert questions(nodes) == [("dc1", "rack1"), ("dc2", None)]


async def test_the_chain_is_followed_to_its_end(autojump_clock, nodes):
    """A rack and a datacenter that nobody knows: the cluster is in force after the first refresh."""
    for number in (1, 2, 3):
        nodes[host(number)].stop()
    async with nodes.open_client(routing_scope=CHAIN) as client:
        await client.refresh()
        assert (ring(client), client.routing_scope) == ((4, 5), CLUSTER)


async def test_every_refresh_starts_at_the_preferred_scope(autojump_clock, nodes):
    """While a fallback is in force each refresh asks for the rack first, and the rack returns when it is listed."""
    nodes[0].stop()
    nodes[1].stop()
    async with nodes.open_client(routing_scope=CHAIN) as client:
        for _ in range(3):
            del nodes.requests[:]
            await client.refresh()
            assert questions(nodes) == [("dc1", "rack1"), ("dc1", None)]
        nodes[0].start()
        del nodes.requests[:]
        await client.refresh()
        assert (ring(client), client.routing_scope) == ((1,), RACK1)
    assert questions(nodes) == [("dc1", "rack1")]


@pytest.mark.parametrize("scope", [DC1, RACK1, CHAIN], ids=str)
async def test_seeds_are_the_last_resort_of_a_scope(autojump_clock, nodes, scope):
    """A seed of another datacenter is asked for the scope's nodes after all of those have failed, and not before."""
    async with nodes.open_client(url(5), routing_scope=scope) as client:
        await client.refresh()
        known = ring(client)
        fail_lists(nodes, *known)
        for _ in range(5):
            del nodes.requests[:]
            await client.refresh()
            numbers = [number for number, _ in asked(nodes)]
            assert (sorted(numbers[:-1]), numbers[-1]) == (sorted(known), 5)
            assert set(questions(nodes)) == {scope.key}


async def test_a_failed_node_is_not_asked_for_the_next_scope(autojump_clock, nodes):
    """All but one fail, and that one knows of no rack: for the datacenter it alone is asked."""
    fail_lists(nodes, 1, 2, 3, 4)
    nodes.listed = [host(3), host(4)]
    async with nodes.open_client(routing_scope=CHAIN) as client:
        for _ in range(5):
            del nodes.requests[:]
            await client.refresh()
            failed = collections.Counter(number for number, _ in asked(nodes) if number != 5)
            assert set(failed.values()) <= {1}
            assert [scope for number, scope in asked(nodes) if number == 5] == [("dc1", "rack1"), ("dc1", None)]


@pytest.mark.parametrize("failure", ["refused", "500", "reset", "text"])
async def test_a_refresh_that_fails_everywhere_changes_nothing(autojump_clock, nodes, failure):
    """The list and the scope stay, each node is named once, however long the chain, and requests go on."""
    async with nodes.open_client(routing_scope=CHAIN) as client:
        await client.refresh()
        if failure == "refused":
            for node in nodes:
                node.kill()
        else:
            fail_lists(nodes, 1, 2, 3, 4, 5, fault=FAILURES[failure])
        with pytest.raises(DiscoveryError) as caught:
            await client.refresh()
        assert sorted(candidate for candidate, _ in caught.value.failures) == [url(number) for number in range(1, 6)]
        assert (ring(client), client.routing_scope) == ((1, 2), RACK1)
        if failure != "refused":
            await get(client, 4)
    assert set(served(nodes)) <= {1, 2}


async def test_a_chain_that_is_empty_to_its_end_changes_nothing(autojump_clock, nodes):
    """Every scope is answered with an empty list: the error says so of each, and what was known stays in force."""
    async with nodes.open_client(routing_scope=CHAIN) as client:
        await client.refresh()
        nodes.listed.clear()
        with pytest.raises(DiscoveryError, match=r"rack dc1/rack1: an empty node list.*datacenter dc1: an empty"):
            await client.refresh()
        assert (ring(client), client.routing_scope) == ((1, 2), RACK1)
        await get(client, 4)
    assert set(served(nodes)) == {1, 2}


async def test_an_empty_list_after_which_all_fail_uses_what_is_known_of_the_next_scope(autojump_clock, nodes):
    """The datacenter's list of an earlier refresh is used when the rack is empty and nobody answers any more."""
    async with nodes.open_client(url(3), routing_scope=RACK1.with_fallback(DC1)) as client:
        nodes[0].stop()
        nodes[1].stop()
        await client.refresh()
        nodes[0].start()
        nodes[1].start()
        await client.refresh()
        assert client.routing_scope == RACK1
        nodes[0].stop()
        nodes[1].stop()
        nodes[host(3)].fail_next(Answer(status=200, body=b"[]"), operation="localnodes")
        fail_lists(nodes, 3)  # the next question is not answered
        await _refresh_in_vain(client)
        await settle()
        assert (ring(client), client.routing_scope) == ((3,), DC1)


async def test_a_silent_node_is_hedged_in_each_scope(autojump_clock, nodes):
    """Two of three seeds are silent: at worst each scope waits twice for 500 ms, and they count as nobody's answer."""
    nodes.listed = [host(4), host(5)]
    for number in (1, 2):
        nodes[host(number)].fail_next(Hang(), times=10**6, operation="localnodes")
    async with nodes.open_client(*map(url, (1, 2, 3)), routing_scope=RACK1.with_fallback(DC2)) as client:
        await client.refresh()
        assert ring(client) == (4, 5)
        assert trio.current_time() in {0, 0.5, 1.0, 1.5, 2.0}
        times = [request.at for request in nodes.requests_of("localnodes")]
        assert all(later - earlier in {0, 0.5} for earlier, later in itertools.pairwise(times))


async def test_silence_is_no_answer_to_move_on_by(autojump_clock, nodes):
    """All five are silent: each is asked, every 500 ms the next, for the preferred scope and for no other."""
    for node in nodes:
        node.fail_next(Hang(), times=10**6, operation="localnodes")
    async with nodes.open_client(routing_scope=CHAIN):
        await trio.sleep(4.9)
    assert [request.at for request in nodes.requests_of("localnodes")] == [0, 0.5, 1.0, 1.5, 2.0]
    assert set(questions(nodes)) == {("dc1", "rack1")}


async def test_a_refresh_along_the_chain_ends_within_five_seconds(autojump_clock, nodes):
    """Each scope's answer, an empty list, takes two seconds: in the third scope the time is up, and nothing changes."""
    async with nodes.open_client(routing_scope=CHAIN) as client:
        await client.refresh()
        nodes.listed.clear()
        for node in nodes:
            node.fail_next(Late(seconds=2.0), times=10**6, operation="localnodes")
        began = trio.current_time()
        with pytest.raises(DiscoveryError):
            await client.refresh()
        assert trio.current_time() - began == pytest.approx(5.0)
        assert (ring(client), client.routing_scope) == ((1, 2), RACK1)


async def test_what_was_found_before_the_time_was_up_counts(autojump_clock, nodes):
    """The rack and the datacenter answer after two seconds each, the cluster not any more: the first list is taken."""
    nodes.listed = [host(3), host(4)]
    for node in nodes:
        node.fail_next(Late(seconds=2.0), times=10**6, operation="localnodes")
    async with nodes.open_client(routing_scope=RACK1.with_fallback(DC1, CLUSTER)) as client:
        await client.refresh()
        assert trio.current_time() == pytest.approx(4.0)
        assert (ring(client), client.routing_scope) == ((3,), DC1)


async def test_a_server_that_ignores_the_parameters_is_taken_at_its_word(autojump_clock, nodes):
    """Before 2025.1 a node lists its own datacenter, whatever is asked: with seeds of that one, the scope is that."""
    nodes.ignores_parameters = True
    async with nodes.open_client(url(1), url(2), routing_scope=CHAIN) as client:
        await client.refresh()
        assert (ring(client), client.routing_scope) == ((1, 2, 3), RACK1)


async def test_names_are_quoted(autojump_clock, nodes):
    """A name with a space, an ampersand or an umlaut reaches the server as it was given."""
    scope = CLUSTER.datacenter("dc 1&rack=rack2").with_fallback(CLUSTER.rack("d\u00e9c", "r/1#+%"))
    async with nodes.open_client(routing_scope=scope) as client:
        await _refresh_in_vain(client)
    assert questions(nodes) == [("dc 1&rack=rack2", None), ("d\u00e9c", "r/1#+%")]


async def _refresh_in_vain(client):
    with pytest.raises(DiscoveryError):
        await client.refresh()

"""L3: when every known node fails, the seeds are asked before the refresh gives up."""

from __future__ import annotations

import pytest

from alternator_trio.testing import Answer, Hang, Reset
from tests.routing.world import CHAIN, CLUSTER, DC1, RACK1, TOPOLOGY, asked, host, questions, ring, url
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scripted_nodes import ScriptedNodes

KNOWN = ("10.0.0.2", "10.0.0.3")
SEED = "10.0.0.1"
NEW = "10.0.0.4"


@pytest.fixture
async def nodes():
    """The seed lists two other nodes and not itself, so that it is known for nothing but being a seed."""
    async with ScriptedNodes(4) as scripted:
        scripted.listed = list(KNOWN)
        yield scripted


def hosts(client):
    return tuple(node.host for node in client.nodes())


def break_known(nodes, how):
    for address in KNOWN:
        match how:
            case "dead":
                nodes[address].kill()
            case "silent":
                nodes[address].black_hole()
            case "failing":
                nodes[address].fail_next(Answer(status=500), times=100, operation="localnodes")


@pytest.mark.parametrize("how", ["dead", "silent", "failing"])
async def test_l3_the_seeds_are_asked_when_all_known_nodes_fail(autojump_clock, nodes, how):
    """Every known node is dead, silent or failing: the same refresh asks the seed and takes its new list."""
    async with nodes.open_client(nodes[SEED].url) as client:
        await client.refresh()
        assert hosts(client) == KNOWN
        break_known(nodes, how)
        nodes[SEED].lists(NEW)
        await client.refresh()
        assert hosts(client) == (NEW,)
        await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
    assert [request.host for request in nodes.requests_of("GetItem")] == [NEW]


async def test_l3_a_seed_that_never_answered_before_is_asked_too(autojump_clock, nodes):
    """Being a seed is enough: it was dead when the others answered, and is no contact of old."""
    nodes[SEED].refuse()
    async with nodes.open_client(nodes[SEED].url, nodes[KNOWN[0]].url) as client:
        await client.refresh()
        assert hosts(client) == KNOWN
        break_known(nodes, "dead")
        nodes[SEED].accept()
        nodes[SEED].lists(NEW)
        await client.refresh()
        assert hosts(client) == (NEW,)


async def test_l3_known_nodes_come_before_seeds(autojump_clock, nodes):
    """The seed is the last to be asked, whatever order chance gives to the others."""
    async with nodes.open_client(nodes[SEED].url) as client:
        await client.refresh()
        break_known(nodes, "failing")
        for _ in range(10):
            del nodes.requests[:]
            await client.refresh()
            asked = [request.host for request in nodes.requests_of("localnodes")]
            assert (sorted(asked), asked[-1]) == ([SEED, *KNOWN], SEED)


async def test_l3_a_seed_that_is_not_listed_gets_no_traffic(autojump_clock, nodes):
    """Once a list is known, the seed serves no requests, before and after a refresh that needed it."""
    async with nodes.open_client(nodes[SEED].url) as client:
        await client.refresh()
        for address in KNOWN:
            nodes[address].fail_next(Reset(), operation="localnodes")
        await client.refresh()
        for number in range(20):
            await client.get_item(TableName="users", Key={"id": {"S": str(number)}})
    assert {request.host for request in nodes.requests_of("GetItem")} == set(KNOWN)


@pytest.mark.parametrize("silent", [3, 5, 7])
async def test_l3_many_silent_nodes_do_not_hide_the_seeds(autojump_clock, silent):
    """They accept and never answer, more of them than may be asked at once: the seed has its turn all the same."""
    async with ScriptedNodes(silent + 1) as world:
        seed, *known = world
        world.listed = [node.host for node in known]
        async with world.open_client(seed.url) as client:
            await client.refresh()
            for node in known:
                node.fail_next(Hang(), times=100, operation="localnodes")
            seed.lists(NEW)
            await client.refresh()
            assert NEW in hosts(client)


@pytest.mark.parametrize("how", ["dead", "silent", "failing"])
@pytest.mark.parametrize(
    "scope", [DC1, RACK1, CHAIN, DC1.with_fallback(CLUSTER)], ids=lambda scope: "+".join(map(str, scope.chain))
)
async def test_l3_in_each_scope_before_the_next(autojump_clock, scope, how):
    """The seed, of the other datacenter, is asked when all known nodes fail: for the same scope, not for the next."""
    async with ScriptedNodes(topology=TOPOLOGY) as world:
        async with world.open_client(url(5), routing_scope=scope) as client:
            await client.refresh()
            known = ring(client)
            for number in known:
                match how:
                    case "dead":
                        world[host(number)].kill()
                    case "silent":
                        world[host(number)].black_hole()
                    case "failing":
                        world[host(number)].fail_next(Answer(status=500), times=100, operation="localnodes")
            del world.requests[:]
            await client.refresh()
            assert (ring(client), client.routing_scope.key) == (known, scope.key)
            assert (asked(world)[-1], set(questions(world))) == ((5, scope.key), {scope.key})


async def test_l3_cancelled_in_the_middle(autojump_clock, nodes):
    """Cancelled while the known nodes fail and the seed is asked: nothing is left."""

    async def scenario():
        for node in nodes:
            node.accept()
        nodes[SEED].localnodes_answer = None
        async with nodes.open_client(nodes[SEED].url) as client:
            await client.refresh()
            break_known(nodes, "silent")
            nodes[SEED].lists(NEW)
            await client.refresh()
            assert hosts(client) == (NEW,)

    await cancel_in_the_middle(scenario, nodes, moments=10)

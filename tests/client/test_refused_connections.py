"""Refused connections that do not count as attempts: where a scope is to be fallen back on, and nowhere else."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import ConnectError, IndeterminateWriteError, NodeHealth, RetryPolicy, ServiceError
from alternator_trio.testing import Answer, Reset
from tests.routing.world import CHAIN, CLUSTER, RACK1, TOPOLOGY, all_active, get, served, states
from tests.scripted_nodes import ScriptedNodes
from tests.users import COUNT_UP

HEALTHY = {"routing_scope": CHAIN, "node_health": NodeHealth()}


@pytest.fixture
async def nodes():
    async with ScriptedNodes(topology=TOPOLOGY) as nodes:
        yield nodes


async def crash(nodes, *numbers):
    """Kill nodes, and wait until their idle connections are old enough to be looked at before they are used."""
    for number in numbers:
        nodes[number - 1].kill()
    await trio.sleep(0.15)


@pytest.mark.parametrize("dead", [(1, 2), (1, 2, 3)], ids=["rack", "datacenter"])
async def test_one_caller_does_not_see_a_scope_die(autojump_clock, nodes, dead):
    """It is kept waiting until health has found out, and served in the next scope."""
    async with nodes.open_client(**HEALTHY) as client:
        await all_active(client)
        await crash(nodes, *dead)
        started = trio.current_time()
        await get(client, 5)
        assert client.statistics().failed == 0
        assert [states(client)[number] for number in dead] == ["DOWN"] * len(dead)
        assert trio.current_time() - started < 2.0
    assert set(served(nodes)) <= {1, 2, 3, 4, 5} - set(dead)


async def test_sdk_headers_count_no_attempt_beyond_the_most(autojump_clock, nodes):
    """Who reads ``amz-sdk-request`` reads no more attempts than there may be."""
    async with nodes.open_client(**HEALTHY, retry=RetryPolicy(max_attempts=2), optimize_headers=False) as client:
        await all_active(client)
        await crash(nodes, 1, 2, 3)
        await get(client, 1)
    (sent,) = nodes.requests_of("GetItem")
    numbers = dict(part.split("=") for part in sent.header("amz-sdk-request").split("; "))
    assert 2 < int(numbers["attempt"]) <= int(numbers["max"])


async def test_a_counter_is_counted_once(autojump_clock, nodes):
    """What was never sent is repeated, repeatable or not."""
    async with nodes.open_client(**HEALTHY) as client:
        await all_active(client)
        await crash(nodes, 1, 2)
        await client.update_item(**COUNT_UP)
    assert served(nodes, "UpdateItem") == [3]


async def test_what_was_sent_counts(autojump_clock, nodes):
    """Refusals stand beside the four attempts that reach a node; they do not bring more of those."""
    async with nodes.open_client(**HEALTHY) as client:
        await all_active(client)
        await crash(nodes, 1, 2)
        for node in nodes:
            node.fail_next(Answer(status=503), times=9)
        with pytest.raises(ServiceError) as caught:
            await get(client)
    assert len(nodes.requests_of("GetItem")) == 4
    assert caught.value.attempts > 4


async def test_an_unknown_outcome_is_one_among_refusals_as_well(autojump_clock, nodes):
    """A counter that reached a node, after refusals, is not repeated."""
    async with nodes.open_client(**HEALTHY) as client:
        await all_active(client)
        await crash(nodes, 1, 2)
        nodes[2].fail_next(Reset(), operation="UpdateItem")
        with pytest.raises(IndeterminateWriteError):
            await client.update_item(**COUNT_UP)
    assert served(nodes, "UpdateItem") == [3]


@pytest.mark.parametrize(
    ("options", "attempts"),
    [
        ({"routing_scope": RACK1}, 4),
        ({"routing_scope": CLUSTER}, 4),
        ({"node_health": None}, 4),
        ({"retry": RetryPolicy(max_attempts=1)}, 1),
    ],
    ids=["no fallback", "the cluster", "no health", "one attempt"],
)
async def test_elsewhere_each_counts(autojump_clock, nodes, options, attempts):
    """Without a fallback, without health, and for who wants one attempt."""
    async with nodes.open_client(**{**HEALTHY, **options}) as client:
        await client.refresh()
        await trio.sleep(0.5)
        await crash(nodes, 1, 2, 3, 4, 5)
        with pytest.raises(ConnectError) as caught:
            await get(client)
    assert caught.value.attempts == attempts


async def test_the_time_for_it_is_bounded(autojump_clock, nodes):
    """Where health takes longer than a dial may take, all of them count in the end."""
    patient = {"routing_scope": CHAIN, "node_health": NodeHealth(active_failure=1000), "connect_timeout": 1.5}
    async with nodes.open_client(**patient) as client:
        await all_active(client)
        await crash(nodes, 1, 2)
        started = trio.current_time()
        with pytest.raises(ConnectError):
            await get(client)
        assert 1.5 <= trio.current_time() - started < 1.7


async def test_a_caller_who_cancels_leaves_nothing(autojump_clock, nodes):
    """In the middle of it, and the next operation goes on where health has come to."""
    async with nodes.open_client(**HEALTHY) as client:
        await all_active(client)
        await crash(nodes, 1, 2)
        with trio.move_on_after(0.35) as scope:
            await get(client)
        assert scope.cancelled_caught
        assert client.statistics().connections_leased == 0
        await get(client)
        assert client.statistics().failed == 0
    assert served(nodes) == [3]

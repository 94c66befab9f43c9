"""L1: without a fallback, an empty answer leaves the node list as it is (cluster scope, which has no fallback)."""

from __future__ import annotations

import pytest

from alternator_trio import DiscoveryError
from tests.scenarios.cancellation import cancel_in_the_middle

ALL = ("http://10.0.0.1:8000", "http://10.0.0.2:8000", "http://10.0.0.3:8000")


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

"""``GET /localnodes`` with the server's semantics, and ``GET /``."""

from __future__ import annotations

import pytest

from alternator_trio.testing import Answer


async def listed(client, query=""):
    reply = await client.request("GET", "/localnodes" + query)
    assert reply.status == 200
    return reply.json


async def test_default_is_the_contacted_nodes_own_datacenter(cluster, dial):
    """Without a parameter a node lists its own datacenter, whole and bare."""
    async with dial(cluster.nodes[0]) as first, dial(cluster.nodes[3]) as last:
        assert await listed(first) == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        assert await listed(last) == ["127.0.0.4"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?dc=dc2", ["127.0.0.4"]),
        ("?dc=dc1&rack=rack2", ["127.0.0.3"]),
        ("?rack=rack1", ["127.0.0.1", "127.0.0.2"]),
        ("?dc=dc9", []),
        ("?dc=dc1&rack=rack9", []),
        ("?dc=&rack=", ["127.0.0.1", "127.0.0.2", "127.0.0.3"]),
        ("?dc=d%63%31&rack=rack%32", ["127.0.0.3"]),
    ],
)
async def test_parameters_choose_datacenter_and_rack(cluster, dial, query, expected):
    """``dc`` chooses, ``rack`` narrows; what is unknown is an empty list and no error."""
    async with dial(cluster.nodes[0]) as client:
        assert await listed(client, query) == expected


async def test_a_stopped_node_leaves_the_list_at_once(cluster, dial):
    """An orderly stop takes the node out of the others' answers."""
    async with dial(cluster.nodes[0]) as client:
        cluster.nodes[1].stop()
        assert await listed(client) == ["127.0.0.1", "127.0.0.3"]


async def test_a_killed_node_stays_listed_until_it_is_convicted(mock_clock, cluster, dial):
    """A dead node is listed for `listed_for` seconds of Trio's clock, and no longer."""
    async with dial(cluster.nodes[0]) as client:
        cluster.nodes[1].kill(listed_for=20.0)
        mock_clock.jump(19.9)
        assert await listed(client) == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        mock_clock.jump(0.2)
        assert await listed(client) == ["127.0.0.1", "127.0.0.3"]


async def test_a_started_node_is_listed_again(cluster, dial):
    """A node that came back is in the list from the moment of its start."""
    async with dial(cluster.nodes[0]) as client:
        cluster.nodes[1].kill(listed_for=0.0)
        cluster.nodes[1].start()
        assert await listed(client) == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


async def test_a_stop_after_a_kill_takes_the_dead_node_off_the_list(cluster):
    """`stop` ends the time for which a killed node is listed."""
    cluster.nodes[1].kill(listed_for=20.0)
    cluster.nodes[1].stop()
    assert not cluster.nodes[1].is_listed


async def test_a_given_answer_replaces_the_list(cluster, dial):
    """A test can make one node answer anything, and the truth again."""
    async with dial(cluster.nodes[0]) as client:
        cluster.nodes[0].localnodes_answer = Answer(status=503, body=b"{not json")
        reply = await client.request("GET", "/localnodes?dc=dc1")
        assert (reply.status, reply.body) == (503, b"{not json")
        cluster.nodes[0].localnodes_answer = None
        assert await listed(client, "?dc=dc2") == ["127.0.0.4"]


async def test_health_check(cluster, dial):
    """``GET /`` answers that the node is healthy, with the Host header."""
    async with dial(cluster.nodes[0]) as client:
        reply = await client.request("GET", "/")
        assert (reply.status, reply.body.decode()) == (200, f"healthy: {client.host}")
        assert reply.headers["content-type"] == "text/plain"

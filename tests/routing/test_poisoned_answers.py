"""What a node lists is input from a network: entries that nobody should dial are dropped, the good ones are kept."""

from __future__ import annotations

import json

import pytest
import trio

from alternator_trio import DiscoveryError, NodeHealth
from alternator_trio.testing import Answer
from tests.routing.world import CLUSTER, DC1, RACK1, Dials, get, host, ring, url
from tests.scripted_nodes import answer_json

POISON = {
    "unspecified": "0.0.0.0",
    "unspecified v6": "::",
    "multicast": "224.0.0.1",
    "multicast v6": "ff02::1",
    "link-local": "169.254.169.254",
    "link-local v6": "fe80::1",
    "broadcast": "255.255.255.255",
    "mapped": "::ffff:169.254.169.254",
    "host id": "6a4b0c3e-7a9f-4f6e-9d21-0a1b2c3d4e5f",
    "space": "10.0.0.9 ",
    "line feed": "10.0.0.9\nhost: evil",
    "path": "10.0.0.9/x",
    "port": "10.0.0.9:8000",
    "user": "root@10.0.0.9",
    "url": "http://10.0.0.9",
    "short": "127.1",
    "number": "2130706433",
    "hexadecimal": "0x7f.1",
    "octal": "010.0.0.9",
    "brackets": "[2001:db8::9]",
    "zone": "fe80::1%eth0",
    "umlaut": "n\u00f6de.example",
    "empty": "",
    "long": "a" * 254,
    "null": None,
    "list": ["10.0.0.9"],
    "integer": 9,
}
SCOPES = [CLUSTER, DC1, RACK1]


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("scope", SCOPES, ids=str)
async def test_a_bad_entry_is_dropped(autojump_clock, nodes, scope, poison):
    """Beside good ones in a node's list: those are the nodes, and nobody dials the bad one, requests or probes."""
    for node in nodes:
        node.localnodes_answer = answer_json([host(1), POISON[poison], host(2)])
    dials = Dials(nodes)
    async with nodes.open_client(url(1), routing_scope=scope, node_health=NodeHealth(), dial=dials) as client:
        await client.refresh()
        await trio.sleep(1)
        assert ring(client) == (1, 2)
        await get(client, 4)
    assert {number for number, *_ in dials.made} == {1, 2}


@pytest.mark.parametrize("scope", SCOPES, ids=str)
async def test_a_list_of_bad_entries_is_no_list(autojump_clock, nodes, scope):
    """It is not taken for an empty one: the node counts as failed, and the next candidate is asked."""
    for number in (1, 2, 3, 4):
        nodes[host(number)].localnodes_answer = answer_json(list(POISON.values()))
    nodes[host(5)].lists(host(3))
    async with nodes.open_client(routing_scope=scope) as client:
        await client.refresh()
        assert ring(client) == (3,)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (json.dumps([f"10.1.{n // 250}.{n % 250 + 1}" for n in range(4097)]).encode(), "4097 entries"),
        (b'["10.0.0.9"' + b" " * 2**20 + b"]", "larger than|bytes"),
        (b"[" * 100_000 + b"]" * 100_000, "not a node list"),
    ],
    ids=["4097 entries", "over 1 MiB", "deep"],
)
async def test_a_list_out_of_bounds_is_no_list(autojump_clock, nodes, body, reason):
    """Too many entries, or too long a body: the node has failed, the error says how, and the list stays."""
    async with nodes.open_client(url(1), routing_scope=DC1) as client:
        await client.refresh()
        for node in nodes:
            node.localnodes_answer = Answer(status=200, body=body)
        with pytest.raises(DiscoveryError, match=reason):
            await client.refresh()
        assert ring(client) == (1, 2, 3)


async def test_a_list_at_its_bound_is_taken(autojump_clock, nodes):
    """4096 nodes."""
    nodes[0].localnodes_answer = answer_json([f"10.1.{n // 250}.{n % 250 + 1}" for n in range(4096)])
    async with nodes.open_client(url(1), routing_scope=DC1) as client:
        await client.refresh()
        assert len(client.nodes()) == 4096


async def test_a_host_that_is_listed_in_several_spellings_is_one_node(autojump_clock, nodes):
    """Names in capitals, addresses written out: two nodes in all, IPv6 in brackets."""
    nodes[0].lists("Node-1.Example", "node-1.example", "2001:DB8:0::1", "2001:db8::1")
    async with nodes.open_client(url(1), routing_scope=DC1) as client:
        await client.refresh()
        assert [str(node) for node in client.nodes()] == ["http://[2001:db8::1]:8000", "http://node-1.example:8000"]


async def test_bad_entries_are_reported_once(autojump_clock, nodes, caplog):
    """How many, and by whom: when they appear, when their number changes, and when they are back; not each second."""
    async with nodes.open_client(url(1), routing_scope=DC1) as client:
        for bad, refreshes in ((0, 2), (2, 5), (3, 5), (0, 5), (3, 2)):
            nodes[0].localnodes_answer = answer_json([host(1), *["0.0.0.0"] * bad])
            for _ in range(refreshes):
                await client.refresh()
    assert [record.message for record in caplog.records] == [
        f"node {url(1)} lists {bad} entries that are no acceptable addresses; they are dropped" for bad in (2, 3, 3)
    ]


async def test_each_node_that_lists_bad_entries_is_reported_once(autojump_clock, nodes, caplog):
    """Three nodes do, all of them asked in each of four refreshes: three lines."""
    for number in (1, 2, 3):
        nodes[host(number)].localnodes_answer = answer_json([host(number), "0.0.0.0"])
    async with nodes.open_client(*(url(number) for number in (1, 2, 3))) as client:
        for _ in range(4):
            await client.refresh()
    assert sorted(record.message.split()[1] for record in caplog.records) == [url(number) for number in (1, 2, 3)]

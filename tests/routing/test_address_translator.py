"""The address translator: from what nodes list to what is dialled, and what becomes of a bad one."""

from __future__ import annotations

import pytest

from alternator_trio import ConfigurationError, DiscoveryError, KeyRouteAffinity, NodeHealth
from alternator_trio.config import AlternatorConfig
from tests.routing.world import (
    CHAIN,
    CLUSTER,
    DC1,
    RACK1,
    Dials,
    all_active,
    get,
    host,
    number_of,
    ring,
    served,
    url,
)
from tests.users import KEY

PRIVATE = {"192.168.0.1": host(1), "192.168.0.2": host(2), "192.168.0.3": host(3)}


def from_private(listed):
    """What a function of the user's may be like."""
    return host(number_of(listed)) if listed.startswith("192.168.0.") else listed


@pytest.fixture
def private(nodes):
    """Nodes that list private addresses, which nobody answers at."""
    for node in nodes:
        node.lists(*PRIVATE)
    return nodes


@pytest.mark.parametrize("translator", [PRIVATE, from_private], ids=["table", "callable"])
@pytest.mark.parametrize("scope", [CLUSTER, DC1, CHAIN], ids=str)
async def test_what_is_listed_is_translated(autojump_clock, private, scope, translator):
    """`client.nodes()` shows what is dialled; requests and probes go there, and to no listed address."""
    dials = Dials(private)
    options = {"node_health": NodeHealth(), "routing_scope": scope, "address_translator": translator, "dial": dials}
    async with private.open_client(url(1), **options) as client:
        await all_active(client)
        assert ring(client) == (1, 2, 3)
        await get(client, 6)
    assert set(served(private)) == {1, 2, 3}
    assert {outcome for _, _, outcome in dials.made} == {"made"}


async def test_a_table_leaves_alone_what_is_not_in_it(autojump_clock, nodes):
    """The other nodes are dialled where they are listed."""
    nodes.listed = ["192.168.0.1", host(2), host(3)]
    nodes[1].localnodes_answer = None
    for node in nodes:
        node.lists("192.168.0.1", host(2), host(3))
    async with nodes.open_client(url(2), address_translator={"192.168.0.1": host(1)}, routing_scope=DC1) as client:
        await client.refresh()
        assert ring(client) == (1, 2, 3)


async def test_two_that_are_dialled_alike_are_one_node(autojump_clock, private):
    """A load balancer before each rack, say."""
    async with private.open_client(
        url(5), address_translator=lambda _: "balancer.example", routing_scope=RACK1
    ) as client:
        await client.refresh()
        assert [str(node) for node in client.nodes()] == ["http://balancer.example:8000"]


@pytest.mark.parametrize(
    ("dialled", "endpoint"),
    [
        ("Node-1.Example", "http://node-1.example:8000"),
        ("2001:DB8:0:0::1", "http://[2001:db8::1]:8000"),
        ("node-1.example.", "http://node-1.example.:8000"),
    ],
)
async def test_what_is_dialled_has_one_spelling(autojump_clock, private, dialled, endpoint):
    """The canonical endpoint decides on the order of the ring: capitals must not make it another."""
    async with private.open_client(url(5), address_translator=lambda _: dialled, routing_scope=DC1) as client:
        await client.refresh()
        assert [str(node) for node in client.nodes()] == [endpoint]


@pytest.mark.parametrize(
    "result",
    ["", "a b", "10.0.0.1:8000", "http://10.0.0.1", "[::1]", "127.1", "n\u00f6de", "a\nb", None, 7, b"10.0.0.1", ["a"]],
    ids=repr,
)
async def test_a_bad_result_is_said(autojump_clock, private, result):
    """It fails the node's answer, not the client: the error names the listed host and what was made of it."""
    async with private.open_client(url(1), address_translator=lambda _: result, routing_scope=DC1) as client:
        with pytest.raises(DiscoveryError, match=r"192\.168\.0\.1") as caught:
            await client.refresh()
        assert repr(result) in str(caught.value)
        assert client.statistics().crashes == 0
        assert ring(client) == (1,)
        await get(client)


async def test_a_bad_entry_of_a_table_is_said(autojump_clock, private):
    """The same for a table."""
    table = {**PRIVATE, "192.168.0.2": "no host"}
    async with private.open_client(url(1), address_translator=table, routing_scope=DC1) as client:
        with pytest.raises(DiscoveryError, match=r"made 'no host' of '192\.168\.0\.2'"):
            await client.refresh()
        assert client.statistics().crashes == 0


async def test_one_that_raises_is_said(autojump_clock, private):
    """Its error is shown with the host that it was called with; no actor crashes, and the old list stays."""
    angry = []

    def translate(listed):
        if angry and listed == "192.168.0.3":
            raise LookupError("no such node here")
        return from_private(listed)

    async with private.open_client(url(1), address_translator=translate, routing_scope=DC1) as client:
        await client.refresh()
        angry.append(True)
        with pytest.raises(DiscoveryError, match=r"raised for '192\.168\.0\.3': LookupError\('no such node here'\)"):
            await client.refresh()
        assert (ring(client), client.statistics().crashes) == ((1, 2, 3), 0)
        angry.clear()
        await client.refresh()
        await get(client)


async def test_affinity_goes_by_what_is_dialled(autojump_clock, private):
    """The ring is that of the dialled endpoints, whatever order the listed ones would have."""
    table = {f"192.168.0.{4 - number}": host(number) for number in (1, 2, 3)}
    affinity = KeyRouteAffinity.any_write(partition_keys={"users": "id"})
    options = {"routing_scope": DC1, "key_route_affinity": affinity}
    async with private.open_client(url(1), address_translator=table, **options) as client:
        await client.refresh()
        await client.put_item(TableName="users", Item=KEY)
    translated = served(private, "PutItem")
    for node in private:
        node.lists(host(1), host(2), host(3))
    async with private.open_client(url(1), **options) as client:
        await client.refresh()
        await client.put_item(TableName="users", Item=KEY)
    assert served(private, "PutItem") == translated * 2


def test_what_is_no_translator_is_refused():
    """At construction, by name."""
    with pytest.raises(ConfigurationError, match="address_translator"):
        AlternatorConfig(seeds=[url(1)], address_translator="10.0.0.1")

"""T2: discovery over https updates the node list, and what is discovered is https."""

from __future__ import annotations

import json

import pytest

from alternator_trio import DiscoveryError, ServiceError
from alternator_trio.client import open_alternator
from alternator_trio.testing.faults import Answer
from tests.scenarios.cancellation import cancel_in_the_middle


async def test_t2_one_https_seed_finds_all_nodes(tls_cluster, tls_proxy, trust):
    """The list that comes over TLS is taken, with the seed's scheme and port."""
    async with open_alternator(tls_proxy.seeds[0], tls=trust) as client:
        ring = await client.refresh()
    assert tuple(map(str, ring)) == tls_proxy.seeds
    assert all(node.scheme == "https" for node in ring)
    assert [request.path for request in tls_cluster.nodes[0].requests] == ["/localnodes"]


async def test_t2_the_list_follows_the_cluster(tls_cluster, trust):
    """A node that stops is gone with the next refresh, one that starts is back."""
    async with open_alternator(tls_cluster.seeds[0], tls=trust) as client:
        tls_cluster.nodes[2].stop()
        assert len(await client.refresh()) == 2
        tls_cluster.nodes[2].start()
        assert tuple(map(str, await client.refresh())) == tls_cluster.seeds


async def test_t2_without_trust_nothing_is_discovered(tls_cluster):
    """A list from a node that cannot prove who it is is not even asked for."""
    async with open_alternator(tls_cluster.seeds[0]) as client:
        with pytest.raises(DiscoveryError, match="certificate verify failed"):
            await client.refresh()
        assert tuple(map(str, client.nodes())) == tls_cluster.seeds[:1]
    assert not any(node.requests for node in tls_cluster.nodes)


async def test_t2_no_answer_leads_from_https_to_http(tls_cluster, cluster, trust):
    """Entries with a scheme are dropped and redirects are not followed: what speaks plain http hears nothing."""
    node, plain = tls_cluster.nodes[0], cluster.nodes[0]
    redirect = Answer(status=307, headers=(("Location", f"{plain.url}/localnodes"),), body=b"")
    async with open_alternator(node.url, tls=trust) as client:
        node.localnodes_answer = Answer(status=200, body=json.dumps([plain.url, f"{node.address}"]).encode())
        assert tuple(map(str, await client.refresh())) == (node.url,)
        node.localnodes_answer = redirect
        with pytest.raises(DiscoveryError, match="status 307"):
            await client.refresh()
        node.fail_next(redirect)
        with pytest.raises(ServiceError):
            await client.list_tables()
    assert not any(other.requests for other in cluster.nodes)


async def test_t2_cancelled_in_the_middle(tls_cluster, tls_proxy, trust):
    """Cancelled in a handshake of discovery or in its exchange: no connection is left."""

    async def scenario():
        async with open_alternator(*tls_proxy.seeds, tls=trust) as client:
            for _ in range(4):
                assert len(await client.refresh()) == 3

    await cancel_in_the_middle(scenario, tls_proxy, *tls_cluster.nodes)

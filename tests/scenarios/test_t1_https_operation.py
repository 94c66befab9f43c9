"""T1: operations over https, with standard TLS handling: trust in the CA, and the right name or address."""

from __future__ import annotations

import ssl

import pytest
import trustme

from alternator_trio import TlsError
from alternator_trio.client import open_alternator
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.users import KEY


async def test_t1_an_operation_succeeds(tls_proxy, trust):
    """With trust in the nodes' CA a write and a read succeed through TLS, over one connection."""
    async with open_alternator(tls_proxy.seeds[0], tls=trust, discovery=False) as client:
        await client.put_item(TableName="users", Item=KEY)
        assert (await client.get_item(TableName="users", Key=KEY))["Item"] == KEY
        assert tls_proxy.connects == 1


async def test_t1_an_unknown_authority_is_refused(tls_cluster, tls_proxy):
    """Without that trust the handshake fails, the error names the node, and no request was received."""
    stranger = ssl.create_default_context()
    trustme.CA().configure_trust(stranger)
    async with open_alternator(tls_proxy.seeds[0], tls=stranger, discovery=False) as client:
        with pytest.raises(TlsError, match="certificate verify failed") as caught:
            await client.get_item(TableName="users", Key=KEY)
    assert caught.value.node == tls_proxy.seeds[0]
    assert not caught.value.may_have_happened
    assert not any(node.requests for node in tls_cluster.nodes)


async def test_t1_the_systems_trust_is_the_default(tls_cluster):
    """Without a context of the user's a private CA is unknown."""
    async with open_alternator(tls_cluster.seeds[0], discovery=False) as client:
        with pytest.raises(TlsError, match="certificate verify failed"):
            await client.get_item(TableName="users", Key=KEY)


@pytest.mark.parametrize("name", ["127.0.0.9", "node.example"])
async def test_t1_a_certificate_for_another_is_refused(https_cluster, trust, name):
    """A certificate of the right authority for another name or address does not do."""
    async with https_cluster(name, nodes=1) as cluster:
        async with open_alternator(*cluster.seeds, tls=trust, discovery=False) as client:
            with pytest.raises(TlsError, match=r"certificate is not valid for '127\.0\.0\.1'") as caught:
                await client.get_item(TableName="users", Key=KEY)
        assert caught.value.node == cluster.seeds[0]
        assert not cluster.nodes[0].requests


async def test_t1_a_plain_node_behind_https_is_a_tls_error(cluster, trust):
    """A node that answers in clear fails the handshake, at once and named."""
    seed = cluster.seeds[0].replace("http:", "https:")
    async with open_alternator(seed, tls=trust, discovery=False) as client:
        with pytest.raises(TlsError) as caught:
            await client.get_item(TableName="users", Key=KEY)
    assert caught.value.node == seed


async def test_t1_cancelled_in_the_middle(tls_cluster, tls_proxy, trust):
    """Cancelled in handshakes and in exchanges: no connection is left."""

    async def scenario():
        async with open_alternator(*tls_proxy.seeds, tls=trust) as client:
            for _ in range(6):
                await client.put_item(TableName="users", Item=KEY)

    await cancel_in_the_middle(scenario, tls_proxy, *tls_cluster.nodes, moments=10)

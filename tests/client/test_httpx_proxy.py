"""The httpx transport through a forward proxy: forwarded requests, tunnels, HTTP/2 in a tunnel, and what goes wrong."""

from __future__ import annotations

import ssl

import httpx
import pytest
import trio
import trustme

from alternator_trio import ConnectError, HttpxTransport, RetryPolicy, TlsError, open_alternator
from alternator_trio.testing import LocalCluster
from tests.certificates import server_context
from tests.client.conftest import create_table
from tests.forward_proxy import forward_proxy
from tests.http2_node import http2_node
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.users import KEY
from tests.waiting import all_active

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
async def proxy():
    async with forward_proxy() as running:
        yield running


@pytest.fixture
def tls(authority) -> ssl.SSLContext:
    return server_context(authority, "127.0.0.1", "127.0.0.2", "127.0.0.3")


async def test_http_nodes_are_reached_by_forwarding(proxy) -> None:
    """Operations, discovery and probes: all of them by the proxy, none past it."""
    async with LocalCluster(nodes=3) as cluster:
        async with open_alternator(*cluster.seeds, transport=HttpxTransport(proxy=proxy.url)) as client:
            await create_table(client)
            await all_active(client)
            for _ in range(6):
                await client.put_item(TableName="users", Item=KEY)
        received = [request for node in cluster.nodes for request in node.requests]
    assert len(proxy.seen) == len(received)
    assert {target.rpartition("/")[0] for _, target in proxy.seen} == set(cluster.seeds)


async def test_https_nodes_are_reached_by_tunnels(proxy, tls, trust) -> None:
    """The proxy sees CONNECT and nothing else; certificates are the nodes' own."""
    async with LocalCluster(nodes=3, tls=tls) as cluster:
        async with open_alternator(*cluster.seeds, transport=HttpxTransport(proxy=proxy.url), tls=trust) as client:
            await create_table(client)
            await all_active(client)
            for _ in range(6):
                await client.put_item(TableName="users", Item=KEY)
    assert {method for method, _ in proxy.seen} == {"CONNECT"}
    assert {f"https://{target}" for _, target in proxy.seen} == set(cluster.seeds)


async def test_http_2_in_a_tunnel(proxy, authority, trust) -> None:
    """Many requests, one tunnel, one connection."""
    async with http2_node(authority) as node:
        async with open_alternator(
            node.url, transport=HttpxTransport(proxy=proxy.url), tls=trust, discovery=False
        ) as client:
            await client.put_item(TableName="users", Item=KEY)
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(lambda: client.put_item(TableName="users", Item=KEY))
        assert set(node.versions) == {"2"}
    assert len(proxy.seen) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("login", ["ada:s3cret", "ada:wr0ng"])
async def test_a_proxy_that_asks_for_a_password(scheme, login, tls, trust) -> None:
    """With the right one it serves; without, the error names node and proxy, not the password, and nothing was sent."""
    async with LocalCluster(nodes=1, tls=tls if scheme == "https" else None) as cluster:
        async with forward_proxy("ada:s3cret") as proxy:
            options = HttpxTransport(proxy=proxy.url.replace("//", f"//{login}@"))
            context = trust if scheme == "https" else None
            async with open_alternator(*cluster.seeds, transport=options, tls=context, retry=ONCE) as client:
                if login == "ada:s3cret":
                    await create_table(client)
                    return
                with pytest.raises(ConnectError, match=r"http://…@127\.0\.0\.1:\d+ refuses.*: 407") as caught:
                    await create_table(client)
    assert caught.value.node == cluster.seeds[0]
    assert not caught.value.may_have_happened
    assert "wr0ng" not in repr(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_https_proxy(scheme, authority, tls, trust, monkeypatch, tmp_path) -> None:
    """It proves itself to the system's trust, whatever the nodes' policy is; HTTP/2 is not offered to it."""
    proxies = trustme.CA()
    proxies.cert_pem.write_to_path(tmp_path / "system.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    certified = server_context(proxies)
    certified.set_alpn_protocols(["h2", "http/1.1"])
    async with LocalCluster(nodes=1, tls=tls if scheme == "https" else None) as cluster:
        async with forward_proxy(tls=certified) as proxy:
            context = trust if scheme == "https" else None
            options = HttpxTransport(proxy=proxy.url)
            async with open_alternator(*cluster.seeds, transport=options, tls=context, retry=ONCE) as client:
                await create_table(client)
    assert proxy.seen


async def test_a_proxy_that_is_not_there(cluster) -> None:
    """The error says that it is the proxy which refuses, and which node was meant."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    await listener.aclose()
    async with open_alternator(*cluster.seeds, transport=HttpxTransport(proxy=url), retry=ONCE) as client:
        with pytest.raises(ConnectError, match=f"cannot connect to the proxy {url}: .*refused") as caught:
            await client.put_item(TableName="users", Item=KEY)
    assert caught.value.node in cluster.seeds
    assert not caught.value.may_have_happened


async def test_a_node_that_the_proxy_cannot_reach(proxy, trust) -> None:
    """The proxy's answer to CONNECT is told."""
    async with open_alternator(
        "https://127.0.0.1:1", transport=HttpxTransport(proxy=proxy.url), tls=trust, discovery=False, retry=ONCE
    ) as client:
        with pytest.raises(ConnectError, match=r"the proxy .* refuses to connect: 502") as caught:
            await client.put_item(TableName="users", Item=KEY)
    assert not caught.value.may_have_happened


async def test_certificates_are_verified_through_a_tunnel(proxy, tls) -> None:
    """Whoever stands in between, the certificate must prove the node."""
    async with LocalCluster(nodes=1, tls=tls) as cluster:
        async with open_alternator(
            *cluster.seeds, transport=HttpxTransport(proxy=proxy.url), tls=ssl.create_default_context(), retry=ONCE
        ) as client:
            with pytest.raises(TlsError, match="certificate verify failed"):
                await create_table(client)


@pytest.mark.parametrize(
    ("trusted", "bypass", "proxied"), [(True, "", True), (True, "127.0.0.1", False), (False, "", False)]
)
async def test_the_environment_is_asked_when_it_is_trusted(proxy, monkeypatch, trusted, bypass, proxied) -> None:
    """`trust_env` reads the usual variables, NO_PROXY among them; without it they are nothing to us."""
    for name, value in {"http_proxy": proxy.url, "no_proxy": bypass}.items():
        monkeypatch.setenv(name, value)
    async with LocalCluster(nodes=1) as cluster:
        async with open_alternator(*cluster.seeds, transport=HttpxTransport(trust_env=trusted)) as client:
            await create_table(client)
    assert bool(proxy.seen) is proxied


async def test_the_native_transport_ignores_the_environment(proxy, monkeypatch) -> None:
    """It knows no proxies."""
    monkeypatch.setenv("http_proxy", proxy.url)
    async with LocalCluster(nodes=1) as cluster, open_alternator(*cluster.seeds) as client:
        await create_table(client)
    assert not proxy.seen


async def test_a_users_client_through_a_proxy(proxy) -> None:
    """Its own settings are in force."""
    async with LocalCluster(nodes=1) as cluster, httpx.AsyncClient(proxy=proxy.url) as mine:
        async with open_alternator(*cluster.seeds, transport=mine) as client:
            await create_table(client)
    assert proxy.seen


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_cancelled_in_the_middle_nothing_is_left(proxy, tls, trust, scheme) -> None:
    """In CONNECT, in the handshake in the tunnel, in the exchange: no connection to the proxy is left."""
    async with LocalCluster(nodes=1, tls=tls if scheme == "https" else None) as cluster:
        context = trust if scheme == "https" else None
        async with open_alternator(*cluster.seeds, tls=context) as client:
            await create_table(client)

        async def scenario() -> None:
            options = HttpxTransport(proxy=proxy.url)
            async with open_alternator(*cluster.seeds, transport=options, tls=context) as client:
                for _ in range(4):
                    await client.put_item(TableName="users", Item=KEY)

        await cancel_in_the_middle(scenario, proxy, moments=15)

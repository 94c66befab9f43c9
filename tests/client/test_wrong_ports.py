"""Seeds whose scheme is not the one that their port speaks: the error asks whether that is it."""

from __future__ import annotations

import contextlib
import ssl
from functools import partial

import pytest
import trio
import trustme

from alternator_trio import ConnectionLostError, DiscoveryError, RetryPolicy, open_alternator
from alternator_trio.testing import Close, LocalCluster

ONCE = RetryPolicy(max_attempts=1)
transports = pytest.mark.parametrize("transport", ["native", "httpx"])


def certified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@transports
async def test_an_http_seed_at_an_https_port(transport):
    """The node says nothing and ends the connection."""
    async with LocalCluster(1, tls=certified()) as cluster:
        seed = cluster.seeds[0].replace("https:", "http:")
        async with open_alternator(seed, transport=transport) as client:
            with pytest.raises(DiscoveryError, match=r"; is it an https port\?$"):
                await client.refresh()


@transports
async def test_an_https_seed_at_an_http_port(transport):
    """The node answers in plain text."""
    async with LocalCluster(1) as cluster:
        seed = cluster.seeds[0].replace("http:", "https:")
        async with open_alternator(seed, transport=transport) as client:
            with pytest.raises(DiscoveryError, match=r"; is it an http port\?"):
                await client.refresh()


@transports
async def test_nobody_asks_once_a_node_has_answered(transport):
    """A connection that ends is then a node's failure, also where it is a new one."""
    async with (
        LocalCluster(1) as cluster,
        open_alternator(*cluster.seeds, discovery=False, retry=ONCE, transport=transport) as client,
    ):
        node = cluster.nodes[0]
        await client.list_tables()
        node.stop()
        node.start()
        node.clear_requests()
        node.fail_next(Close())
        with pytest.raises(ConnectionLostError) as caught:
            await client.list_tables()
        assert len(node.requests) == 1
    assert "https" not in caught.value.message


@pytest.mark.parametrize("speaks_first", [True, False])
async def test_a_seed_at_another_services_port(speaks_first):
    """Whether it greets its clients, or answers them in a protocol of its own."""

    async def serve(stream):
        with contextlib.suppress(trio.BrokenResourceError):  # nobody stays to listen
            if not speaks_first:
                await stream.receive_some()
            await stream.send_all(b"SSH-2.0-OpenSSH_9.6\r\n")
            await stream.receive_some()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), serve, 0)
        async with open_alternator(f"http://127.0.0.1:{listener.socket.getsockname()[1]}") as client:
            with pytest.raises(DiscoveryError, match=r"; is the port Alternator's\?$"):
                await client.refresh()
        nursery.cancel_scope.cancel()

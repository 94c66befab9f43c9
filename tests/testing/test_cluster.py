"""The cluster as a whole: what it is made of, what it refuses, and what is left of it."""

from __future__ import annotations

import gc
import socket
import threading
from contextlib import AsyncExitStack, suppress

import pytest
import trio
import trio.testing
import trustme

from alternator_trio.testing import Hang, LocalCluster, MinistackEngine
from alternator_trio.testing._addresses import listen
from tests.certificates import client_context, server_context


class BodyError(Exception):
    """What a body of the tests raises."""


async def test_topology_makes_the_nodes_in_order(cluster):
    """Addresses count up through datacenters and racks; one port for all."""
    places = [(node.address, node.datacenter, node.rack) for node in cluster.nodes]
    assert places == [
        ("127.0.0.1", "dc1", "rack1"),
        ("127.0.0.2", "dc1", "rack1"),
        ("127.0.0.3", "dc1", "rack2"),
        ("127.0.0.4", "dc2", "rack1"),
    ]
    assert {node.port for node in cluster.nodes} == {cluster.nodes[0].port}
    assert cluster.seeds == tuple(f"http://{node.address}:{node.port}" for node in cluster.nodes)


async def test_default_is_three_nodes_in_one_rack():
    """ScyllaDB's default names of datacenter and rack."""
    async with LocalCluster() as cluster:
        assert {(node.datacenter, node.rack) for node in cluster.nodes} == {("datacenter1", "rack1")}
        assert len(cluster.nodes) == 3


@pytest.mark.parametrize("arguments", [{"nodes": 0}, {"nodes": 255}, {"topology": {}}, {"topology": {"a": {"b": 0}}}])
def test_a_cluster_has_1_to_254_nodes(arguments):
    """What makes no node, or more than there are addresses, is refused."""
    with pytest.raises(ValueError, match="1 to 254"):
        LocalCluster(**arguments)


def test_nodes_and_topology_exclude_each_other():
    """Only one of them says how many nodes there are."""
    with pytest.raises(ValueError, match="not both"):
        LocalCluster(2, topology={"a": {"b": 1}})


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"nodes": "3"}, TypeError, "nodes must be a whole number, not '3'"),
        ({"nodes": True}, TypeError, "nodes must be a whole number"),
        ({"nodes": -1}, ValueError, "nodes must be at least 0"),
        ({"topology": ["dc1"]}, TypeError, "topology must be a mapping, not list"),
        ({"topology": {"dc1": 3}}, TypeError, r"topology\['dc1'\] must be a mapping, not int"),
        ({"topology": {"dc1": {"rack1": "2"}}}, TypeError, r"topology\['dc1'\]\['rack1'\] must be a whole number"),
        ({"topology": {"dc1": {"rack1": -2}}}, ValueError, r"topology\['dc1'\]\['rack1'\] must be at least 0"),
        ({"topology": {"": {"rack1": 1}}}, TypeError, "topology: '' is no name"),
        ({"port": 70000}, ValueError, "port must be at most 65535"),
        ({"port": "8000"}, TypeError, "port must be a whole number"),
        ({"tls": "cert.pem"}, TypeError, "tls must be a server's ssl.SSLContext, not str"),
        ({"credentials": ("role", "s3cr3t")}, TypeError, "credentials must be a mapping, not tuple"),
        ({"credentials": {"role": b"s3cr3t"}}, TypeError, r"credentials\['role'\] must be a string, not bytes"),
        ({"compress_from": 4096.0}, TypeError, "compress_from must be a whole number"),
        ({"engine": "ministack"}, TypeError, "engine must have the methods of Engine"),
        ({"clock": 0.0}, TypeError, "clock must be callable"),
    ],
)
def test_a_wrong_argument_is_named(arguments, kind, message):
    """Before anything is opened; a secret is not shown."""
    with pytest.raises(kind, match=message) as caught:
        LocalCluster(**arguments)
    assert "s3cr3t" not in str(caught.value)


async def test_its_repr_tells_where_it_stands():
    """Topology, state and seeds, before, in and after its block."""
    cluster = LocalCluster(topology={"dc1": {"rack1": 2, "rack2": 1}})
    assert repr(cluster) == "<LocalCluster dc1/rack1: 2, dc1/rack2: 1; not entered>"
    async with cluster:
        cluster.nodes[0].stop()
        seeds = ", ".join(cluster.seeds)
        assert repr(cluster) == f"<LocalCluster dc1/rack1: 2, dc1/rack2: 1; 2 of 3 running; seeds {seeds}>"
    assert repr(cluster) == "<LocalCluster dc1/rack1: 2, dc1/rack2: 1; over>"


async def test_a_given_port_is_taken(cluster):
    """A port in use is an error that names address and port."""
    port = cluster.nodes[0].port
    with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
        async with LocalCluster(2, port=port):
            pass
    for node in cluster.nodes:
        node.stop()
    async with LocalCluster(2, port=port) as second:
        assert second.nodes[1].port == port


async def test_a_failed_entry_leaves_no_listener(cluster):
    """When the second node's address is taken, the first one's listener is closed again."""
    cluster.nodes[0].stop()
    with pytest.raises(OSError, match="cannot listen"):
        async with LocalCluster(2, port=cluster.nodes[0].port):
            pass
    cluster.nodes[0].start()


def test_a_missing_loopback_address_says_what_to_do():
    """Where 127.0.0.2 has to be added by hand, the error is the command (192.0.2.1 exists nowhere)."""
    with pytest.raises(OSError, match=r"sudo ifconfig lo0 alias 192\.0\.2\.1 up"):
        listen("192.0.2.1", 0)


async def test_two_clusters_share_nothing(cluster, client, dial):
    """Neither port nor store."""
    async with LocalCluster(1) as second, dial(second.nodes[0]) as other:
        assert second.nodes[0].port != cluster.nodes[0].port
        assert (await other.call("ListTables", {})).json == {"TableNames": []}


async def test_a_cluster_is_entered_once(cluster):
    """A second entry is an error, and leaves the first alone."""
    with pytest.raises(RuntimeError, match="once"):
        await cluster.__aenter__()
    assert all(node.is_running for node in cluster.nodes)


async def test_a_given_engine_outlives_the_cluster(dial, id_table):
    """Who opened the engine closes it: its data are there for the next cluster."""
    engine = MinistackEngine()
    async with LocalCluster(1, engine=engine) as cluster, dial(cluster.nodes[0]) as client:
        await client.call("CreateTable", id_table)
    async with LocalCluster(1, engine=engine) as cluster, dial(cluster.nodes[0]) as client:
        assert (await client.call("ListTables", {})).json == {"TableNames": ["users"]}
    await engine.aclose()


async def test_the_bodys_exception_leaves_bare():
    """No exception group: the nursery does not show."""
    with pytest.raises(BodyError) as caught:
        async with LocalCluster(1):
            raise BodyError
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def leave_by_return(_):
    """The body ends."""


async def leave_by_exception(_):
    raise BodyError


async def leave_by_cancellation(scope):
    scope.cancel()
    await trio.sleep_forever()


@pytest.mark.parametrize("leave", [leave_by_return, leave_by_exception, leave_by_cancellation])
async def test_nothing_outlives_the_block(dial, leave):
    """Whatever ended it: no task, no thread, no listener, no connection; a busy, a paused and a hanging node alike."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    MinistackEngine()  # its daemon thread, if this is the first
    threads = set(threading.enumerate())
    async with AsyncExitStack() as clients:
        with trio.CancelScope() as scope, suppress(BodyError):
            async with LocalCluster(3) as cluster:
                busy, paused, hanging = [await clients.enter_async_context(dial(node)) for node in cluster.nodes]
                cluster.nodes[0].delay = 60
                cluster.nodes[1].pause()
                cluster.nodes[2].fail_next(Hang())
                await busy.send(b"GET / HTTP/1.1\r\n\r\n")
                await paused.send(b"GET / HTTP/1.1\r\n\r\n")
                await hanging.send(b"POST / HTTP/1.1\r\nx-amz-target: A.B\r\ncontent-length: 0\r\n\r\n")
                while not (cluster.nodes[0].requests and cluster.nodes[2].requests):
                    await trio.testing.wait_all_tasks_blocked()
                await leave(scope)
        for client in (busy, paused, hanging):
            assert await client.end() in {"fin", "reset"}
    for node in cluster.nodes:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((node.address, node.port)).close()
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert set(threading.enumerate()) <= threads
    del cluster
    gc.collect()  # a socket that was left open would warn here, and fail the test


async def test_nothing_starts_after_the_block():
    """A node of a cluster that is over cannot be started, and leaves no listener."""
    async with LocalCluster(1) as cluster:
        pass
    with pytest.raises(RuntimeError, match="over"):
        cluster.nodes[0].start()
    assert not cluster.nodes[0].is_running
    listen("127.0.0.1", cluster.nodes[0].port).close()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def server_tls(authority):
    return server_context(authority, "127.0.0.1", "127.0.0.2")


@pytest.fixture
def client_tls(authority):
    return client_context(authority)


async def test_nodes_speak_tls(server_tls, client_tls, dial, id_table):
    """With a server context the seeds are https, and operations and discovery work over TLS."""
    async with LocalCluster(2, tls=server_tls) as cluster, dial(cluster.nodes[1]) as client:
        assert cluster.seeds[0].startswith("https://127.0.0.1:")
        client.stream = trio.SSLStream(client.stream, client_tls, server_hostname="127.0.0.2", https_compatible=True)
        assert (await client.request("GET", "/localnodes")).json == ["127.0.0.1", "127.0.0.2"]
        large = {**id_table, "Tags": [{"Key": "k", "Value": "x"}]}
        assert (await client.call("CreateTable", large)).status == 200


async def test_plain_http_to_a_tls_node_ends_that_connection_only(server_tls, client_tls, dial, caplog):
    """A failed handshake is the client's failure: nothing is logged, the node serves on."""
    async with LocalCluster(1, tls=server_tls) as cluster:
        async with dial(cluster.nodes[0]) as plain:
            await plain.send(b"GET / HTTP/1.1\r\n\r\n")
            await plain.end()
        async with dial(cluster.nodes[0]) as client:
            client.stream = trio.SSLStream(
                client.stream, client_tls, server_hostname="127.0.0.1", https_compatible=True
            )
            assert (await client.request("GET", "/")).status == 200
    assert caplog.records == []

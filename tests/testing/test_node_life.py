"""Stopping, killing, starting and pausing nodes, seen from a socket."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

import pytest
import trio
import trio.testing

from alternator_trio.testing import LocalCluster


async def test_stop_closes_connections_in_order(cluster, dial):
    """A client of a stopped node sees FIN."""
    async with dial(cluster.nodes[0]) as client:
        await client.request("GET", "/")
        cluster.nodes[0].stop()
        assert await client.end() == "fin"


async def test_kill_resets_connections(cluster, dial):
    """A client of a killed node sees RST."""
    async with dial(cluster.nodes[0]) as client:
        await client.request("GET", "/")
        cluster.nodes[0].kill()
        assert await client.end() == "reset"


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_node_that_is_down_refuses_connections(cluster, dial, end):
    """Nothing listens on the address of a node that is down, from the moment the call returns."""
    getattr(cluster.nodes[0], end)()
    with pytest.raises(OSError, match="connect"):
        async with dial(cluster.nodes[0]):
            pass


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_started_node_serves_on_the_same_address(cluster, dial, end):
    """After `start` the node listens where it did, with the cluster's store and no old connection."""
    node = cluster.nodes[0]
    async with dial(node) as old:
        await old.request("GET", "/")
        url = node.url
        getattr(node, end)()
        node.start()
        async with dial(node) as client:
            assert (await client.request("GET", "/")).status == 200
        assert node.url == url
        assert node.is_running
        await old.end()


async def test_stop_start_and_kill_can_be_repeated(cluster, dial, id_table):
    """Twenty restarts in a row, each with a connection open, each serving again."""
    node = cluster.nodes[1]
    for turn in range(20):
        async with dial(node) as client:
            await client.request("GET", "/")
            (node.stop, node.kill)[turn % 2]()
            node.start()
    node.start()
    async with dial(node) as client:
        assert (await client.call("CreateTable", id_table)).status == 200


async def test_ending_twice_is_ending_once(cluster):
    """`stop` and `kill` of a node that is down do nothing."""
    cluster.nodes[0].stop()
    cluster.nodes[0].stop()
    cluster.nodes[0].kill()
    assert not cluster.nodes[0].is_listed


async def test_a_paused_node_accepts_and_answers_nothing(cluster, dial):
    """Old and new connections hang while the node is paused, and nothing is recorded."""
    node = cluster.nodes[0]
    async with dial(node) as old:
        await old.request("GET", "/")
        node.clear_requests()
        node.pause()
        async with dial(node) as new:
            for client in (old, new):
                with trio.move_on_after(0.02) as waiting:
                    await client.request("GET", "/")
                assert waiting.cancelled_caught
            assert node.requests == []
        assert node.is_listed


async def test_a_resumed_node_answers_what_came_in_the_meantime(cluster, dial):
    """What was sent to a paused node is answered after `resume`."""
    async with dial(cluster.nodes[0]) as client:
        cluster.nodes[0].pause()
        await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        cluster.nodes[0].resume()
        assert (await client.answer("GET")).body == b"healthy: x"


async def test_a_node_paused_in_the_middle_of_an_answer_goes_on_with_it(cluster, client):
    """What the kernel had taken still arrives, the rest waits for `resume`, and the answer is whole."""
    text = "x" * 12_000_000
    await client.call("PutItem", {"TableName": "users", "Item": {"id": {"S": "ada"}, "text": {"S": text}}})
    body = b'{"TableName": "users", "Key": {"id": {"S": "ada"}}}'
    await client.send(b"POST / HTTP/1.1\r\nx-amz-target: A.GetItem\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    received = len(await client.stream.receive_some(1000))
    cluster.nodes[0].pause()
    with trio.move_on_after(0.05):
        while True:
            received += len(await client.stream.receive_some())
    assert received < len(text)
    cluster.nodes[0].resume()
    with trio.fail_after(10):
        while received < len(text):
            received += len(await client.stream.receive_some())


async def test_a_node_out_of_descriptors_accepts_later(cluster, dial):
    """Too many connections are no reason to die: those that wait are accepted when descriptors are free again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = trio.socket.socket()
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with suppress(OSError):  # until there is none left
            while True:
                taken.append(os.dup(0))
        await waiting.connect((cluster.nodes[0].address, cluster.nodes[0].port))
        with trio.move_on_after(0.02):
            await trio.sleep_forever()
        assert cluster.nodes[0].open_connections == 0
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with waiting, trio.fail_after(10):
        await waiting.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await waiting.recv(100)).startswith(b"HTTP/1.1 200")


async def test_a_node_says_what_and_where_it_is(cluster):
    """The representation has the endpoint, the place and the state."""
    node = cluster.nodes[2]
    assert repr(node) == f"<LocalNode {node.url} dc1/rack2 running>"
    node.stop()
    assert repr(node) == f"<LocalNode {node.url} dc1/rack2 down>"


async def test_a_paused_node_can_be_killed_and_comes_back_unpaused(cluster, dial):
    """A pause belongs to the process: it ends with it."""
    node = cluster.nodes[0]
    node.pause()
    async with dial(node) as client:
        await client.send(b"GET / HTTP/1.1\r\n\r\n")
        node.kill()
        assert await client.end() == "reset"
    node.start()
    async with dial(node) as client:
        assert (await client.request("GET", "/")).status == 200


async def test_a_node_that_is_down_cannot_be_paused(cluster):
    """`pause` and `resume` need a running process."""
    cluster.nodes[0].stop()
    with pytest.raises(RuntimeError, match="not running"):
        cluster.nodes[0].pause()


async def test_delay_is_added_before_each_answer(mock_clock, cluster, dial):
    """The answer comes after `delay` seconds of Trio's clock, not before."""
    async with dial(cluster.nodes[0]) as client, trio.open_nursery() as nursery:
        cluster.nodes[0].delay = 5.0
        answered = trio.Event()

        async def ask():
            await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await client.stream.receive_some()
            answered.set()

        nursery.start_soon(ask)
        while not cluster.nodes[0].requests:
            await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(4.9)
        await trio.testing.wait_all_tasks_blocked()
        assert not answered.is_set()
        mock_clock.jump(0.2)
        await answered.wait()


async def test_requests_are_recorded_as_they_came(cluster, dial):
    """Method, target, headers in wire order and case, raw body and operation are kept; connections are told apart."""
    node = cluster.nodes[0]
    async with dial(node) as one, dial(node) as two:
        await one.request("GET", "/localnodes?dc=x", headers=[("X-CamelCase", "1"), ("a", "2")])
        await two.call("GetItem", b"\x01 raw")
        await one.request("GET", "/")
    first, second, third = node.requests
    assert (first.method, first.path, first.operation) == ("GET", "/localnodes?dc=x", None)
    assert first.headers[1:3] == ((b"X-CamelCase", b"1"), (b"a", b"2"))
    assert first.header("x-camelcase") == "1"
    assert first.header("missing") is None
    assert (second.body, second.operation) == (b"\x01 raw", "GetItem")
    assert first.connection_id == third.connection_id != second.connection_id


async def test_a_nodes_record_is_its_own_and_can_be_cleared(cluster, dial):
    """What one node received is on no other's record; `clear_requests` empties it."""
    async with dial(cluster.nodes[0]) as client:
        await client.request("GET", "/")
    assert [len(node.requests) for node in cluster.nodes] == [1, 0, 0, 0]
    cluster.nodes[0].clear_requests()
    assert cluster.nodes[0].requests == []


async def test_recording_can_be_switched_off(dial):
    """A cluster for long runs keeps no record."""
    async with LocalCluster(1, record_requests=False) as cluster, dial(cluster.nodes[0]) as client:
        await client.request("GET", "/")
        assert cluster.nodes[0].requests == []


async def test_idle_connections_stay_open(mock_clock, cluster, dial):
    """A node never closes an idle connection: an hour later it still answers on it."""
    async with dial(cluster.nodes[0]) as client:
        await client.request("GET", "/")
        mock_clock.jump(3600)
        assert (await client.request("GET", "/")).status == 200
        assert cluster.nodes[0].open_connections == 1


@pytest.mark.parametrize(
    ("seconds", "kind"), [(-1.0, ValueError), ("1", TypeError), (float("nan"), TypeError), (True, TypeError)]
)
async def test_times_that_are_none_are_refused(cluster, seconds, kind):
    """A delay and a time on the list are zero or more seconds; the node goes on as it was."""
    node = cluster.nodes[0]
    with pytest.raises(kind, match="listed_for must be"):
        node.kill(listed_for=seconds)
    with pytest.raises(kind, match="delay must be"):
        node.delay = seconds
    assert node.is_running
    assert node.delay == 0.0


async def test_only_an_answer_stands_in_for_the_list(cluster):
    """Not the list itself: its status and bytes would be anybody's guess."""
    with pytest.raises(TypeError, match="localnodes_answer must be an Answer or None"):
        cluster.nodes[0].localnodes_answer = ["127.0.0.1"]

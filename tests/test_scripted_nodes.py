"""The scripted nodes themselves: a connection in memory has the manners of a socket, and scripts are followed."""

from __future__ import annotations

import json
import socket
import struct

import pytest
import trio
import trio.testing

from alternator_trio._transport.wires import Peek, SocketWire
from alternator_trio.errors import ConnectError
from alternator_trio.testing import Answer, Close, Hang, Reset, Truncate
from tests.memory_ends import memory_pair
from tests.scripted_nodes import Late, Raw, ScriptedNodes, answer_json

HEAD = b"POST / HTTP/1.1\r\nhost: a\r\nx-amz-target: DynamoDB_20120810.GetItem\r\ncontent-length: 2\r\n\r\n{}"
LIST = b"GET /localnodes HTTP/1.1\r\nhost: a\r\n\r\n"
TOPOLOGY = {"dc1": {"rack1": 2, "rack2": 1}, "dc2": {"rack1": 1}}


def tcp_pair():
    """Two ends over the kernel: what the ends in memory are to be like."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()

    class Resettable(SocketWire):
        def close(self, *, reset=False):
            if reset:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            super().close()

    return SocketWire(one), Resettable(other)


@pytest.fixture(params=[memory_pair, tcp_pair], ids=["memory", "tcp"])
async def pair(request):
    mine, theirs = request.param()
    yield mine, theirs
    mine.close()
    theirs.close()


@pytest.fixture
async def nodes():
    async with ScriptedNodes(3) as scripted:
        yield scripted


async def dialled(nodes, host="10.0.0.1"):
    return await nodes.dial(nodes[host].node)


async def test_bytes_arrive(pair):
    """What one end sends, the other receives."""
    mine, theirs = pair
    await theirs.send(b"abc")
    assert await mine.receive() == b"abc"


async def test_bytes_before_an_end_are_still_read(pair):
    """A FIN comes after the bytes that were sent before it."""
    mine, theirs = pair
    await theirs.send(b"abc")
    theirs.close()
    assert await mine.receive() == b"abc"
    assert await mine.receive() == b""


async def test_bytes_before_a_reset_are_still_read(pair):
    """An RST overtakes nothing that has arrived; after it comes an error, not an end."""
    mine, theirs = pair
    await theirs.send(b"abc")
    theirs.close(reset=True)
    assert await mine.receive() == b"abc"
    with pytest.raises(ConnectionResetError):
        await mine.receive()


async def test_closing_wakes_the_one_who_receives(pair, nursery):
    """A receive on an end that its own side closes raises ClosedResourceError."""
    mine, _ = pair
    woken = trio.Event()

    async def receive():
        with pytest.raises(trio.ClosedResourceError):
            await mine.receive()
        woken.set()

    nursery.start_soon(receive)
    await trio.testing.wait_all_tasks_blocked()
    mine.close()
    with trio.fail_after(1):
        await woken.wait()


@pytest.mark.parametrize("event", ["nothing", "bytes", "end", "reset"])
async def test_a_look_takes_nothing(pair, event):
    """Peek tells quiet, stray bytes and an end apart."""
    mine, theirs = pair
    if event == "bytes":
        await theirs.send(b"abc")
    elif event != "nothing":
        theirs.close(reset=event == "reset")
    expected = {"nothing": Peek.QUIET, "bytes": Peek.STRAY, "end": Peek.ENDED, "reset": Peek.ENDED}[event]
    with trio.fail_after(1):
        while mine.peek() is not expected:  # nothing tells when the kernel has passed it on
            await trio.sleep(0.001)


async def test_requests_are_recorded_and_answered(autojump_clock, nodes):
    """A node answers by its script, keeps the connection, and notes what came, where, when and on which connection."""
    wire = await dialled(nodes)
    for _ in range(2):
        await wire.send(HEAD)
        assert (await wire.receive()).endswith(b"\r\n\r\n{}")
        await trio.sleep(1)
    seen = [(r.operation, r.body, r.host, round(r.at), r.connection_id) for r in nodes.requests]
    assert seen == [("GetItem", b"{}", "10.0.0.1", 0, 1), ("GetItem", b"{}", "10.0.0.1", 1, 1)]


async def test_the_node_list_is_that_of_the_cluster_or_the_nodes_own(autojump_clock, nodes):
    """`listed` holds for all nodes, `lists` for one."""
    nodes.listed = ["10.0.0.9"]
    nodes[1].lists("10.0.0.7")
    for host, expected in (("10.0.0.1", b'["10.0.0.9"]'), ("10.0.0.2", b'["10.0.0.7"]')):
        wire = await dialled(nodes, host)
        await wire.send(LIST)
        assert (await wire.receive()).endswith(expected)


@pytest.mark.parametrize(
    ("fault", "received", "end"),
    [
        (Answer(status=500, body=b"no"), b"no", "open"),
        (Answer(status=500, body=b"no", close=True), b"no", "fin"),
        (Raw(data=b"HTTP/1.1 2"), b"HTTP/1.1 2", "open"),
        (Raw(data=b"HTTP/1.1 2", then="close"), b"HTTP/1.1 2", "fin"),
        (Raw(data=b"HTTP/1.1 2", then="hang"), b"HTTP/1.1 2", "open"),
        (Raw(data=b"HTTP/1.1 2", then="reset"), b"HTTP/1.1 2", "rst"),
        (Truncate(body_bytes=1), b"{", "fin"),
        (Close(), b"", "fin"),
        (Reset(), b"", "rst"),
        (Hang(), b"", "open"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_fault_is_committed_once(autojump_clock, nodes, fault, received, end):
    """A fault meets one request of its operation, with the bytes and the ending that it names."""
    nodes[0].fail_next(fault, operation="GetItem")
    wire = await dialled(nodes)
    await wire.send(HEAD)
    seen, how = b"", "open"
    with trio.move_on_after(10):
        try:
            while data := await wire.receive():
                seen += data
            how = "fin"
        except ConnectionResetError:
            how = "rst"
    assert (seen.endswith(received), how) == (True, end)
    again = await dialled(nodes)
    await again.send(HEAD)
    assert (await again.receive()).startswith(b"HTTP/1.1 200")


async def test_answers_can_be_late(autojump_clock, nodes):
    """`Late` holds one answer back, `delay` every one."""
    wire = await dialled(nodes)
    nodes[0].fail_next(Late(seconds=3.0))
    nodes[0].delay = 1.0
    for expected in (3.0, 4.0):
        await wire.send(HEAD)
        await wire.receive()
        assert trio.current_time() == pytest.approx(expected)


async def test_a_fault_for_any_operation_leaves_discovery_alone(autojump_clock, nodes):
    """As with the embedded cluster."""
    nodes[0].fail_next(Close())
    wire = await dialled(nodes)
    await wire.send(LIST)
    assert (await wire.receive()).startswith(b"HTTP/1.1 200")


async def test_dialling_fails_where_a_test_says_so(autojump_clock, nodes):
    """Refused at once, or silent until the connect timeout; and nobody lives at another port."""
    nodes[0].refuse()
    nodes[1].black_hole()
    for node, seconds in ((nodes[0].node, 0.0), (nodes[1].node, 2.0), (nodes[2].node.at("10.0.0.9"), 0.0)):
        began = trio.current_time()
        with pytest.raises(ConnectError):
            await nodes.dial(node)
        assert trio.current_time() - began == pytest.approx(seconds)
    nodes[0].accept()
    await dialled(nodes)


async def test_counts_follow_either_sides_close_at_once(autojump_clock, nodes):
    """Connections that neither side has closed are open; closing needs no scheduling to be counted."""
    first, second = await dialled(nodes), await dialled(nodes)
    assert (nodes.connects, nodes.open_connections) == (2, 2)
    first.close()
    assert nodes.open_connections == 1
    nodes[0].kill()
    assert nodes.open_connections == 0
    with pytest.raises(ConnectionResetError):
        await second.receive()


async def test_a_whole_client_runs_over_them(autojump_clock, nodes):
    """Discovery, routing and an operation, without a socket."""
    nodes.respond = lambda request: answer_json({"Item": {"id": {"S": request.host}}})
    async with nodes.open_client(nodes[0].url) as client:
        await client.refresh()
        seen = {(await client.get_item(TableName="users", Key={}))["Item"]["id"]["S"] for _ in range(3)}
    assert seen == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
    assert nodes.open_connections == 0


async def listed(nodes, host, query=""):
    wire = await dialled(nodes, host)
    await wire.send(f"GET /localnodes{query} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    body = (await wire.receive()).partition(b"\r\n\r\n")[2]
    wire.close()
    return [int(host.rpartition(".")[2]) for host in json.loads(body)]


@pytest.mark.parametrize(
    ("host", "query", "numbers"),
    [
        ("10.0.0.1", "", [1, 2, 3]),
        ("10.0.0.4", "", [4]),
        ("10.0.0.4", "?dc=dc1", [1, 2, 3]),
        ("10.0.0.4", "?dc=dc1&rack=rack2", [3]),
        ("10.0.0.3", "?rack=rack1", [1, 2]),
        ("10.0.0.1", "?dc=dc9", []),
        ("10.0.0.1", "?dc=dc1&rack=rack9", []),
    ],
)
async def test_a_topology_is_listed_as_the_server_lists_it(host, query, numbers):
    """The asked node's datacenter unless another is named, its rack if one is; what is unknown is an empty list."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes:
        assert await listed(nodes, host, query) == numbers


async def test_an_old_server_ignores_the_parameters():
    """It lists its own datacenter, whatever it is asked for."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes:
        nodes.ignores_parameters = True
        assert await listed(nodes, "10.0.0.4", "?dc=dc1&rack=rack1") == [4]


async def test_a_node_that_was_stopped_is_not_listed():
    """Unlike one that was killed; started again, both are."""
    async with ScriptedNodes(topology=TOPOLOGY) as nodes:
        nodes[0].stop()
        nodes[1].kill()
        assert await listed(nodes, "10.0.0.3") == [2, 3]
        with pytest.raises(ConnectError):
            await nodes.dial(nodes[0].node)
        nodes[0].start()
        nodes[1].start()
        assert sorted(await listed(nodes, "10.0.0.1")) == [1, 2, 3]

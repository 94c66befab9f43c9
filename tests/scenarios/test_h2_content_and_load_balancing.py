"""H2: compression and lean headers go well with routing and retries."""

from __future__ import annotations

import collections
import gzip
import json
import zlib

import pytest

from alternator_trio import RequestCompression, open_alternator
from alternator_trio.testing import Reset
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.waiting import all_active

ITEM = {"id": {"S": "ada"}, "text": {"S": "lorem ipsum " * 200}}
PUT = {"TableName": "users", "Item": ITEM}
UNPACK = {"gzip": gzip.decompress, "deflate": zlib.decompress}
LEAN = {"host", "user-agent", "x-amz-target", "content-type", "content-encoding", "content-length"}
CHOICES = [RequestCompression.gzip(), RequestCompression.deflate(level=1)]


def assert_whole(request, compression):
    """Compressed as asked, the whole operation inside, and no header but the lean ones."""
    assert request.header("content-encoding") == compression.encoding
    assert int(request.header("content-length")) == len(request.body)
    assert json.loads(UNPACK[compression.encoding](request.body)) == PUT
    assert {name.decode() for name, _ in request.headers} == LEAN


@pytest.mark.parametrize("compression", CHOICES, ids=str)
async def test_h2_each_node_gets_its_share_as_it_should_be(autojump_clock, nodes, compression):
    """Thirty puts over three nodes, one of which resets every connection once: all are what was asked for."""
    async with nodes.open_client(request_compression=compression) as client:
        await client.refresh()
        nodes[0].fail_next(Reset(), times=3, operation="PutItem")
        for _ in range(30):
            await client.put_item(**PUT)
        assert client.statistics().retries == 3
    received = nodes.requests_of("PutItem")
    for request in received:
        assert_whole(request, compression)
    shares = collections.Counter(request.host for request in received)
    assert sum(shares.values()) == 33
    assert shares["10.0.0.1"] == 10
    # A retry carries the very bytes of the attempt before, but for the node's address.
    assert len({request.body for request in received}) == 1


async def test_h2_over_tcp(cluster, proxy):
    """The same through the proxy: equal shares, compressed and lean, and the items can be read."""
    compression = RequestCompression.gzip()
    async with open_alternator(*proxy.seeds, request_compression=compression) as client:
        await all_active(client)
        cluster.nodes[1].fail_next(Reset(), operation="PutItem")
        for _ in range(30):
            await client.put_item(**PUT)
        assert client.statistics().retries == 1
        answer = await client.get_item(TableName="users", Key={"id": ITEM["id"]})
        assert answer["Item"] == ITEM
    received = [[request for request in node.requests if request.operation == "PutItem"] for node in cluster.nodes]
    for requests in received:
        for request in requests:
            assert_whole(request, compression)
    assert sum(map(len, received)) == 31
    assert len(received[1]) == 10


async def test_h2_cancelled_in_the_middle(autojump_clock, nodes):
    """No connection is left, also of a large body that is being sent."""

    async def scenario():
        async with nodes.open_client(request_compression=RequestCompression.gzip()) as client:
            for _ in range(6):
                await client.put_item(**PUT)

    await cancel_in_the_middle(scenario, nodes)

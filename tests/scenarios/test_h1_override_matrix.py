"""H1: an operation's own options win over the client's, for that operation alone, in every combination."""

from __future__ import annotations

import gzip
import itertools
import zlib

import pytest

from alternator_trio import RequestCompression
from tests.scenarios.cancellation import cancel_in_the_middle

COMPRESSIONS = {
    "as it is": None,
    "gzip": RequestCompression.gzip(threshold_bytes=0),
    "deflate": RequestCompression.deflate(threshold_bytes=0),
}
HEADERS = {"lean": True, "as an SDK": False}
CHOICES = list(itertools.product(COMPRESSIONS, HEADERS))
ITEM = {"id": {"S": "ada"}, "text": {"S": "lorem ipsum " * 40}}
SDK_FIELDS = {"amz-sdk-invocation-id", "amz-sdk-request", "connection"}


def options(choice):
    compression, headers = choice
    return {"request_compression": COMPRESSIONS[compression], "optimize_headers": HEADERS[headers]}


def seen(request):
    """What a node received, as a choice."""
    unpack = {None: bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}
    coding = request.header("content-encoding")
    assert b"lorem ipsum" in unpack[coding](request.body)
    names = {name.decode().lower() for name, _ in request.headers}
    present = SDK_FIELDS & names
    assert present in (set(), SDK_FIELDS)
    return coding or "as it is", "as an SDK" if present else "lean"


def puts(nodes):
    return [seen(request) for request in nodes.requests_of("PutItem")]


@pytest.mark.parametrize("override", CHOICES, ids=" ".join)
@pytest.mark.parametrize("default", CHOICES, ids=" ".join)
async def test_h1_the_override_wins_and_the_next_call_is_back(autojump_clock, nodes, default, override):
    """Plain, customised by a view, customised for one call, plain again."""
    async with nodes.open_client(**options(default)) as client:
        put = {"TableName": "users", "Item": ITEM}
        await client.put_item(**put)
        await client.with_options(**options(override)).put_item(**put)
        await client.put_item(**put)
        await client.call("PutItem", put, **options(override))
        await client.put_item(**put)
    assert puts(nodes) == [default, override, default, override, default]


async def test_h1_a_view_of_a_view_keeps_what_it_does_not_change(autojump_clock, nodes):
    """Options add up, and the client they came from is as it was."""
    async with nodes.open_client() as client:
        packed = client.with_options(request_compression=COMPRESSIONS["gzip"])
        both = packed.with_options(optimize_headers=False)
        for each in (client, packed, both, client):
            await each.put_item(TableName="users", Item=ITEM)
    plain = ("as it is", "lean")
    assert puts(nodes) == [plain, ("gzip", "lean"), ("gzip", "as an SDK"), plain]


async def test_h1_cancelled_in_the_middle(autojump_clock, nodes):
    """A customised operation that is cancelled leaves no connection, and nothing customised behind."""

    async def scenario():
        async with nodes.open_client() as client:
            for _ in range(5):
                await client.with_options(**options(("gzip", "as an SDK"))).put_item(TableName="users", Item=ITEM)
                await client.put_item(TableName="users", Item=ITEM)

    await cancel_in_the_middle(scenario, nodes)
    assert set(puts(nodes)) <= {("gzip", "as an SDK"), ("as it is", "lean")}

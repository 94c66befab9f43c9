"""`LocalNode.fail_next`: every fault, what it does to the connection, and whether the operation took effect."""

from __future__ import annotations

import h11
import pytest
import trio
import trio.testing

from alternator_trio.testing import Answer, Close, Hang, Reset, Shed, Truncate

PUT = {"TableName": "users", "Item": {"id": {"S": "ada"}}}
GET = {"TableName": "users", "Key": {"id": {"S": "ada"}}}


async def is_stored(cluster, dial):
    async with dial(cluster.nodes[1]) as other:
        return "Item" in (await other.call("GetItem", GET)).json


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize(("fault", "end"), [(Reset, "reset"), (Close, "fin")])
async def test_the_connection_ends_without_an_answer(cluster, client, dial, fault, end, executed):
    """Reset is RST, Close is FIN; the write took effect exactly when the fault says so."""
    cluster.nodes[0].fail_next(fault(executed=executed))
    with pytest.raises((trio.BrokenResourceError, h11.RemoteProtocolError)):
        await client.call("PutItem", PUT)
    assert await is_stored(cluster, dial) is executed
    if end == "fin":
        assert await client.end() == "fin"


@pytest.mark.parametrize("executed", [False, True])
async def test_a_hanging_request_keeps_its_connection(cluster, client, dial, executed):
    """No answer and no end comes, until the client leaves."""
    cluster.nodes[0].fail_next(Hang(executed=executed))
    with trio.move_on_after(0.05) as waiting:
        await client.call("PutItem", PUT)
    assert waiting.cancelled_caught
    assert cluster.nodes[0].open_connections == 1
    await client.stream.aclose()
    while cluster.nodes[0].open_connections:
        await trio.testing.wait_all_tasks_blocked()
    assert await is_stored(cluster, dial) is executed


@pytest.mark.parametrize("fault", [Truncate(), Truncate(body_bytes=5), Truncate(body_bytes=5, chunked=True)])
async def test_a_truncated_answer_is_an_incomplete_message(cluster, client, fault):
    """The head promises more than comes, with Content-Length and in chunks."""
    await client.call("PutItem", PUT)
    cluster.nodes[0].fail_next(fault)
    with pytest.raises(h11.RemoteProtocolError, match=r"incomplete|without sending complete"):
        await client.call("GetItem", GET)


async def test_a_truncated_chunked_answer_may_have_all_but_the_last_chunk(cluster, client):
    """Every byte of the body came, and the message is still not complete."""
    cluster.nodes[0].fail_next(Truncate(body_bytes=10**6, chunked=True))
    with pytest.raises(h11.RemoteProtocolError, match="incomplete"):
        await client.call("GetItem", GET)


async def test_a_given_answer_is_sent_as_given(cluster, client, dial):
    """Status, body and headers are the test's; the operation did not run; the connection goes on."""
    fault = Answer(status=599, body=b"<html>", headers=(("Content-Type", "text/html"), ("X-Extra", "1")))
    cluster.nodes[0].fail_next(fault)
    reply = await client.call("PutItem", PUT)
    assert (reply.status, reply.body) == (599, b"<html>")
    assert (reply.headers["content-type"], reply.headers["x-extra"]) == ("text/html", "1")
    assert not await is_stored(cluster, dial)
    assert (await client.call("PutItem", PUT)).status == 200


async def test_a_given_answer_may_follow_the_operation_and_end_the_connection(cluster, client, dial):
    """A write took effect, its client was told 500, and the connection closed unannounced."""
    cluster.nodes[0].fail_next(Answer(status=500, executed=True, close=True))
    reply = await client.call("PutItem", PUT)
    assert reply.status == 500
    assert "connection" not in reply.headers
    assert await client.end() == "fin"
    assert await is_stored(cluster, dial)


@pytest.mark.parametrize("drop", [False, True])
async def test_a_shard_sheds_what_is_too_much(cluster, client, dial, drop):
    """RequestLimitExceeded, nothing executed; some versions then drop the connection that they promised to keep."""
    cluster.nodes[0].fail_next(Shed(drop=drop))
    reply = await client.call("PutItem", PUT)
    assert (reply.status, reply.json["__type"].rpartition("#")[2]) == (400, "RequestLimitExceeded")
    assert "connection" not in reply.headers
    if drop:
        assert await client.end() == "fin"
    else:
        assert (await client.call("GetItem", GET)).json == {}
    assert not await is_stored(cluster, dial)


async def test_a_fault_meets_its_operation_only(cluster, client):
    """A fault for PutItem leaves GetItem alone."""
    cluster.nodes[0].fail_next(Answer(status=503), operation="PutItem")
    assert (await client.call("GetItem", GET)).status == 200
    assert (await client.call("PutItem", PUT)).status == 503
    assert (await client.call("PutItem", PUT)).status == 200


async def test_a_fault_for_any_operation_leaves_discovery_alone(cluster, client):
    """Discovery and health checks do not use up a fault that names no operation."""
    cluster.nodes[0].fail_next(Answer(status=503))
    assert (await client.request("GET", "/localnodes")).status == 200
    assert (await client.request("GET", "/")).status == 200
    assert (await client.call("GetItem", GET)).status == 503


async def test_discovery_can_be_made_to_fail(cluster, client):
    """``"localnodes"`` names discovery's GET, and nothing else."""
    cluster.nodes[0].fail_next(Answer(status=503), operation="localnodes")
    assert (await client.call("GetItem", GET)).status == 200
    assert (await client.request("GET", "/localnodes?dc=dc1")).status == 503


async def test_faults_are_used_up_in_order(cluster, client):
    """`times` requests meet the first fault, the next meets the second, then all is well."""
    cluster.nodes[0].fail_next(Answer(status=503), times=2)
    cluster.nodes[0].fail_next(Answer(status=502))
    assert [(await client.call("GetItem", GET)).status for _ in range(4)] == [503, 503, 502, 200]


async def test_pending_faults_can_be_forgotten(cluster, client):
    """After `clear_faults` the node answers as it should."""
    cluster.nodes[0].fail_next(Answer(status=503), times=9)
    cluster.nodes[0].clear_faults()
    assert (await client.call("GetItem", GET)).status == 200


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"times": 0}, ValueError, "times must be at least 1, not 0"),
        ({"times": 1.5}, TypeError, "times must be a whole number, not 1.5"),
        ({"times": True}, TypeError, "times must be a whole number"),
        ({"operation": "GetItems"}, ValueError, "'GetItems' is no operation .* did you mean 'GetItem'"),
        ({"operation": "local_nodes"}, ValueError, "did you mean 'localnodes'"),
        ({"operation": ""}, ValueError, "'' is no operation"),
        ({"fault": Reset}, TypeError, r"write Reset\(\)"),
        ({"fault": None}, TypeError, "None is none of Answer, Close"),
    ],
)
async def test_a_fault_that_meets_no_request_is_refused(cluster, arguments, kind, message):
    """A slip of the pen must not make a test of nothing: the error names what is wrong."""
    with pytest.raises(kind, match=message):
        cluster.nodes[0].fail_next(**{"fault": Reset(), **arguments})


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Answer(status=42), ValueError, "three digits"),
        (lambda: Answer(status=1000), ValueError, "three digits"),
        (lambda: Answer(status=200, body="{}"), TypeError, "body must be bytes, not str"),
        (lambda: Answer(status=200, headers=(("Retry-After", 1),)), TypeError, "Retry-After"),
        (lambda: Truncate(body_bytes=-1), ValueError, "body_bytes must be at least 0"),
    ],
)
def test_a_fault_that_cannot_be_committed_is_refused(make, kind, message):
    """When it is made, not by a node in the middle of an answer."""
    with pytest.raises(kind, match=message):
        make()


async def test_the_answer_for_localnodes_may_carry_headers_and_no_type(cluster, client):
    """A given answer goes out with the usual type, unless it names one."""
    cluster.nodes[0].fail_next(Answer(status=200, body=b"{}", headers=(("Retry-After", "1"),)), operation="localnodes")
    reply = await client.request("GET", "/localnodes")
    assert reply.headers["content-type"] == "application/x-amz-json-1.0"
    assert reply.headers["retry-after"] == "1"


async def test_faulty_requests_are_on_record(cluster, client):
    """A request that was failed was still received."""
    cluster.nodes[0].fail_next(Close())
    with pytest.raises(h11.RemoteProtocolError):
        await client.call("GetItem", GET)
    assert [request.operation for request in cluster.nodes[0].requests] == ["GetItem"]

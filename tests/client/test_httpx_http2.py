"""HTTP/2 through the httpx transport, against an independent server over TLS."""

from __future__ import annotations

import logging

import pytest
import trio

from alternator_trio import (
    AttemptTimeoutError,
    ClientClosedError,
    Credentials,
    DecodingError,
    HttpxTransport,
    RetryPolicy,
    Tls,
    open_alternator,
)
from alternator_trio._transport import httpx_exchange
from tests.http2_node import http2_node, reply
from tests.users import KEY


@pytest.fixture
async def node(authority):
    async with http2_node(authority) as running:
        yield running


async def test_requests_and_discovery_share_one_connection(node, trust):
    """Fifty operations at once, discovery and probes: all HTTP/2, all on one connection."""
    async with open_alternator(node.url, transport="httpx", tls=trust) as client:
        await client.refresh()
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(lambda n=number: client.put_item(TableName="users", Item={"id": {"S": str(n)}}))
        assert (await client.get_item(TableName="users", Key={"id": {"S": "49"}}))["Item"] == {"id": {"S": "49"}}
    assert set(node.versions) == {"2"}
    assert len(node.versions) >= 52
    assert len(set(node.connections)) == 1


async def test_the_head_is_the_native_one_without_connection(node, trust):
    """Exactly the lean headers; the signed host is :authority, and what is about a connection stays out."""
    async with open_alternator(
        node.url, transport="httpx", tls=trust, discovery=False, optimize_headers=False
    ) as client:
        await client.get_item(TableName="users", Key=KEY)
        await client.with_options(optimize_headers=True).get_item(TableName="users", Key=KEY)
    verbose, lean = ([name for name, _ in request] for request in node.requests)
    assert b"connection" not in verbose
    assert set(lean) - {b"host", b":authority"} == {b"user-agent", b"x-amz-target", b"content-type", b"content-length"}
    assert dict(node.requests[1])[b"host"].decode() == node.url.removeprefix("https://")


async def test_no_log_has_a_secret(node, trust, caplog):
    """At DEBUG hpack would write every header, the session token among them."""
    caplog.set_level(logging.DEBUG)
    role = Credentials("role", "salted_hash", "t0ken")
    async with open_alternator(node.url, transport="httpx", tls=trust, discovery=False, credentials=role) as client:
        await client.get_item(TableName="users", Key=KEY)
    assert dict(node.requests[0])[b"x-amz-security-token"] == b"t0ken"
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert not any(
        "t0ken" in text or "AWS4-HMAC" in text for text in map(str, (r.getMessage() for r in caplog.records))
    )


async def test_the_policy_of_a_tls_holds(authority, tmp_path):
    """A node that is dialled by its address and verified by a name, with a CA of its own."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with http2_node(authority, name="node.example") as node:
        tls = Tls(ca_file=tmp_path / "ca.pem", server_name="node.example")
        async with open_alternator(node.url, transport="httpx", tls=tls, discovery=False) as client:
            await client.get_item(TableName="users", Key=KEY)
    assert node.versions == ["2"]


@pytest.mark.parametrize(("protocols", "http2"), [(("http/1.1",), True), (("h2", "http/1.1"), False)])
async def test_http_1_where_either_side_wants_it(authority, trust, protocols, http2):
    """HTTP/2 is an offer: a server that does not take it, and a client that does not make it, speak HTTP/1.1."""
    async with http2_node(authority, protocols=protocols) as node:
        async with open_alternator(node.url, transport=HttpxTransport(http2=http2), tls=trust) as client:
            await client.get_item(TableName="users", Key=KEY)
    assert set(node.versions) == {"1.1"}


async def test_the_users_context_offers_http_1_again(node, trust):
    """A context that two clients share: after the one has offered HTTP/2, the native one does not."""
    async with open_alternator(node.url, transport="httpx", tls=trust, discovery=False) as client:
        await client.get_item(TableName="users", Key=KEY)
    async with open_alternator(node.url, tls=trust, discovery=False) as client:
        await client.get_item(TableName="users", Key=KEY)
    assert node.versions == ["2", "1.1"]


async def test_a_caller_that_leaves_costs_no_connection(node, trust):
    """Fifty callers leave in the middle of their exchanges: at once, and the connection goes on serving."""
    gate = trio.Event()
    async with open_alternator(node.url, transport="httpx", tls=trust, discovery=False) as client:
        await client.get_item(TableName="users", Key=KEY)
        node.pause = gate.wait
        with trio.move_on_after(0.2) as scope:
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(lambda: client.get_item(TableName="users", Key=KEY))
        assert scope.cancelled_caught
        assert client.statistics().connections_leased == 50  # the node still works on them
        gate.set()
        await client.get_item(TableName="users", Key=KEY)
        with trio.fail_after(2):
            while client.statistics().connections_leased:
                await trio.sleep(0.005)
    assert len(set(node.connections)) == 1


async def test_an_attempt_that_times_out_leaves_those_beside_it_alone(node, trust):
    """Its caller has its error in time; another exchange on the same connection goes on to its end."""
    gate = trio.Event()
    node.pause = gate.wait
    answers = []
    async with open_alternator(
        node.url, transport="httpx", tls=trust, discovery=False, retry=RetryPolicy(max_attempts=1)
    ) as client:

        async def wait_for_it() -> None:
            answers.append(await client.get_item(TableName="users", Key=KEY))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_it)
            with pytest.raises(AttemptTimeoutError) as caught:
                await client.call("PutItem", {"TableName": "users", "Item": KEY}, attempt_timeout=0.2)
            assert caught.value.may_have_happened
            gate.set()
    assert len(answers) == 1
    assert len(set(node.connections)) == 1


async def test_what_is_never_answered_gives_up_its_connection(node, trust, monkeypatch):
    """An exchange that was left is read on for so long; then the next one has another connection."""
    monkeypatch.setattr(httpx_exchange, "DRAIN_SECONDS", 0.1)
    node.pause = trio.sleep_forever
    async with open_alternator(node.url, transport="httpx", tls=trust, discovery=False) as client:
        with trio.move_on_after(0.1):
            await client.get_item(TableName="users", Key=KEY)
        with trio.fail_after(2):
            while client.statistics().connections_leased:
                await trio.sleep(0.005)
        node.pause = trio.lowlevel.checkpoint
        await client.get_item(TableName="users", Key=KEY)
    assert len(set(node.connections)) == 2


async def test_an_answer_beyond_the_bound_is_refused(node, trust):
    """Without a declared length, too: reading ends at the bound, and the next exchange has another connection."""

    async def endless(send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

    node.answer = endless
    async with open_alternator(
        node.url, transport="httpx", tls=trust, discovery=False, max_response_bytes=100_000
    ) as client:
        with pytest.raises(DecodingError, match="max_response_bytes"):
            await client.get_item(TableName="users", Key=KEY)
        node.answer = lambda send: reply(send, 200, b"{}")
        await client.get_item(TableName="users", Key=KEY)
    assert len(set(node.connections)) == 2


async def test_a_connection_that_the_node_ends_is_replaced(authority, trust):
    """After every twenty requests the node says GOAWAY, as load balancers do: all operations succeed all the same."""
    async with http2_node(authority, max_requests=20) as node:
        async with open_alternator(node.url, transport="httpx", tls=trust, discovery=False) as client:
            async with trio.open_nursery() as nursery:
                for number in range(5):
                    nursery.start_soon(put_some, client, number)
    assert set(node.versions) == {"2"}
    assert len(set(node.connections)) > 1


async def put_some(client, number) -> None:
    for turn in range(20):
        await client.put_item(TableName="users", Item={"id": {"S": f"{number}-{turn}"}})


async def test_a_block_ends_in_the_middle_of_exchanges(node, trust):
    """Nothing waits for the node: operations in other tasks are told that the client is closed."""
    node.pause = trio.sleep_forever
    told = []

    async def operate(client) -> None:
        with pytest.raises(ClientClosedError) as caught:
            await client.put_item(TableName="users", Item=KEY)
        told.append(caught.value.may_have_happened)

    with trio.fail_after(2):
        async with trio.open_nursery() as nursery:
            async with open_alternator(node.url, transport="httpx", tls=trust, discovery=False) as client:
                for _ in range(10):
                    nursery.start_soon(operate, client)
                while len(node.requests) < 10:
                    await trio.sleep(0.005)
    assert told == [True] * 10

"""Credentials from a provider in the whole client: asked once, and waited for within the caller's time."""

from __future__ import annotations

import datetime as dt

import pytest
import trio

from alternator_trio import (
    AlternatorConfig,
    ClientClosedError,
    ConfigurationError,
    Credentials,
    CredentialsError,
    OperationTimeoutError,
    ServiceError,
    open_alternator,
)
from alternator_trio.testing import LocalCluster
from tests.scripted_nodes import ScriptedNodes, answer_json

EPOCH = 1440936000.0
SECRET = "a-secret-of-ours"
EXPIRED = answer_json({"__type": "x#ExpiredTokenException", "message": "too old"}, status=400)


def wall_clock():
    return EPOCH + trio.current_time()


class Vault:
    """A provider; ``outcome`` is what it gives or raises in place of credentials."""

    def __init__(self, *, delay=0.0, lifetime=None, outcome=None):
        self.calls = 0
        self.in_flight = 0
        self.delay = delay
        self.lifetime = lifetime
        self.outcome = outcome

    async def get(self):
        self.calls += 1
        self.in_flight += 1
        try:
            await trio.sleep(self.delay)
        finally:
            self.in_flight -= 1
        if self.outcome is not None:
            raise self.outcome
        ends = None if self.lifetime is None else dt.datetime.fromtimestamp(wall_clock() + self.lifetime, dt.UTC)
        return Credentials(f"role{self.calls}", SECRET, "token", expires_at=ends)


@pytest.fixture
async def nodes():
    async with ScriptedNodes(3) as scripted:
        yield scripted


def roles(nodes):
    """Who signed, in order."""
    lines = [request.header("authorization") for request in nodes.requests_of("ListTables")]
    return [line and line.partition("Credential=")[2].partition("/")[0] for line in lines]


async def all_at_once(client, count):
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(client.list_tables)


async def test_a_crowd_shares_one_call(autojump_clock, nodes):
    """A hundred operations, one call; each is signed, with the token."""
    vault = Vault(delay=1.0)
    async with nodes.open_client(credentials=vault.get, wall_clock=wall_clock) as client:
        await all_at_once(client, 100)
        await all_at_once(client, 100)
    assert (vault.calls, roles(nodes)) == (1, ["role1"] * 200)
    assert {request.header("x-amz-security-token") for request in nodes.requests_of("ListTables")} == {"token"}


async def test_a_refresh_delays_nobody(autojump_clock, nodes):
    """In the quarter of an hour before the end it happens beside the traffic."""
    vault = Vault(lifetime=3600.0)
    async with nodes.open_client(credentials=vault.get, wall_clock=wall_clock) as client:
        await client.list_tables()
        vault.delay = 10.0
        await trio.sleep(2800)
        before = trio.current_time()
        await all_at_once(client, 10)
        assert trio.current_time() == before
        await trio.sleep(11)
        await client.list_tables()
    assert (vault.calls, roles(nodes)) == (2, ["role1"] * 11 + ["role2"])


async def test_the_operations_timeout_bounds_a_provider_that_hangs(autojump_clock, nodes):
    """Nothing was sent, and nothing may have happened."""
    vault = Vault(delay=1e6)
    async with nodes.open_client(credentials=vault.get, wall_clock=wall_clock, operation_timeout=2.0) as client:
        with pytest.raises(OperationTimeoutError) as caught:
            await client.put_item(TableName="users", Item={"id": {"S": "ada"}})
        assert (trio.current_time(), caught.value.may_have_happened) == (2.0, False)
    assert (vault.in_flight, nodes.requests_of("PutItem")) == (0, [])


@pytest.mark.parametrize("leaving", [1, 50, 100])
async def test_who_is_cancelled_takes_nothing_along(autojump_clock, nodes, leaving):
    """Many in one tick, all of them even: the call goes on, and is of use to the next."""
    vault = Vault(delay=1.0)

    async def list_tables(patience):
        with trio.move_on_after(patience):
            await client.list_tables()

    async with nodes.open_client(credentials=vault.get, wall_clock=wall_clock) as client:
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(list_tables, 0.5 if number < leaving else 9.0)
        await trio.sleep(1)
        await client.list_tables()
        statistics = client.statistics()
        assert (statistics.connections_leased, statistics.waiting, statistics.failed) == (0, 0, 0)
    assert (vault.calls, len(roles(nodes))) == (1, 101 - leaving)


async def test_a_provider_that_raises_fails_the_operation(autojump_clock, nodes):
    """The error names operation and provider; the provider's own is its cause; the operations after it do not call."""
    vault = Vault(outcome=OSError(SECRET))
    async with nodes.open_client(credentials=vault.get, wall_clock=wall_clock) as client:
        for _ in range(10):
            with pytest.raises(CredentialsError, match=r"'Vault\.get' raised OSError \(ListTables\)") as caught:
                await client.list_tables()
            assert caught.value.__cause__ is vault.outcome
            assert SECRET not in f"{caught.value} {caught.value!r} {client!r}"
    assert (vault.calls, nodes.requests_of("ListTables")) == (1, [])


async def test_credentials_that_ended_early_are_replaced(autojump_clock, nodes):
    """A node says so: one call for all, the operations succeed, and no attempt is counted."""
    vault = Vault()
    scripted = nodes.respond
    nodes.respond = lambda request: EXPIRED if "role1/" in request.header("authorization") else scripted(request)
    async with nodes.open_client(credentials=vault.get, wall_clock=wall_clock) as client:
        await all_at_once(client, 20)
        assert client.statistics().retries == 0
    assert vault.calls == 2


async def test_a_refusal_that_stays_is_final(autojump_clock, nodes):
    """The new ones are refused as well: two requests each, and no storm of calls."""
    vault = Vault()
    nodes.respond = lambda _: EXPIRED
    async with nodes.open_client(credentials=vault.get, wall_clock=wall_clock) as client:
        for _ in range(20):
            with pytest.raises(ServiceError, match="ExpiredToken"):
                await client.list_tables()
    assert vault.calls == 2


async def test_a_failure_to_replace_is_told_beside_the_refusal(autojump_clock, nodes):
    """The server's error stays the error."""
    vault = Vault()
    async with nodes.open_client(credentials=vault.get, wall_clock=wall_clock) as client:
        await client.list_tables()
        vault.outcome = OSError()
        nodes.respond = lambda _: EXPIRED
        with pytest.raises(ServiceError, match=r"too old; the credentials provider 'Vault\.get' raised OSError"):
            await client.list_tables()


async def test_an_operation_may_have_a_provider_of_its_own(autojump_clock, nodes):
    """Of a client without credentials, or with others; a view asks it once."""
    vault = Vault()
    async with nodes.open_client(credentials=Credentials("static", SECRET), wall_clock=wall_clock) as client:
        await client.list_tables()
        await client.call("ListTables", {}, credentials=vault.get)
        await client.with_options(credentials=vault.get).list_tables()
        await client.with_options(credentials=None).list_tables()
    assert (roles(nodes), vault.calls) == (["static", "role1", "role1", None], 1)


async def test_who_waits_when_the_block_ends_is_told(autojump_clock, nodes):
    """ClientClosedError, at once; the provider is cancelled."""
    vault = Vault(delay=1e6)

    async def list_tables(client):
        with pytest.raises(ClientClosedError):
            await client.list_tables()

    async with trio.open_nursery() as nursery:
        async with nodes.open_client(credentials=vault.get, wall_clock=wall_clock) as client:
            nursery.start_soon(list_tables, client)
            await trio.sleep(1)
    assert (trio.current_time(), vault.in_flight) == (1.0, 0)


async def test_a_verifying_cluster_accepts_it():
    """With real sockets and the cluster's verifier; discovery goes unsigned."""

    async def provider():
        await trio.lowlevel.checkpoint()
        return Credentials("role", "salted_hash")

    async with LocalCluster(2, credentials={"role": "salted_hash"}) as cluster:
        async with open_alternator(*cluster.seeds, credentials=provider) as client:
            await client.refresh()
            for _ in range(4):
                await client.list_tables()
        discovery = [request for node in cluster.nodes for request in node.requests if request.operation is None]
    assert {request.header("authorization") for request in discovery} == {None}


class TestRequired:
    async def test_an_unsigned_client_is_refused(self):
        """Before anything is sent, or opened."""
        with pytest.raises(ConfigurationError, match="require_auth: there are neither credentials nor"):
            async with open_alternator("http://127.0.0.1:1", require_auth=True):
                pass

    async def test_an_unsigned_view_or_call_is_refused(self, autojump_clock, nodes):
        """Before anything is sent."""
        async with nodes.open_client(credentials=Credentials("role", SECRET), require_auth=True) as client:
            with pytest.raises(ConfigurationError, match="require_auth"):
                client.with_options(credentials=None)
            with pytest.raises(ConfigurationError, match="require_auth"):
                await client.call("ListTables", {}, credentials=None)
            await client.list_tables()
            assert roles(nodes) == ["role"]

    async def test_a_view_cannot_lift_it(self, autojump_clock, nodes):
        """It holds for the whole client."""
        async with nodes.open_client(credentials=Credentials("role", SECRET), require_auth=True) as client:
            with pytest.raises(ConfigurationError, match="it holds for the whole client"):
                client.with_options(credentials=None, require_auth=False)


class Unhashable:
    __hash__ = None

    async def __call__(self):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (SECRET, "credentials: str is no Credentials"),
        (Credentials, "credentials: the class Credentials is no Credentials, nor an async callable"),
        (Unhashable(), "credentials: Unhashable cannot be hashed"),
    ],
)
def test_what_is_no_provider(value, message):
    """It is named by its type."""
    with pytest.raises(ConfigurationError, match=message):
        AlternatorConfig(seeds=["http://10.0.0.1:8000"], credentials=value)

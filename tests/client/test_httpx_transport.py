"""The httpx transport over HTTP/1.1: the same client, the same bytes, the same errors."""

from __future__ import annotations

import gc
import ssl
import subprocess
import sys
import warnings

import httpx
import pytest
import trio

from alternator_trio import (
    AttemptTimeoutError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    Credentials,
    DecodingError,
    HttpxTransport,
    IndeterminateWriteError,
    ProtocolError,
    RequestCompression,
    RetryPolicy,
    ServiceError,
    TlsError,
    open_alternator,
)
from alternator_trio.testing import Answer, Close, CountingProxy, Hang, LocalCluster, Reset, Truncate
from tests.certificates import server_context
from tests.client.conftest import create_table
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.users import KEY
from tests.waiting import all_active

LARGE = {**KEY, "text": {"S": "lorem ipsum " * 100_000}}
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
async def client(cluster):
    async with open_alternator(*cluster.seeds, transport="httpx") as client:
        await all_active(client)
        yield client


def test_httpx_is_imported_when_it_is_chosen() -> None:
    """Nobody who does not choose it waits for it."""
    code = "import alternator_trio, sys; print({'httpx', 'httpcore', 'h2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)  # noqa: S603  # our own words
    assert done.stdout == b"set()\n"


async def test_operations_discovery_and_probes_go_over_httpx(cluster, client) -> None:
    """Nodes are found and active, a write is read, large bodies go both ways."""
    assert len(client.nodes()) == 3
    await client.put_item(TableName="users", Item=LARGE)
    assert (await client.get_item(TableName="users", Key=KEY))["Item"] == LARGE
    statistics = client.statistics()
    assert (statistics.connections_leased, statistics.connections_idle, statistics.waiting) == (0, 0, 0)


async def test_the_bytes_are_the_native_transports(cluster, client) -> None:
    """The same headers in the same order, none of httpx's own."""
    async with open_alternator(*cluster.seeds) as native:
        for each in (client, native):
            for _ in range(3):
                await each.get_item(TableName="users", Key=KEY)
    for node in cluster.nodes:
        sent = [request.headers for request in node.requests if request.operation == "GetItem"]
        assert len(set(sent)) <= 1
        asked = [request.headers for request in node.requests if request.operation is None]
        assert len(set(asked)) <= 1


async def test_connections_are_reused_and_expire() -> None:
    """Many requests, one connection; past its idle lifetime it is closed although nothing happens."""
    async with LocalCluster(nodes=1) as cluster, CountingProxy(cluster.seeds) as proxy:
        async with open_alternator(
            *proxy.seeds, transport="httpx", discovery=False, idle_connection_lifetime=0.2
        ) as client:
            await create_table(client)
            for _ in range(20):
                await client.get_item(TableName="users", Key=KEY)
            assert proxy.connects == 1
            with trio.fail_after(3):
                while proxy.open_connections:
                    await trio.sleep(0.01)
            await client.get_item(TableName="users", Key=KEY)
            assert proxy.connects == 2


async def test_a_connection_of_its_greatest_age_is_not_used_again() -> None:
    """`max_connection_age` holds here, too."""
    async with LocalCluster(nodes=1) as cluster, CountingProxy(cluster.seeds) as proxy:
        async with open_alternator(
            *proxy.seeds, transport="httpx", discovery=False, max_connection_age=0.001
        ) as client:
            await create_table(client)
            await trio.sleep(0.01)
            await client.get_item(TableName="users", Key=KEY)
            assert proxy.connects == 2


@pytest.mark.parametrize("compression", [None, RequestCompression.gzip()])
async def test_a_verifying_server_accepts_what_is_sent(compression) -> None:
    """What was signed and compressed is what is sent; compressed answers are unpacked by our own decoder."""
    role = Credentials("role", "salted_hash")
    async with LocalCluster(nodes=3, credentials={"role": "salted_hash"}, compress_from=1) as cluster:
        async with open_alternator(
            *cluster.seeds,
            transport="httpx",
            credentials=role,
            request_compression=compression,
            response_compression=("gzip",),
        ) as client:
            await create_table(client)
            await client.put_item(TableName="users", Item=LARGE)
            assert (await client.get_item(TableName="users", Key=KEY))["Item"] == LARGE


# Failures


@pytest.mark.parametrize("fault", [Reset(), Close(), Truncate(), Answer(status=503)])
async def test_a_retry_goes_to_another_node(cluster, client, fault) -> None:
    """One node fails; the reads succeed elsewhere."""
    cluster.nodes[0].fail_next(fault, operation="GetItem")
    for _ in range(3):
        await client.get_item(TableName="users", Key=KEY)
    assert client.statistics().retries == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Reset(), ConnectionLostError),
        (Close(), ConnectionLostError),
        (Truncate(body_bytes=1), (ConnectionLostError, ProtocolError)),
        (Truncate(body_bytes=1, chunked=True), (ConnectionLostError, ProtocolError)),
    ],
)
async def test_a_broken_exchange_may_have_happened(cluster, fault, kind) -> None:
    """The error names the node, and says that the write may have taken effect."""
    async with open_alternator(cluster.seeds[0], transport="httpx", discovery=False, retry=ONCE) as client:
        cluster.nodes[0].fail_next(fault)
        with pytest.raises(kind) as caught:
            await client.put_item(TableName="users", Item=KEY)
    assert caught.value.may_have_happened
    assert caught.value.node == cluster.seeds[0]


async def test_a_write_that_is_not_repeatable_is_indeterminate(cluster, client) -> None:
    """As with the native transport."""
    for node in cluster.nodes:
        node.fail_next(Reset())
    with pytest.raises(IndeterminateWriteError):
        await client.update_item(
            TableName="users",
            Key=KEY,
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )


async def test_a_refused_connection_is_a_connect_error(cluster) -> None:
    """Nothing was sent, and the error says so."""
    seed = cluster.seeds[0]
    cluster.nodes[0].stop()
    async with open_alternator(seed, transport="httpx", discovery=False, retry=ONCE) as client:
        with pytest.raises(ConnectError, match=r"cannot connect: .*refused") as caught:
            await client.put_item(TableName="users", Item=KEY)
    assert not caught.value.may_have_happened
    assert caught.value.node == seed


async def test_an_attempt_that_takes_too_long_times_out(cluster) -> None:
    """Its connection is closed, as over HTTP/1.1 nothing else can be done with it."""
    async with open_alternator(cluster.seeds[0], transport="httpx", discovery=False, retry=ONCE) as client:
        cluster.nodes[0].fail_next(Hang())
        with pytest.raises(AttemptTimeoutError) as caught:
            await client.call("PutItem", {"TableName": "users", "Item": KEY}, attempt_timeout=0.1)
        assert caught.value.may_have_happened
        with trio.fail_after(2):
            while client.statistics().connections_leased:
                await trio.sleep(0.005)
        await client.put_item(TableName="users", Item=KEY)


async def test_an_answer_beyond_the_bound_is_refused(cluster, client) -> None:
    """Before it is read, where its length is declared."""
    await client.put_item(TableName="users", Item=LARGE)
    with pytest.raises(DecodingError, match="max_response_bytes"):
        await client.call("GetItem", {"TableName": "users", "Key": KEY}, max_response_bytes=1000)


@pytest.mark.parametrize("transport", ["native", "httpx"])
@pytest.mark.parametrize(("status", "may_have_happened"), [(200, True), (400, False), (429, False), (500, True)])
async def test_what_an_answer_beyond_the_bound_says_of_a_write(cluster, transport, status, may_have_happened) -> None:
    """Its status is known: what a node refuses was not done, however much it has to say about it."""
    async with open_alternator(*cluster.seeds, transport=transport, max_response_bytes=1000) as client:
        await all_active(client)
        for node in cluster.nodes:
            node.fail_next(Answer(status=status, body=b"a" * 2000), operation="PutItem")
        with pytest.raises(DecodingError) as caught:
            await client.put_item(TableName="users", Item=KEY)
    assert caught.value.may_have_happened is may_have_happened


@pytest.mark.parametrize(
    ("status", "code", "is_reused"),
    [(413, "PayloadTooLarge", False), (400, "RequestLimitExceeded", False), (400, "ValidationException", True)],
)
@pytest.mark.parametrize("transport", ["native", "httpx"])
async def test_some_refusals_end_the_connection(transport, status, code, is_reused) -> None:
    """Of a body that was not read, and by a shard that sheds load, whatever the node promises."""
    async with (
        LocalCluster(nodes=1) as cluster,
        open_alternator(*cluster.seeds, transport=transport, retry=ONCE) as client,
    ):
        await all_active(client)
        (node,) = cluster.nodes
        refusal = b'{"__type": "x#%b", "message": "no"}' % code.encode()
        node.fail_next(Answer(status=status, body=refusal), operation="ListTables")
        with pytest.raises(ServiceError, match=code):
            await client.list_tables()
        await client.list_tables()
        refused, next_one = [request.connection_id for request in node.requests if request.operation == "ListTables"]
    assert (next_one == refused) is is_reused


async def test_a_redirect_is_an_answer(cluster) -> None:
    """It is not followed: whither a request goes is the plan's to say."""
    async with open_alternator(cluster.seeds[0], transport="httpx", discovery=False, retry=ONCE) as client:
        elsewhere = f"{cluster.seeds[1]}/"
        cluster.nodes[0].fail_next(Answer(status=307, headers=(("Location", elsewhere),)))
        with pytest.raises(Exception, match="307"):
            await client.put_item(TableName="users", Item=KEY)
    assert not any(request.operation == "PutItem" for request in cluster.nodes[1].requests)


@pytest.mark.parametrize(
    ("name", "message"),
    [("127.0.0.1", None), ("127.0.0.9", "not valid for '127.0.0.1'")],
)
async def test_certificates_are_verified(authority, trust, name, message) -> None:
    """The TLS policy is the native transport's."""
    async with LocalCluster(nodes=1, tls=server_context(authority, name)) as cluster:
        async with open_alternator(*cluster.seeds, transport="httpx", tls=trust, retry=ONCE) as client:
            if message is None:
                await create_table(client)
                return
            with pytest.raises(TlsError, match=message) as caught:
                await create_table(client)
    assert not caught.value.may_have_happened
    assert caught.value.node == cluster.seeds[0]


async def test_a_silent_port_ends_at_the_connect_timeout_for_all_who_wait() -> None:
    """Twenty requests of one dial: when it fails, it fails for all of them, not for one after another."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    began = trio.current_time()
    failures = []
    async with open_alternator(
        f"https://127.0.0.1:{port}", transport="httpx", discovery=False, connect_timeout=0.3, retry=ONCE
    ) as client:

        async def fail() -> None:
            with pytest.raises(ConnectError, match=r"within 0\.3 s"):
                await client.get_item(TableName="users", Key=KEY)
            failures.append(trio.current_time() - began)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(fail)
    await listener.aclose()
    assert max(failures) < 3.0


async def test_cancelled_in_the_middle_nothing_is_left() -> None:
    """The whole block cancelled at many of its steps: no connection, no task, no warning of a resource."""
    async with LocalCluster(nodes=3) as cluster:
        async with open_alternator(*cluster.seeds) as client:
            await create_table(client)

        async def scenario() -> None:
            async with open_alternator(*cluster.seeds, transport="httpx") as client:
                for _ in range(6):
                    await client.put_item(TableName="users", Item=KEY)

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await cancel_in_the_middle(scenario, *cluster.nodes, moments=25)
            gc.collect()


# The user's own client


async def test_a_users_client_is_used_as_it_is_and_stays_open(cluster) -> None:
    """Its connections carry the requests; its headers, address and authentication stay out; nobody closes it."""
    async with httpx.AsyncClient(
        headers={"x-mine": "1"},
        auth=("ada", "secret"),
        base_url="http://nowhere",
        cookies={"a": "b"},
        follow_redirects=True,
        trust_env=False,
    ) as mine:
        async with open_alternator(*cluster.seeds, transport=mine) as client:
            await all_active(client)
            for _ in range(6):
                await client.get_item(TableName="users", Key=KEY)
        assert not mine.is_closed
    for node in cluster.nodes:
        for request in node.requests:
            names = {name for name, _ in request.headers}
            assert names <= {b"host", b"user-agent", b"x-amz-target", b"content-type", b"content-length"}


async def test_cancellations_cost_a_users_client_none_of_its_connections(cluster) -> None:
    """Bounded by itself to five, it would lose them for good if it were cancelled wherever it stands."""
    limits = httpx.Limits(max_connections=5)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as mine:
        async with open_alternator(*cluster.seeds, transport=mine, max_connections=20) as client:
            await all_active(client)
            for ticks in range(40):
                async with trio.open_nursery() as nursery:
                    for _ in range(20):
                        nursery.start_soon(lambda: client.get_item(TableName="users", Key=KEY))
                    for _ in range(ticks):
                        await trio.lowlevel.checkpoint()
                    nursery.cancel_scope.cancel()
            with trio.fail_after(5):
                for _ in range(20):
                    await client.get_item(TableName="users", Key=KEY)


async def test_a_users_client_over_something_else_than_httpcore() -> None:
    """What it raises is a lost connection: nothing is known of what was sent."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise ValueError(request.headers["authorization"])

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as mine:
        async with open_alternator(
            "http://a:8000", transport=mine, discovery=False, credentials=Credentials("role", "secret"), retry=ONCE
        ) as client:
            with pytest.raises(ConnectionLostError) as caught:
                await client.put_item(TableName="users", Item=KEY)
    assert caught.value.may_have_happened
    assert "Signature" not in str(caught.value)


# The option


async def test_a_closed_client_is_refused() -> None:
    """Before anything is sent."""
    mine = httpx.AsyncClient()
    await mine.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        async with open_alternator("http://a:8000", transport=mine):
            pass


@pytest.mark.parametrize("value", ["http", "", None, 1, [], httpx.AsyncClient, httpx.Client()])
async def test_other_transports_are_refused(value) -> None:
    """By the option's name."""
    with pytest.raises(ConfigurationError, match=r"^transport: "):
        async with open_alternator("http://a:8000", transport=value):
            pass


async def test_a_users_client_has_its_own_tls() -> None:
    """A context beside it would be passed over."""
    async with httpx.AsyncClient() as mine:
        with pytest.raises(ConfigurationError, match=r"^tls: .*verify=context"):
            async with open_alternator("https://a", transport=mine, tls=ssl.create_default_context()):
                pass


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"http2": 1}, "http2"),
        ({"trust_env": None}, "trust_env"),
        ({"proxy": 1}, "proxy"),
        ({"proxy": "proxy:3128"}, "proxy"),
        ({"proxy": "socks5://proxy:1080"}, "proxy"),
        ({"proxy": "http://ada:secret@/"}, "proxy"),
        ({"proxy": "http://ada:secret@proxy:99999"}, "proxy"),
        ({"proxy": "http://ada:secret@proxy:3128/path"}, "proxy"),
        ({"proxy": "http://ada:secret@pro xy"}, "proxy"),
    ],
)
def test_wrong_options_are_refused(options, named) -> None:
    """By their names, and without the proxy's password."""
    with pytest.raises(ConfigurationError, match=rf"^transport\.{named}: ") as caught:
        HttpxTransport(**options)
    assert "secret" not in str(caught.value)

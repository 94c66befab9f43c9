"""The TLS matrix: who is accepted and who is refused, by discovery and by data alike, and which check says so."""

from __future__ import annotations

import datetime as dt
import ssl
import warnings
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
import trio
import trustme

from alternator_trio import DiscoveryError, RetryPolicy, Tls, TlsError, open_alternator
from alternator_trio.testing import LocalCluster, MinistackEngine
from tests.users import KEY, USERS

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
ADDRESS = "127.0.0.1"
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
ONCE = RetryPolicy(max_attempts=1)


class World:
    """Two authorities, of which the client trusts the first, and files of what they issue."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.stranger = trustme.CA()
        self.directory = directory
        self.ca_data = self.authority.cert_pem.bytes()

    def presents(self, *names: str, by: trustme.CA | None = None, **times: dt.datetime) -> ssl.SSLContext:
        """A server with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (by or self.authority).issue_cert(*names, **times).configure_cert(context)
        return context

    def presents_itself(self) -> ssl.SSLContext:
        """A server with a self-signed certificate."""
        path = self.directory / "self.pem"
        path.write_bytes(self.stranger.private_key_pem.bytes() + self.stranger.cert_pem.bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def speaks(self, oldest: ssl.TLSVersion, newest: ssl.TLSVersion) -> ssl.SSLContext:
        """A server with a good certificate that speaks these versions."""
        context = self.presents(ADDRESS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = oldest, newest
        if newest < TLS_1_2:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")  # what is so old is only spoken at OpenSSL's lowest level
        return context

    def demands(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """A server that demands a client certificate of the first authority."""
        context = self.speaks(version, version)
        context.verify_mode = ssl.CERT_REQUIRED
        self.authority.configure_trust(context)
        return context

    def proves(self, by: trustme.CA, **times: dt.datetime) -> Tls:
        """A client with a certificate."""
        path = self.directory / "client.pem"
        by.issue_cert("role@example", **times).private_key_and_cert_chain_pem.write_to_path(str(path))
        return Tls(ca_data=self.ca_data, cert_file=path)

    @property
    def trusts(self) -> Tls:
        return Tls(ca_data=self.ca_data)


Server = Callable[[World], ssl.SSLContext]
Client = Callable[[World], Tls]


def trusting(world: World) -> Tls:
    return world.trusts


ACCEPTED: dict[str, tuple[Server, Client]] = {
    "right certificate": (lambda w: w.presents(ADDRESS), trusting),
    "name given for the address": (
        lambda w: w.presents("node.example"),
        lambda w: Tls(ca_data=w.ca_data, server_name="Node.example."),
    ),
    "TLS 1.2 only": (lambda w: w.speaks(TLS_1_2, TLS_1_2), trusting),
    "TLS 1.3 only": (lambda w: w.speaks(TLS_1_3, TLS_1_3), lambda w: Tls(ca_data=w.ca_data, minimum_version="TLSv1.3")),
    "client certificate, TLS 1.2": (lambda w: w.demands(TLS_1_2), lambda w: w.proves(w.authority)),
    "client certificate, TLS 1.3": (lambda w: w.demands(TLS_1_3), lambda w: w.proves(w.authority)),
    "client certificate that nobody wants": (lambda w: w.presents(ADDRESS), lambda w: w.proves(w.stranger)),
    "unknown CA, insecurely": (
        lambda w: w.presents("other.example", by=w.stranger),
        lambda _: Tls(insecure_skip_verification=True),
    ),
}

REFUSED: dict[str, tuple[Server, Client, str]] = {
    "expired": (
        lambda w: w.presents(ADDRESS, not_before=NOW - 3 * DAY, not_after=NOW - DAY),
        trusting,
        r"the certificate has expired \(.*; code 10\)",
    ),
    "not valid yet": (
        lambda w: w.presents(ADDRESS, not_before=NOW + DAY, not_after=NOW + 3 * DAY),
        trusting,
        r"the certificate is not valid yet \(.*; code 9\)",
    ),
    "self-signed": (
        lambda w: w.presents_itself(),
        trusting,
        r"the certificate is self-signed, and not itself trusted \(.*; code 18\)",
    ),
    "unknown CA": (
        lambda w: w.presents(ADDRESS, by=w.stranger),
        trusting,
        r"nobody trusted here has issued the certificate .*unable to get local issuer certificate; code 20\)",
    ),
    "unknown CA, by the system's trust": (
        lambda w: w.presents(ADDRESS),
        lambda _: Tls(),
        r"nobody trusted here has issued the certificate .*; code 20\)",
    ),
    "other address": (
        lambda w: w.presents("127.0.0.9"),
        trusting,
        r"no subject alternative name for this IP address.*not valid for '127\.0\.0\.1'; code 64\)",
    ),
    "address without a name for it": (
        lambda w: w.presents("node.example"),
        trusting,
        r"no subject alternative name for this IP address.* give server_name .*; code 64\)",
    ),
    "wrong host": (
        lambda w: w.presents("other.example"),
        lambda w: Tls(ca_data=w.ca_data, server_name="node.example"),
        r"the certificate is for another name .*not valid for 'node\.example'; code 62\)",
    ),
    "TLS 1.1 only": (
        lambda w: w.speaks(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1),
        trusting,
        r"speaks no protocol version from minimum_version on \(.*alert protocol version\)",
    ),
    "TLS 1.2 only, for one who wants 1.3": (
        lambda w: w.speaks(TLS_1_2, TLS_1_2),
        lambda w: Tls(ca_data=w.ca_data, minimum_version="TLSv1.3"),
        r"speaks no protocol version from minimum_version on \(.*alert protocol version\)",
    ),
    "client certificate missing, TLS 1.2": (
        lambda w: w.demands(TLS_1_2),
        trusting,
        r"it may want a client certificate \(.*alert handshake failure\)",
    ),
    "client certificate missing, TLS 1.3": (
        lambda w: w.demands(TLS_1_3),
        trusting,
        r"the node demands a client certificate: give cert_file \(.*alert certificate required\)",
    ),
    "client certificate wrong, TLS 1.2": (
        lambda w: w.demands(TLS_1_2),
        lambda w: w.proves(w.stranger),
        r"the node refuses the client certificate: it does not know its issuer \(.*alert unknown ca\)",
    ),
    "client certificate wrong, TLS 1.3": (
        lambda w: w.demands(TLS_1_3),
        lambda w: w.proves(w.stranger),
        r"the node refuses the client certificate: it does not know its issuer \(.*alert unknown ca\)",
    ),
    "client certificate expired, TLS 1.3": (
        lambda w: w.demands(TLS_1_3),
        lambda w: w.proves(w.authority, not_before=NOW - 3 * DAY, not_after=NOW - DAY),
        r"the node refuses the client certificate: it has expired \(.*alert certificate expired\)",
    ),
}


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


@pytest.fixture
async def opened(world, request) -> AsyncGenerator[tuple[LocalCluster, Tls]]:
    """A cluster of one node and a client's choices, as the row has them."""
    server, client = request.param[:2]
    async with LocalCluster(nodes=1, tls=server(world)) as cluster:
        yield cluster, client(world)


@pytest.mark.parametrize("transport", ["native", "httpx"])
@pytest.mark.parametrize("opened", ACCEPTED.values(), ids=ACCEPTED, indirect=True)
async def test_who_proves_itself_is_accepted(opened, transport, caplog):
    """By discovery and by data; and the cluster has nothing to say about it."""
    cluster, tls = opened
    async with open_alternator(*cluster.seeds, tls=tls, transport=transport) as client:
        assert tuple(map(str, await client.refresh())) == cluster.seeds
        await client.create_table(**USERS)
        await client.put_item(TableName="users", Item=KEY)
        assert (await client.get_item(TableName="users", Key=KEY))["Item"] == KEY
    assert not [record for record in caplog.records if record.name != "alternator_trio"]


@pytest.mark.parametrize(
    ("opened", "reason"),
    [(row, row[2]) for row in REFUSED.values()],
    ids=REFUSED,
    indirect=["opened"],
)
@pytest.mark.parametrize("way", ["discovery", "data", "data over httpx"])
async def test_who_does_not_is_refused(opened, way, reason, caplog):
    """By discovery, data and either transport alike: the error names the node and the check; nothing has happened."""
    cluster, tls = opened
    (seed,) = cluster.seeds
    transport = "httpx" if way.endswith("httpx") else "native"
    async with open_alternator(seed, tls=tls, discovery=way == "discovery", retry=ONCE, transport=transport) as client:
        if way == "discovery":
            with pytest.raises(DiscoveryError, match=reason) as refused:
                await client.refresh()
            assert {candidate for candidate, _ in refused.value.failures} == {seed}
        else:
            with pytest.raises(TlsError, match=reason) as failed:
                await client.put_item(TableName="users", Item=KEY)
            assert failed.value.node == seed
            assert not failed.value.may_have_happened
            assert "_ssl.c" not in str(failed.value)
    assert not cluster.nodes[0].requests
    with trio.fail_after(5):
        while cluster.nodes[0].open_connections:
            await trio.sleep(0.001)
    assert not [record for record in caplog.records if record.name != "alternator_trio"]


async def test_a_write_that_a_node_refuses_with_the_client_is_done_once_by_another(world):
    """Under TLS 1.3 it is sent before the refusal comes; an addition, never repeated in doubt, is safe all the same."""
    engine = MinistackEngine()
    try:
        async with (
            LocalCluster(nodes=1, tls=world.demands(TLS_1_3), engine=engine) as refusing,
            LocalCluster(nodes=1, tls=world.presents(ADDRESS), engine=engine) as taking,
            open_alternator(*refusing.seeds, *taking.seeds, tls=world.trusts, discovery=False) as client,
        ):
            await client.create_table(**USERS)
            for _ in range(10):
                await client.update_item(
                    TableName="users",
                    Key=KEY,
                    UpdateExpression="ADD visits :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                )
            item = (await client.get_item(TableName="users", Key=KEY))["Item"]
            assert item["visits"] == {"N": "10"}
            assert client.statistics().retries > 0
            assert not refusing.nodes[0].requests
    finally:
        await engine.aclose()

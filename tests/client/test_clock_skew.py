"""A clock that is wrong: corrected by a node's where the node may be believed, and an error that says so elsewhere."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from alternator_trio import (
    Client,
    ClockSkewCorrected,
    ConfigurationError,
    Credentials,
    Instrument,
    NodeStateChanged,
    ServiceError,
    open_alternator,
)
from alternator_trio._runtime import open_runtime
from alternator_trio.config import AlternatorConfig
from alternator_trio.testing import Answer, LocalCluster
from tests.certificates import server_context

ROLE = Credentials("role", "salted_hash")
NOON = 1440936000.0  # 2015-08-30T12:00:00Z: the nodes' clock
HOUR = 3600.0
SECRETS = {"role": "salted_hash"}


class Corrections(Instrument):
    def __init__(self) -> None:
        self.events: list[ClockSkewCorrected] = []

    def clock_skew_corrected(self, event: ClockSkewCorrected) -> None:
        self.events.append(event)

    def node_state_changed(self, event: NodeStateChanged) -> None:
        assert not isinstance(event, ClockSkewCorrected)


@asynccontextmanager
async def opened(cluster: LocalCluster, here: Callable[[], float], **options: Any) -> AsyncGenerator[Client]:
    """A client whose own clock says ``here``."""
    config = AlternatorConfig(seeds=cluster.seeds, credentials=ROLE, **options)
    async with open_runtime(config, wall_clock=here) as runtime:
        yield Client(runtime)


@pytest.fixture
def certified(authority: trustme.CA) -> ssl.SSLContext:
    return server_context(authority)


def unverified(context: ssl.SSLContext) -> ssl.SSLContext:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def nameless(context: ssl.SSLContext) -> ssl.SSLContext:
    context.check_hostname = False
    return context


@pytest.mark.parametrize("skew", [HOUR, -HOUR, 14 * HOUR])
async def test_over_verified_tls_the_node_is_believed(certified, trust, skew, caplog) -> None:
    """The first request is sent twice, the others once: the correction stays. It is told once."""
    corrections = Corrections()
    async with LocalCluster(1, credentials=SECRETS, clock=lambda: NOON, tls=certified) as cluster:
        async with opened(cluster, lambda: NOON - skew, tls=trust, instruments=[corrections]) as client:
            for _ in range(3):
                answer = await client.list_tables()
                assert answer["ResponseMetadata"]["RetryAttempts"] == 0
        assert sum(request.operation == "ListTables" for request in cluster.nodes[0].requests) == 4
        assert corrections.events == [ClockSkewCorrected(node=cluster.seeds[0], seconds=skew)]
    (message,) = [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]
    assert f"this client's clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead'}" in message


@pytest.mark.parametrize("weaken", [unverified, nameless])
async def test_over_other_tls_it_is_not(certified, trust, weaken) -> None:
    """Who is in the middle could set the clock; so could anybody with a certificate of that authority."""
    async with LocalCluster(1, credentials=SECRETS, clock=lambda: NOON, tls=certified) as cluster:
        async with opened(cluster, lambda: NOON - HOUR, tls=weaken(trust)) as client:
            with pytest.raises(ServiceError, match="clock_skew_correction='always'"):
                await client.list_tables()


async def test_over_plain_http_the_error_says_what_to_do() -> None:
    """Both times, how far they are apart, and the option; it is sent once."""
    async with LocalCluster(1, credentials=SECRETS, clock=lambda: NOON) as cluster:
        async with opened(cluster, lambda: NOON - HOUR) as client:
            with pytest.raises(ServiceError) as caught:
                await client.list_tables()
        assert sum(request.operation == "ListTables" for request in cluster.nodes[0].requests) == 1
    assert caught.value.code == "InvalidSignatureException"
    assert (
        "this client's clock is 3600 s behind: 2015-08-30 11:00:00 UTC here, 2015-08-30 12:00:00 UTC at the node; "
        "set it, or open the client with clock_skew_correction='always'"
    ) in str(caught.value)


async def test_never_is_never(certified, trust) -> None:
    """Not over verified TLS either; the error names the choice that would do."""
    async with LocalCluster(1, credentials=SECRETS, clock=lambda: NOON, tls=certified) as cluster:
        async with opened(cluster, lambda: NOON - HOUR, tls=trust, clock_skew_correction="never") as client:
            with pytest.raises(ServiceError, match="clock_skew_correction='verified-tls'"):
                await client.list_tables()


async def test_who_asks_for_it_gets_it_over_plain_http() -> None:
    """``"always"``."""
    async with LocalCluster(1, credentials=SECRETS, clock=lambda: NOON) as cluster:
        async with opened(cluster, lambda: NOON + HOUR, clock_skew_correction="always") as client:
            await client.list_tables()


async def test_more_than_a_day_is_not_corrected() -> None:
    """Such a clock is to be mended: signatures for the far future are good there for whoever sees them."""
    async with LocalCluster(1, credentials=SECRETS, clock=lambda: NOON) as cluster:
        async with opened(cluster, lambda: NOON - 25 * HOUR, clock_skew_correction="always") as client:
            with pytest.raises(ServiceError, match=r"2015-08-29 11:00:00 .* 2015-08-30 12:00:00 .* more than 24 hours"):
                await client.list_tables()


async def test_a_date_that_no_calendar_has_is_none() -> None:
    """A node may say what it likes: the error is its refusal."""
    async with (
        LocalCluster(nodes=1) as cluster,
        opened(cluster, lambda: NOON, clock_skew_correction="always") as client,
    ):
        refusal = b'{"__type": "x#InvalidSignatureException", "message": "Signature expired: now"}'
        date = ("Date", "Fri, 31 Dec 9999 23:59:59 -1400")
        cluster.nodes[0].fail_next(Answer(status=400, headers=(date,), body=refusal), operation="ListTables")
        with pytest.raises(ServiceError, match="no Date by which to correct"):
            await client.list_tables()


async def test_a_node_says_nothing_about_the_others() -> None:
    """One of two nodes is an hour off: it is signed for by its own clock, and the other by this client's."""
    corrections = Corrections()
    async with (
        LocalCluster(1, credentials=SECRETS, clock=lambda: NOON) as right,
        LocalCluster(1, credentials=SECRETS, clock=lambda: NOON - HOUR) as wrong,
        open_runtime(
            AlternatorConfig(
                seeds=(*right.seeds, *wrong.seeds),
                credentials=ROLE,
                discovery=False,
                clock_skew_correction="always",
                instruments=[corrections],
            ),
            wall_clock=lambda: NOON,
        ) as runtime,
    ):
        for _ in range(4):
            await Client(runtime).list_tables()
        (told,) = corrections.events
        dates = [[request.header("x-amz-date") for request in cluster.nodes[0].requests] for cluster in (right, wrong)]
    assert told == ClockSkewCorrected(node=wrong.seeds[0], seconds=-HOUR)
    assert dates == [["20150830T120000Z"] * 2, ["20150830T120000Z", "20150830T110000Z", "20150830T110000Z"]]


async def test_the_second_refusal_is_final() -> None:
    """A node that contradicts itself is asked twice, not for ever."""
    body = b'{"__type": "x#InvalidSignatureException", "message": "Signature expired: a is now earlier than b"}'
    async with LocalCluster(1, clock=lambda: NOON) as cluster:
        cluster.nodes[0].fail_next(Answer(status=400, body=body), times=100, operation="ListTables")
        async with opened(cluster, lambda: NOON - HOUR, clock_skew_correction="always") as client:
            with pytest.raises(ServiceError, match="signed by the node's clock it was refused as well"):
                await client.list_tables()
        assert sum(request.operation == "ListTables" for request in cluster.nodes[0].requests) == 2


async def test_a_clock_that_is_set_meanwhile_is_followed() -> None:
    """The correction is wrong then, is refused, and is taken back."""
    now = [NOON - HOUR]
    async with LocalCluster(1, credentials=SECRETS, clock=lambda: NOON) as cluster:
        async with opened(cluster, lambda: now[0], clock_skew_correction="always") as client:
            await client.list_tables()
            now[0] = NOON
            for _ in range(2):
                await client.list_tables()
        assert sum(request.operation == "ListTables" for request in cluster.nodes[0].requests) == 5


async def test_new_credentials_and_a_wrong_clock_together() -> None:
    """First the time is corrected, then the shard forgets the old secret: three requests, one attempt."""
    async with LocalCluster(1, credentials={"role": "old"}, clock=lambda: NOON) as cluster:
        async with opened(cluster, lambda: NOON, discovery=False) as warm:
            await warm.with_options(credentials=Credentials("role", "old")).list_tables()
        cluster.credentials["role"] = "salted_hash"
        cluster.nodes[0].clear_requests()
        async with opened(cluster, lambda: NOON - HOUR, clock_skew_correction="always") as client:
            answer = await client.list_tables()
            assert answer["ResponseMetadata"]["RetryAttempts"] == 0
        assert sum(request.operation == "ListTables" for request in cluster.nodes[0].requests) == 3


async def test_new_credentials_are_new_by_every_nodes_clock() -> None:
    """With one of two nodes an hour off, each of them may have known the old secret until now."""
    refusal = Answer(status=400, body=b'{"__type": "x#UnrecognizedClientException", "message": "no"}')
    async with (
        LocalCluster(1, credentials=SECRETS, clock=lambda: NOON) as right,
        LocalCluster(1, credentials=SECRETS, clock=lambda: NOON - HOUR) as wrong,
        open_runtime(
            AlternatorConfig(
                seeds=(*right.seeds, *wrong.seeds), credentials=ROLE, discovery=False, clock_skew_correction="always"
            ),
            wall_clock=lambda: NOON,
        ) as runtime,
    ):
        client = Client(runtime)
        for _ in range(4):
            await client.list_tables()
        for cluster in (right, wrong):
            cluster.nodes[0].fail_next(refusal, operation="ListTables")
        for _ in range(2):
            await client.list_tables()
        assert client.statistics().failed == 0


async def test_a_right_clock_is_not_touched() -> None:
    """A wrong signature is no matter of time."""
    async with LocalCluster(1, credentials={"role": "another"}) as cluster:
        async with open_alternator(*cluster.seeds, credentials=ROLE, clock_skew_correction="always") as client:
            with pytest.raises(ServiceError, match="wrong signature") as caught:
                await client.list_tables()
        assert "clock" not in str(caught.value)


def test_the_choices_are_named() -> None:
    """Another word is refused."""
    with pytest.raises(ConfigurationError, match="'yes' is none of verified-tls, always, never"):
        AlternatorConfig(seeds=["http://10.0.0.1:8000"], clock_skew_correction="yes")


async def test_a_clock_that_cannot_be_signed_with_costs_no_connection() -> None:
    """A year beyond every calendar is an error of this machine's, and the lease is free for the next operation."""
    times = iter([1e18, NOON, NOON, NOON])
    async with LocalCluster(nodes=1, credentials=SECRETS, clock=lambda: NOON) as cluster:
        config = AlternatorConfig(seeds=cluster.seeds, credentials=ROLE, max_connections=1, discovery=False)
        async with open_runtime(config, wall_clock=lambda: next(times)) as runtime:
            client = Client(runtime)
            with pytest.raises((OverflowError, ValueError, OSError)):
                await client.list_tables()
            assert client.statistics().connections_leased == 0
            await client.list_tables()

"""The authenticator alone: whose clock signs for which node, what is said about clocks, and who is asked once only."""

from __future__ import annotations

import ssl

import httpx
import pytest
import trio

from alternator_trio import _authentication
from alternator_trio._actors.messages import CredentialsRefused, CredentialsWanted
from alternator_trio._authentication import Authenticator
from alternator_trio._core.held_credentials import HeldCredentials
from alternator_trio._request import Request
from alternator_trio._supervision import Inbox, Published
from alternator_trio.config import AlternatorConfig
from alternator_trio.credentials import Credentials
from alternator_trio.errors import CredentialsError, ServiceError
from alternator_trio.instruments import ClockSkewCorrected, Instrument, Notifier
from alternator_trio.nodes import Node
from alternator_trio.tls import Tls
from alternator_trio.transports import HttpxTransport

A, B, C = (Node("https", f"10.0.0.{number}", 8000) for number in (1, 2, 3))
NOON = 1440936000.0  # 2015-08-30T12:00:00Z: the nodes' clock
HOUR = 3600.0
ROLE, OTHER = Credentials("role", "one"), Credentials("role", "other")


class Bench(Instrument):
    """An authenticator by a clock of its own, and who is told and asked."""

    def __init__(self, here=NOON, **options):
        options.setdefault("clock_skew_correction", "always")
        self.config = AlternatorConfig(seeds=[A.endpoint], credentials=ROLE, **options)
        self.here = here
        self.keeper = Inbox("keeper")
        self.held = Published({})
        self.events = []
        self.authenticator = Authenticator(
            self.config,
            held=self.held,
            keeper=self.keeper,
            notifier=Notifier([self]),
            wall_clock=lambda: self.here,
        )

    def clock_skew_corrected(self, event: ClockSkewCorrected) -> None:
        self.events.append(event)

    def request(self):
        return Request("ListTables", {}, self.config, b"", b"{}")

    def hour_of(self, node):
        """By the time that an attempt at the node is signed with."""
        return self.authenticator.sign(self.request(), node).partition(b"x-amz-date: ")[2][:11]

    async def refused(self, node, request=None, *, code="InvalidSignatureException", message="Signature expired: now"):
        """Whether an attempt is sent again that the node has refused, and with what message it is not."""
        request = request or self.request()
        request.attempts += 1
        request.date = b"Sun, 30 Aug 2015 12:00:00 GMT"
        error = ServiceError(message, code=code, status=400)
        return await self.authenticator.overcomes(request, node, error), error.message


@pytest.mark.parametrize(("bound", "hour"), [(1, b"20150830T11"), (2, b"20150830T12")])
async def test_the_clock_of_a_node_that_left_is_forgotten_where_many_have(monkeypatch, bound, hour):
    """That of one that is still there stays; and an attempt that is sent again finds its node's, left or not."""
    monkeypatch.setattr(_authentication, "_MAX_CORRECTED", bound)
    bench = Bench(NOON - HOUR)
    for node in (A, B):
        assert (await bench.refused(node))[0]
    bench.authenticator.keep_only([B, C])
    assert [bench.hour_of(node) for node in (A, B, C)] == [hour, b"20150830T12", b"20150830T11"]


async def test_a_wrong_clock_is_warned_of_once(caplog):
    """However many nodes show it; instruments hear of each."""
    bench = Bench(NOON - HOUR)
    for node in (A, B, C):
        await bench.refused(node)
    assert [event.node for event in bench.events] == [A.endpoint, B.endpoint, C.endpoint]
    assert len(caplog.records) == 1


async def test_requests_beside_one_another_correct_a_clock_once():
    """The second learns nothing new, and is sent again by what the first has found."""
    bench = Bench(NOON - HOUR)
    assert [(await bench.refused(A))[0] for _ in range(2)] == [True, True]
    assert len(bench.events) == 1


@pytest.mark.parametrize(
    ("away", "said"),
    [
        (24 * HOUR, None),
        (-24 * HOUR, None),
        (24 * HOUR + 1, "more than 24 hours are not corrected"),
        (-24 * HOUR - 1, "more than 24 hours are not corrected"),
    ],
)
async def test_up_to_a_day_is_corrected(away, said):
    """The bound is the same in both directions."""
    again, message = await Bench(NOON - away).refused(A)
    assert again is (said is None)
    assert said is None or said in message


@pytest.mark.parametrize(("away", "said"), [(1.0, "1 s behind"), (-1.0, "1 s ahead"), (-HOUR, "3600 s ahead")])
async def test_the_error_says_which_way_the_clock_is_wrong(away, said):
    """A clock that shows less than the node's is behind."""
    _, message = await Bench(NOON - away, clock_skew_correction="never").refused(A)
    assert f"this client's clock is {said}" in message


@pytest.mark.parametrize(
    ("tls", "is_believed"),
    [(None, True), (Tls(), True), (Tls(insecure_skip_verification=True), False), (ssl.create_default_context(), True)],
    ids=["by default", "by a policy", "unverified", "by a context"],
)
async def test_a_node_that_is_verified_is_believed(tls, is_believed):
    """Whichever way verification was asked for."""
    bench = Bench(NOON - HOUR, tls=tls, clock_skew_correction="verified-tls")
    assert (await bench.refused(A))[0] is is_believed


async def test_a_node_behind_the_users_own_httpx_client_is_not_believed():
    """What such a client verifies is not known."""
    async with httpx.AsyncClient() as own:
        bench = Bench(NOON - HOUR, transport=own, clock_skew_correction="verified-tls")
        assert not (await bench.refused(A))[0]
    assert (await Bench(NOON - HOUR, transport=HttpxTransport(), clock_skew_correction="verified-tls").refused(A))[0]


async def test_a_wrong_signature_says_nothing_of_clocks():
    """It is wrong at any time: not sent again, and told as it is."""
    refusal = await Bench(NOON - HOUR).refused(A, message="The signature does not match")
    assert refusal == (False, "The signature does not match")


def test_a_request_without_credentials_is_not_signed():
    """It may have header lines of its own all the same."""
    bench = Bench()
    request = bench.request()
    request.credentials = None
    assert bench.authenticator.sign(request, A) == b""


def another_provider():
    async def provider():
        raise AssertionError

    return provider


async def test_one_provider_too_many_is_said():
    """Where the keeper has no room for the question, the request fails with it, as one for credentials."""
    bench = Bench()
    for _ in range(CredentialsWanted.limit):
        bench.keeper.tell(CredentialsWanted(provider=another_provider()))
    request = bench.request()
    request.provider = another_provider()
    with pytest.raises(CredentialsError, match="too many providers at once"):
        await bench.authenticator.obtain(request)


@pytest.mark.parametrize(
    ("now", "is_supplied", "is_asked"),
    [(9.9, True, False), (10.0, True, True), (19.9, True, True), (20.0, False, False)],
)
def test_what_is_held_is_used_until_its_end(now, is_supplied, is_asked):
    """Others are asked for ahead of it, and nobody waits for them."""
    bench, provider = Bench(), another_provider()
    bench.held.publish({provider: HeldCredentials(OTHER, ask_at=10.0, usable_until=20.0)})
    request = bench.request()
    request.provider, request.credentials = provider, None
    assert bench.authenticator.supplies(request, now) is is_supplied
    assert request.credentials == (OTHER if is_supplied else None)
    assert bench.keeper.statistics().pending == is_asked


@pytest.fixture
async def asked(nursery):
    """A bench whose provider's keeper gives what is next in a list; nothing left to give is a failed test."""
    bench = Bench()
    bench.config = AlternatorConfig(seeds=[A.endpoint], credentials=another_provider())
    bench.given = []

    async def keep():
        while isinstance(message := await bench.keeper.receive(), CredentialsRefused):
            for reply in message.replies:
                reply.settle(bench.given.pop(0))

    nursery.start_soon(keep)
    return bench


def refused_request(bench):
    request = bench.request()
    request.credentials = ROLE
    return request


async def test_the_same_credentials_once_more_are_not_sent_again(asked):
    """They would be refused once more."""
    asked.given = [ROLE]
    assert not (await asked.refused(A, refused_request(asked), code="ExpiredTokenException"))[0]


async def test_a_request_asks_its_provider_again_once(asked):
    """A second refusal is final, even where the provider would have others still."""
    asked.given = [OTHER, ROLE]
    request = refused_request(asked)
    with trio.fail_after(5):
        again = [(await asked.refused(A, request, code="ExpiredTokenException"))[0] for _ in range(2)]
    assert (again, request.credentials) == ([True, False], OTHER)


async def test_what_a_provider_gives_anew_is_new_to_the_shards(asked):
    """An attempt is then sent again for that as well; all of these are one attempt."""
    asked.given = [OTHER]
    request, again = refused_request(asked), []
    for _ in range(4):
        asked.authenticator.sign(request, A)
        again.append((await asked.refused(A, request, code="UnrecognizedClientException"))[0])
    assert (again, request.attempts) == ([True, True, True, False], 1)

"""Signatures at the nodes: botocore signs, the nodes verify, and every refusal is Alternator's own."""

from __future__ import annotations

import gzip
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import pytest
import trio
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._wire.sigv4 import Signer
from alternator_trio.credentials import Credentials
from alternator_trio.testing import LocalCluster
from alternator_trio.testing._http import RequestParser
from alternator_trio.testing._signatures import SignatureRefusedError, Verifier

NOON = 1440936000.0  # 2015-08-30T12:00:00Z
SECRET = "$6$x7$Fq3"
TARGET = "DynamoDB_20120810.ListTables"
HOST = "127.0.0.1:8000"
PREFIX = "com.amazonaws.dynamodb.v20120810#"


class BotocoreSigner(SigV4Auth):
    """botocore's signer with the time as an argument."""

    def sign(self, request: AWSRequest, now: float) -> dict[str, str]:
        request.context["timestamp"] = datetime.fromtimestamp(int(now), UTC).strftime(SIGV4_TIMESTAMP)
        self._modify_request_before_signing(request)
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(to_sign, request))
        return dict(request.headers.items())


def signed_headers(
    body=b"{}", *, role="role", secret=SECRET, token=None, host=HOST, now=NOON, region="us-east-1", more=()
):
    request = AWSRequest("POST", f"http://{host}/", headers={"X-Amz-Target": TARGET, **dict(more)}, data=body)
    return BotocoreSigner(BotocoreCredentials(role, secret, token), "dynamodb", region).sign(request, now)


def received(headers, body=b"{}", *, host=HOST):
    """The request as a node has it."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    first = f"host: {host}\r\n" if host is not None else ""
    head = f"POST / HTTP/1.1\r\n{first}{lines}content-length: {len(body)}\r\n\r\n"
    (request,) = RequestParser().feed(head.encode() + body)
    return request


def verifier(now=NOON, roles=None):
    return Verifier({"role": SECRET} if roles is None else roles, lambda: now)


def refusal(request, **options):
    """Name and message with which a request is refused."""
    with pytest.raises(SignatureRefusedError) as raised:
        verifier(**options).check(request)
    return raised.value.name, raised.value.message


def with_authorization(pattern, replacement):
    headers = signed_headers()
    changed, count = re.subn(pattern, replacement, headers["Authorization"])
    assert count == 1
    return received({**headers, "Authorization": changed})


class TestAccepted:
    @given(
        body=st.binary(),
        token=st.none() | st.just("a-token"),
        region=st.sampled_from(["us-east-1", "none"]),
        more=st.dictionaries(st.sampled_from(["Content-Type", "X-One", "x-two"]), st.sampled_from(["a", "a  b"])),
    )
    def test_what_botocore_signs(self, body, token, region, more):
        """Any body, any region, further signed headers with their spaces."""
        headers = signed_headers(body, token=token, region=region, more=more)
        assert verifier().check(received(headers, body)) == "role"

    def test_what_our_signer_signs(self):
        """The two share no code."""
        lines = Signer("us-east-1").sign(
            Credentials("role", SECRET), authority=HOST, target=TARGET, body=b"{}", now=NOON
        )
        headers = dict(line.split(": ", 1) for line in lines.decode().splitlines())
        assert verifier().check(received({**headers, "x-amz-target": TARGET})) == "role"

    @pytest.mark.parametrize("seconds", [-900, 900])
    def test_a_clock_that_is_15_minutes_off(self, seconds):
        """The bound itself is within."""
        assert verifier(now=NOON + seconds).check(received(signed_headers())) == "role"

    @pytest.mark.parametrize("separator", [",", " ", ",   "])
    def test_commas_or_spaces_between_the_parts(self, separator):
        """Either one separates, and it may be repeated."""
        headers = signed_headers()
        headers["Authorization"] = headers["Authorization"].replace(", ", separator)
        assert verifier().check(received(headers)) == "role"


class TestRefused:
    def test_no_authorization(self):
        """The error that says that it is missing."""
        assert refusal(received({}))[0] == "MissingAuthenticationTokenException"

    def test_no_host(self):
        """Without it there is nothing to verify."""
        name, message = refusal(received(signed_headers(), host=None))
        assert (name, message[:24]) == ("InvalidSignatureException", "Host header is mandatory")

    @pytest.mark.parametrize(
        ("pattern", "replacement", "error", "why"),
        [
            ("^AWS4-HMAC-SHA256", "Bearer", "InvalidSignatureException", "must use AWS4-HMAC-SHA256"),
            (" .*", "", "InvalidSignatureException", "must use AWS4-HMAC-SHA256"),
            ("/aws4_request", "", "ValidationException", "Incorrect credential information format: role/20150830"),
            ("Credential=[^,]*, ", "", "ValidationException", "Incorrect credential information format"),
            ("/20150830/", "/20150831/", "InvalidSignatureException", "Expected 20150831, got 20150830"),
            ("x-amz-date;", "", "InvalidSignatureException", "X-Amz-Date header is mandatory"),
            ("SignedHeaders=[^,]*, ", "", "InvalidSignatureException", "X-Amz-Date header is mandatory"),
            ("Signature=.", "Signature=x", "UnrecognizedClientException", "wrong signature"),
            (", Signature=.*", "", "UnrecognizedClientException", "wrong signature"),
            ("=role/", "=nobody/", "UnrecognizedClientException", "User not found: nobody"),
            ("host;x-amz-date", "host;x-absent;x-amz-date", "UnrecognizedClientException", "wrong signature"),
        ],
    )
    def test_a_header_that_is_not_right(self, pattern, replacement, error, why):
        """Each with its own error."""
        name, message = refusal(with_authorization(pattern, replacement))
        assert (name, why in message) == (error, True)

    def test_a_signed_header_that_does_not_arrive(self):
        """It counts as empty."""
        headers = signed_headers(more={"content-type": "x"})
        del headers["content-type"]
        assert refusal(received(headers)) == ("UnrecognizedClientException", "wrong signature")

    def test_a_date_that_does_not_arrive(self):
        """Empty, it is earlier than any."""
        headers = signed_headers()
        del headers["X-Amz-Date"]
        assert "Signature expired:  is now" in refusal(received(headers))[1]

    @pytest.mark.parametrize(
        ("seconds", "why"),
        [
            (901, "Signature expired: 20150830T120000Z is now earlier than 20150830T120001Z"),
            (-901, "Signature not yet current: 20150830T120000Z is still later than 20150830T115959Z"),
        ],
    )
    def test_a_clock_that_is_further_off(self, seconds, why):
        """More than 15 minutes, in either direction."""
        name, message = refusal(received(signed_headers()), now=NOON + seconds)
        assert (name, why in message) == ("InvalidSignatureException", True)

    @pytest.mark.parametrize(
        "changed",
        [
            {"body": b"{ }"},
            {"host": "127.0.0.2:8000"},
            {"X-Amz-Target": "DynamoDB_20120810.GetItem"},
            {"X-Amz-Date": "20150830T120001Z"},
        ],
        ids=lambda changed: next(iter(changed)),
    )
    def test_what_was_changed_after_signing(self, changed):
        """Body, host, target and date are covered."""
        request = {"headers": signed_headers(), "body": b"{}", "host": HOST}
        for name, value in changed.items():
            part = request if name in request else request["headers"]
            part[name] = value
        assert refusal(received(**request)) == ("UnrecognizedClientException", "wrong signature")

    def test_another_secret(self):
        """As of a client that was never told."""
        assert refusal(received(signed_headers(secret="other"))) == ("UnrecognizedClientException", "wrong signature")

    @given(value=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)) | st.text(min_size=1))
    def test_any_authorization_at_all(self, value):
        """Nonsense is refused, with an error that can be sent."""
        request = received({})
        request.fields[b"authorization"] = b"AWS4-HMAC-SHA256 " + value.encode("utf-8", "surrogatepass")
        assert orjson.dumps(refusal(request))


@dataclass
class Clock:
    now: float = NOON

    def __call__(self) -> float:
        return self.now


class TestRememberedSecrets:
    def check(self, node, clock, secret):
        try:
            return node.check(received(signed_headers(secret=secret, now=clock.now)))
        except SignatureRefusedError as error:
            return error.message

    def test_the_first_request_with_a_new_secret_is_refused(self):
        """The node remembers the old one, forgets it, and takes the same request the second time."""
        clock, roles = Clock(), {"role": SECRET}
        node = Verifier(roles, clock)
        assert self.check(node, clock, SECRET) == "role"
        roles["role"] = "new"
        assert [self.check(node, clock, "new") for _ in range(3)] == ["wrong signature", "role", "role"]

    @pytest.mark.parametrize(("seconds", "answer"), [(59, "role"), (61, "wrong signature")])
    def test_an_old_secret_lives_for_a_minute(self, seconds, answer):
        """Counted from when it was read, used or not."""
        clock, roles = Clock(), {"role": SECRET}
        node = Verifier(roles, clock)
        self.check(node, clock, SECRET)
        roles["role"] = "new"
        clock.now += 30
        assert self.check(node, clock, SECRET) == "role"
        clock.now += seconds - 30
        assert self.check(node, clock, SECRET) == answer

    def test_a_role_that_was_not_there_is_not_remembered(self):
        """It is found as soon as it exists."""
        clock, roles = Clock(), {}
        node = Verifier(roles, clock)
        assert self.check(node, clock, SECRET) == "User not found: role"
        roles["role"] = SECRET
        assert self.check(node, clock, SECRET) == "role"


@pytest.fixture
async def guarded():
    async with LocalCluster(2, credentials={"role": SECRET}) as cluster:
        yield cluster


async def list_tables(dial, node, body=b"{}", *, headers=(), **options):
    """ListTables, signed: the error's name, or the tables."""
    host = f"{node.address}:{node.port}"
    signed = signed_headers(body, host=host, **{"now": time.time(), **options})
    async with dial(node) as client:
        reply = await client.request("POST", "/", headers=[*signed.items(), *headers], body=body)
    if reply.status == 200:
        return reply.json["TableNames"]
    assert reply.status == 400
    assert reply.json["__type"].startswith(PREFIX)
    return reply.json["__type"].removeprefix(PREFIX)


async def test_a_signed_operation_is_answered(guarded, dial):
    """The whole way, by each node."""
    for node in guarded.nodes:
        assert await list_tables(dial, node) == []


async def test_an_unsigned_operation_is_refused(guarded, dial):
    """In Alternator's shape, and the connection goes on."""
    async with dial(guarded.nodes[0]) as client:
        for _ in range(2):
            reply = await client.call("ListTables", {})
            assert (reply.status, reply.json["__type"]) == (400, PREFIX + "MissingAuthenticationTokenException")


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/localnodes", 200), ("/other", 404)])
async def test_what_needs_no_signature(guarded, dial, path, status):
    """Health checks, discovery, and what does not exist."""
    async with dial(guarded.nodes[0]) as client:
        assert (await client.request("GET", path)).status == status


async def test_the_compressed_body_is_what_is_signed(guarded, dial):
    """Verified as it came, then decompressed."""
    plain, packed = b"{}", gzip.compress(b"{}")
    encoding = [("content-encoding", "gzip")]
    assert await list_tables(dial, guarded.nodes[0], packed, headers=encoding) == []
    host = f"{guarded.nodes[0].address}:{guarded.nodes[0].port}"
    signed = signed_headers(plain, host=host, now=time.time())
    async with dial(guarded.nodes[0]) as client:
        reply = await client.request("POST", "/", headers=[*signed.items(), *encoding], body=packed)
    assert reply.json["message"] == "wrong signature"


async def test_a_signature_is_looked_at_before_the_operation(guarded, dial):
    """Who is not known does not learn what is supported."""
    async with dial(guarded.nodes[0]) as client:
        reply = await client.call("Nonsense", b"no json")
    assert reply.json["__type"] == PREFIX + "MissingAuthenticationTokenException"


async def test_a_signature_is_for_one_node(guarded, dial):
    """The host is signed: what was signed for one node is refused by the next."""
    first, second = guarded.nodes
    elsewhere = signed_headers(host=f"{first.address}:{first.port}", now=time.time())
    async with dial(second) as client:
        reply = await client.request("POST", "/", headers=list(elsewhere.items()), body=b"{}")
    assert reply.json["message"] == "wrong signature"


async def test_changed_credentials_are_refused_once_by_each_node(guarded, dial):
    """Each node remembers for itself, until it starts again."""
    first, second = guarded.nodes
    for node in guarded.nodes:
        await list_tables(dial, node)
    guarded.credentials["role"] = "new"
    second.stop()
    second.start()
    answers = [await list_tables(dial, node, secret="new") for node in (first, first, second)]
    assert answers == ["UnrecognizedClientException", [], []]


async def test_each_shard_remembers_for_itself(dial):
    """A connection stays on its shard: with three of them changed credentials are refused once by each."""
    async with LocalCluster(1, credentials={"role": SECRET}, shards=3) as cluster:
        node = cluster.nodes[0]
        for _ in range(3):
            await list_tables(dial, node)
        cluster.credentials["role"] = "new"
        answers = [await list_tables(dial, node, secret="new") for _ in range(6)]
    assert answers == ["UnrecognizedClientException"] * 3 + [[]] * 3


def test_a_node_has_a_shard():
    """None at all is a mistake."""
    with pytest.raises(ValueError, match="shards must be at least 1, not 0"):
        LocalCluster(1, shards=0)


async def test_the_clusters_clock_can_be_wrong(dial):
    """It is the clock of both the signatures and the Date header, from which a client can tell."""
    async with LocalCluster(1, credentials={"role": SECRET}, clock=lambda: NOON) as cluster:
        assert await list_tables(dial, cluster.nodes[0], now=NOON) == []
        assert await list_tables(dial, cluster.nodes[0]) == "InvalidSignatureException"
        async with dial(cluster.nodes[0]) as client:
            assert (await client.request("GET", "/")).headers["date"] == "Sun, 30 Aug 2015 12:00:00 GMT"


async def test_without_credentials_nothing_is_verified(dial):
    """Signed or not, by whom and when does not matter."""
    async with LocalCluster(1) as cluster:
        with trio.fail_after(5):
            assert await list_tables(dial, cluster.nodes[0], now=NOON, secret="any") == []

"""Signatures against an independent signer: botocore's, over requests made by Hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import example, given
from hypothesis import strategies as st

from alternator_trio._wire.operation_names import TARGETS
from alternator_trio._wire.sigv4 import Signer
from alternator_trio.credentials import Credentials
from alternator_trio.nodes import Node

GRAPHIC = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
KEY_IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="/,="), min_size=1)
SECRETS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1)
CREDENTIALS = st.builds(Credentials, KEY_IDS, SECRETS, st.none() | st.text(GRAPHIC, min_size=1))
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{1,10}){0,3}", fullmatch=True)
NODES = st.builds(
    Node,
    st.sampled_from(["http", "https"]),
    NAMES | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str),
    st.sampled_from([80, 443, 8000]) | st.integers(1, 65_535),
)
TIMES = st.floats(0, 4e9)  # 1970 to 2096
REGIONS = st.sampled_from(["us-east-1", "eu-central-1"]) | st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True)


class BotocoreSigner(SigV4Auth):
    """botocore's signer with the time as an argument."""

    def lines(self, request: AWSRequest, now: float) -> bytes:
        request.context["timestamp"] = datetime.fromtimestamp(int(now), UTC).strftime(SIGV4_TIMESTAMP)
        self._modify_request_before_signing(request)
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(to_sign, request))
        names = ("authorization", "x-amz-date", "x-amz-security-token")
        return "".join(f"{name}: {request.headers[name]}\r\n" for name in names if name in request.headers).encode()


@given(
    credentials=CREDENTIALS,
    node=NODES,
    target=st.sampled_from(sorted(TARGETS.values())),
    body=st.binary(),
    now=TIMES,
    region=REGIONS,
)
@example(
    credentials=Credentials("role", "salted_hash"),
    node=Node("https", "2001:db8::1", 8043),
    target="DynamoDB_20120810.GetItem",
    body=b"{}",
    now=1440935999.999,
    region="us-east-1",
)
def test_the_lines_are_botocores(credentials, node, target, body, now, region):
    """Whatever is signed, for whichever node and at whatever time, the header lines are the same to the byte."""
    secrets = (credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    oracle = BotocoreSigner(BotocoreCredentials(*secrets), "dynamodb", region)
    request = AWSRequest("POST", f"{node.endpoint}/", headers={"x-amz-target": target}, data=body)
    expected = oracle.lines(request, now)
    signer = Signer(region)
    ours = signer.sign(credentials, authority=node.authority, target=target, body=body, now=now)
    assert ours == expected

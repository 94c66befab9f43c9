"""H3: what is signed is what is sent: the compressed body and the final headers."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
import trio

from alternator_trio import Credentials, InvalidSignatureException, RequestCompression, RetryPolicy, open_alternator
from alternator_trio.testing import LocalCluster, MinistackEngine, Reset
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scenarios.ministack_process import open_ministack
from tests.waiting import all_active

botocore_auth = pytest.importorskip("botocore.auth")
botocore_request = pytest.importorskip("botocore.awsrequest")
botocore_credentials = pytest.importorskip("botocore.credentials")

SECRETS = {"role": "salted_hash"}
ROLE = Credentials("role", "salted_hash")
ITEM = {"id": {"S": "ada"}, "text": {"S": "lorem ipsum " * 200}}
TABLE = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
COMPRESSIONS = [None, RequestCompression.gzip(), RequestCompression.deflate()]
HEADERS = [True, False]


def signed_by_botocore(url, request, monkeypatch):
    """The signature that botocore gives the bytes and the signed headers that a node received."""
    authorization = request.header("authorization")
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    signed_at = dt.datetime.strptime(request.header("x-amz-date"), "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    fields = {name: request.header(name) for name in names if name not in {"host", "x-amz-date"}}
    theirs = botocore_request.AWSRequest(
        "POST", url, data=request.body, headers={**fields, "host": request.header("host")}
    )
    monkeypatch.setattr(
        botocore_auth, "get_current_datetime", lambda remove_tzinfo=True: signed_at.replace(tzinfo=None)
    )
    keys = botocore_credentials.Credentials("role", "salted_hash")
    botocore_auth.SigV4Auth(keys, "dynamodb", "us-east-1").add_auth(theirs)
    return theirs.headers["Authorization"].partition("Signature=")[2]


@pytest.mark.parametrize("lean", HEADERS, ids=["lean", "as an SDK"])
@pytest.mark.parametrize("compression", COMPRESSIONS, ids=str)
async def test_h3_two_verifiers_agree(engine, monkeypatch, compression, lean):
    """The nodes' verifier accepts each request, and botocore's signer gives the same signature to what was received."""
    options = {"credentials": ROLE, "request_compression": compression, "optimize_headers": lean}
    async with LocalCluster(nodes=3, engine=engine, credentials=SECRETS) as cluster:
        async with open_alternator(*cluster.seeds, **options) as client:
            await all_active(client)
            cluster.nodes[0].fail_next(Reset(), operation="PutItem")
            for _ in range(6):
                await client.put_item(TableName="users", Item=ITEM)
            assert client.statistics().failed == 0
            assert client.statistics().retries == 1
        checked = 0
        for node in cluster.nodes:
            for request in node.requests:
                if request.operation == "PutItem":
                    ours = request.header("authorization").partition("Signature=")[2]
                    assert ours == signed_by_botocore(f"{node.url}/", request, monkeypatch)
                    checked += 1
    assert checked == 7


async def test_h3_the_verifier_refuses_what_was_changed_after_signing(engine):
    """The check can fail: a node that signs with another secret refuses the same request."""
    async with LocalCluster(nodes=1, engine=engine, credentials={"role": "another"}) as cluster:
        async with open_alternator(*cluster.seeds, credentials=ROLE) as client:
            with pytest.raises(Exception, match="UnrecognizedClientException"):
                await client.put_item(TableName="users", Item=ITEM)


async def test_h3_a_foreign_verifier_accepts_it():
    """ministack in a process of its own: compressed or not, lean or as an SDK, with a session token or without.

    It verifies deflate as well and then fails to read it: it knows gzip alone.
    """
    with trio.fail_after(30):
        async with open_ministack() as server:
            user = await server.make_user()
            session = await server.make_session(user)
            assert session.session_token is not None
            async with open_alternator(server.url, discovery=False, credentials=user) as client:
                await client.create_table(TableName="users", **TABLE)
                for credentials, compression, lean in itertools.product((user, session), COMPRESSIONS[:2], HEADERS):
                    view = client.with_options(
                        credentials=credentials, request_compression=compression, optimize_headers=lean
                    )
                    await view.put_item(TableName="users", Item=ITEM)
                    assert (await view.get_item(TableName="users", Key={"id": ITEM["id"]}))["Item"] == ITEM
                wrong = Credentials(user.access_key_id, "another", None)
                once = client.with_options(credentials=wrong, retry=RetryPolicy(max_attempts=1))
                with pytest.raises(InvalidSignatureException):
                    await once.list_tables()


async def test_h3_cancelled_in_the_middle():
    """No connection is left of signed requests that are cut off."""
    async with LocalCluster(nodes=2, engine=MinistackEngine(), credentials=SECRETS) as cluster:

        async def scenario():
            async with open_alternator(*cluster.seeds, credentials=ROLE) as client:
                for _ in range(10):
                    await client.list_tables()

        await cancel_in_the_middle(scenario, *cluster.nodes)

"""Signatures: known ones, what they cover, and that what is kept between them changes none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._wire.sigv4 import Signer, signing_key
from alternator_trio.credentials import Credentials

ROLE = Credentials("role", "$6$x7$Fq3")
TEMPORARY = Credentials("role", "$6$x7$Fq3", "a/token+with==")
NOON = 1440936000.0  # 2015-08-30T12:00:00Z
DAY = 86_400.0
REQUEST = {"authority": "10.0.0.1:8000", "target": "DynamoDB_20120810.GetItem", "body": b'{"TableName":"t"}'}


def signed(credentials=ROLE, *, region="us-east-1", service="dynamodb", now=NOON, **request):
    """What a signer that has signed nothing before makes of a request."""
    return Signer(region, service).sign(credentials, now=now, **{**REQUEST, **request})


def signature(lines: bytes) -> bytes:
    return re.search(rb"Signature=([0-9a-f]{64})\r\n", lines)[1]


def test_the_key_of_a_day_is_the_published_one():
    """The example of AWS's own documentation."""
    key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_a_known_signature():
    """Byte for byte the lines that botocore's signer gives for the same request."""
    assert signed() == (
        b"authorization: AWS4-HMAC-SHA256 Credential=role/20150830/us-east-1/dynamodb/aws4_request, "
        b"SignedHeaders=host;x-amz-date;x-amz-target, "
        b"Signature=b46a808ddc9a2823d379cfd99f9bdfeeb67bd87deb7e6ee2f37feb1415a18a33\r\n"
        b"x-amz-date: 20150830T120000Z\r\n"
    )


def test_a_known_signature_with_a_token():
    """The session token is sent, and signed in its alphabetical place."""
    assert signed(TEMPORARY) == (
        b"authorization: AWS4-HMAC-SHA256 Credential=role/20150830/us-east-1/dynamodb/aws4_request, "
        b"SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target, "
        b"Signature=986c82082c05cb791457f360d3d01d56a33e25992a259b95070545408351f0ba\r\n"
        b"x-amz-date: 20150830T120000Z\r\n"
        b"x-amz-security-token: a/token+with==\r\n"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"authority": "10.0.0.2:8000"},
        {"target": "DynamoDB_20120810.PutItem"},
        {"body": b'{"TableName":"u"}'},
        {"now": NOON + 1},
        {"now": NOON + DAY},
        {"region": "eu-central-1"},
        {"service": "other"},
        {"credentials": Credentials("role", "$6$x7$Fq4")},
        {"credentials": Credentials("role", "$6$x7$Fq3", "token")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_all_that_matters_is_covered(change):
    """A request that differs in one of these has another signature."""
    assert signature(signed(**change)) != signature(signed())


@pytest.mark.parametrize("fraction", [0.001, 0.5, 0.999])
def test_fractions_of_a_second_do_not_count(fraction):
    """The date is that of the second begun, never of the next."""
    assert signed(now=NOON + fraction) == signed()


@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from([ROLE, TEMPORARY, Credentials("role", "$6$x7$Fq3"), Credentials("other", "s")]),
            st.sampled_from([NOON, NOON + 0.25, NOON + 1, NOON - 1, NOON + DAY / 2 - 0.01, NOON + DAY / 2, NOON - DAY]),
            st.sampled_from(["10.0.0.1:8000", "[2001:db8::1]:8000"]),
            st.binary(max_size=8),
        ),
        max_size=12,
    )
)
def test_what_was_signed_before_makes_no_difference(requests):
    """Credentials in turns, midnight, a clock that is set back: each signature is as if it were the first."""
    signer = Signer("us-east-1")
    for credentials, now, authority, body in requests:
        lines = signer.sign(credentials, authority=authority, target="A.B", body=body, now=now)
        assert lines == signed(credentials, now=now, authority=authority, target="A.B", body=body)


def test_the_key_is_made_once_a_day():
    """A new second is cheap, a new day is not."""
    signer = Signer("us-east-1")
    keys = []
    for now in (NOON, NOON + 1, NOON + DAY):
        signer.sign(ROLE, now=now, **REQUEST)
        keys.append(signer._stamps[ROLE].key)
    assert keys[0] is keys[1]
    assert keys[1] != keys[2]


def test_replaced_credentials_are_forgotten():
    """Secrets that rotate for a year leave a bounded number of keys."""
    signer = Signer("us-east-1")
    for n in range(200):
        signer.sign(Credentials("role", f"secret{n}"), now=NOON, **REQUEST)
    assert len(signer._stamps) == 64
    assert Credentials("role", "secret199") in signer._stamps


def test_credentials_that_are_kept_push_nobody_out():
    """The room is full, and one of those in it signs in a new second: all stay."""
    signer = Signer("us-east-1")
    kept = [Credentials("role", f"secret{n}") for n in range(64)]
    for credentials in kept:
        signer.sign(credentials, now=NOON, **REQUEST)
    signer.sign(kept[-1], now=NOON + 1, **REQUEST)
    assert signer._stamps.keys() == set(kept)


@pytest.mark.parametrize(("later", "is_new"), [(0.0, True), (60.0, True), (61.0, False), (-61.0, False)])
def test_credentials_are_new_as_long_as_their_first_signature_is(later, is_new):
    """The latest one does not count, and a clock that is set back makes nothing new."""
    signer = Signer("us-east-1")
    for now in (NOON, NOON + 50):
        signer.sign(ROLE, now=now, **REQUEST)
    assert signer.is_new(ROLE, NOON + later, 60.0) is is_new


def test_credentials_that_have_signed_nothing_are_not_new():
    """A refusal cannot be about them."""
    assert not Signer("us-east-1").is_new(ROLE, NOON, 60.0)


@given(secret=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=8))
def test_the_secret_is_not_in_the_lines(secret):
    """Only what it signs is sent; any printable secret can sign."""
    assert secret.encode() not in signed(Credentials("role", secret))

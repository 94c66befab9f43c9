"""Partition keys: which failures are permanent, how long a lookup pauses, what is remembered and for how long."""

from __future__ import annotations

import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core import keys
from alternator_trio._core.keys import ATTEMPTS, COOLDOWN, KnownKeys, is_permanent, partition_key_in, pause
from alternator_trio._service_errors import ResourceNotFoundException
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio._wire.replies import read_error
from alternator_trio.errors import (
    AttemptTimeoutError,
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    DecodingError,
    EncodingError,
    NoLiveNodesError,
    OperationTimeoutError,
    PoolTimeoutError,
    ProtocolError,
    TlsError,
)


def named(code):
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}).encode()


def error_of(status, body):
    response = HttpResponse(status, {}, body, reusable=True)
    return read_error("DescribeTable", response, node="http://10.0.0.1", attempts=1, may_have_happened=False)


def not_found():
    return ResourceNotFoundException("no such table", code="ResourceNotFoundException", status=400)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, named("ResourceNotFoundException")),
        (400, named("AccessDeniedException")),
        (400, named("ValidationException")),
        (403, named("AccessDeniedException")),
        (403, named("UnrecognizedClientException")),
        (403, named("ThrottlingException")),
        (403, b"<html>forbidden</html>"),
        (403, b""),
        (400, b"Can't parse the request"),
        (401, b"who are you?"),
        (404, b'{"message": "Not found", "code": 404}'),
        (404, b""),
        (405, b"{}"),
        (418, b'{"message": "a teapot"}'),
        (499, b"nginx"),
    ],
)
def test_an_answer_that_will_not_change_is_permanent(status, body):
    """No such table, no access, an invalid name, and 4xx answers that are not the service's own."""
    assert is_permanent(error_of(status, body))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, b"too many requests"),
        (429, named("ThrottlingException")),
        (400, named("ThrottlingException")),
        (400, named("RequestLimitExceeded")),
        (400, named("UnrecognizedClientException")),
        (400, named("InvalidSignatureException")),
        (400, named("SomethingNew")),
        (404, b'{"message": "no", "code": "SomethingNew"}'),
        (500, named("InternalServerError")),
        (500, b""),
        (503, b"<html>"),
        (301, b""),
        (399, b""),
    ],
)
def test_an_answer_that_may_change_is_transient(status, body):
    """Throttling, 5xx, and errors under a name of their own, such as those of new credentials."""
    assert not is_permanent(error_of(status, body))


@pytest.mark.parametrize(
    "kind",
    [
        ConnectError,
        TlsError,
        ConnectionLostError,
        AttemptTimeoutError,
        ProtocolError,
        DecodingError,
        PoolTimeoutError,
        OperationTimeoutError,
        NoLiveNodesError,
        ClientClosedError,
    ],
)
def test_no_answer_is_transient(kind):
    """Whatever keeps an answer away may not do so again."""
    assert not is_permanent(kind("no answer"))


def test_a_name_that_cannot_be_sent_is_permanent():
    """No server needs to be asked again what no server was asked."""
    assert is_permanent(EncodingError("a lone surrogate"))


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.1), (2, 0.2), (3, 0.4), (5, 1.6), (6, 2.0), (60, 2.0)])
def test_pauses_double_to_two_seconds(failures, seconds):
    """100 ms doubling to 2 s, give or take a fifth."""
    least, middle, most = (pause(failures, chance) for chance in (0.0, 0.5, 1.0))
    assert (least, middle, most) == pytest.approx((seconds * 0.8, seconds, seconds * 1.2))


def test_a_lookup_has_one_attempt_and_three_retries():
    """The number that the specification gives."""
    assert ATTEMPTS == 4


HASH = {"AttributeName": "id", "KeyType": "HASH"}
RANGE = {"AttributeName": "at", "KeyType": "RANGE"}


@pytest.mark.parametrize("schema", [[HASH], [HASH, RANGE], [RANGE, HASH], [None, "HASH", HASH]])
def test_the_hash_key_is_found_wherever_it_stands(schema):
    """DynamoDB lists it first; nothing depends on that."""
    assert partition_key_in({"Table": {"TableName": "users", "KeySchema": schema}}) == "id"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Table": None},
        {"Table": []},
        {"Table": {}},
        {"Table": {"KeySchema": None}},
        {"Table": {"KeySchema": {}}},
        {"Table": {"KeySchema": "HASH"}},
        {"Table": {"KeySchema": []}},
        {"Table": {"KeySchema": [RANGE]}},
        {"Table": {"KeySchema": [{"KeyType": "HASH"}]}},
        {"Table": {"KeySchema": [{"KeyType": "HASH", "AttributeName": 7}]}},
        {"Table": {"KeySchema": [{"KeyType": "HASH", "AttributeName": ""}]}},
    ],
)
def test_an_answer_without_a_hash_key_has_none(answer):
    """What a node answers is input from a network."""
    assert partition_key_in(answer) is None


def test_a_cooldown_lasts_five_minutes():
    """It is in force up to its end, and not at it."""
    known = KnownKeys().with_cooldown("users", not_found(), 10.0)
    assert known.cooldown_of("users", 10.0 + COOLDOWN - 0.001) is not None
    assert known.cooldown_of("users", 10.0 + COOLDOWN) is None
    assert COOLDOWN == 300


def test_a_cooldown_is_of_one_table():
    """Other tables are looked up meanwhile."""
    assert KnownKeys().with_cooldown("users", not_found(), 0.0).cooldown_of("orders", 0.0) is None


def test_a_cooldown_keeps_the_error_without_its_frames():
    """What is remembered for minutes says what failed, and that it is remembered, and holds on to nothing else."""
    with pytest.raises(ResourceNotFoundException) as caught:
        raise not_found() from ConnectError("the cause")
    cooldown = KnownKeys().with_cooldown("users", caught.value, 0.0).cooldown_of("users", 0.0)
    assert not hasattr(caught.value, "__notes__")
    assert (type(cooldown.error), cooldown.error.code) == (ResourceNotFoundException, "ResourceNotFoundException")
    assert (cooldown.error.__traceback__, cooldown.error.__cause__) == (None, None)
    assert "not looked up again within 300 s" in "".join(traceback.format_exception(cooldown.error))


def test_a_second_cooldown_replaces_the_first():
    """The table has been asked for again after the first; the silence begins anew."""
    known = KnownKeys().with_cooldown("users", not_found(), 0.0).with_cooldown("users", not_found(), COOLDOWN)
    assert known.cooldown_of("users", COOLDOWN + 1).until == 2 * COOLDOWN


def test_cooldowns_that_are_over_are_dropped():
    """They do not pile up."""
    known = KnownKeys().with_cooldown("users", not_found(), 0.0).with_cooldown("orders", not_found(), COOLDOWN)
    assert list(known.cooldowns) == ["orders"]


def test_a_name_ends_a_cooldown():
    """Who has a name knows better."""
    known = KnownKeys().with_cooldown("users", not_found(), 0.0).with_name("users", "id")
    assert (known.name_of("users"), known.cooldowns) == ("id", {})


def test_a_cooldown_ends_a_name():
    """A table that is known to be gone has no key."""
    known = KnownKeys().with_name("users", "id").with_cooldown("users", not_found(), 0.0)
    assert known.name_of("users") is None


def test_a_table_is_forgotten_whole():
    """Its name, its confirmation and its cooldown; nobody else's."""
    known = KnownKeys().with_name("orders", "id").with_name("users", "id", confirmed_at=0.0)
    assert known.without("users") == KnownKeys().with_name("orders", "id")
    assert KnownKeys().with_cooldown("users", not_found(), 0.0).without("users") == KnownKeys()


def test_a_given_name_stays():
    """The user's word is kept when the table changes, and wins over what was found."""
    known = KnownKeys(given={"users": "id"}).with_name("users", "other").without("users")
    assert known.name_of("users") == known.with_name("users", "other").name_of("users") == "id"
    assert known.with_name("users", "other").names == {"users": "id"}


def test_a_given_name_is_not_doubted():
    """Nothing that a server says changes it."""
    assert not KnownKeys(given={"users": "id"}).may_doubt("users", 0.0)


def test_a_name_that_is_not_known_is_not_doubted():
    """There is nothing to drop."""
    assert not KnownKeys().may_doubt("users", 0.0)


def test_a_confirmed_name_is_not_doubted_for_a_minute():
    """Requests that are just invalid must not have the table described for each of them."""
    known = KnownKeys().with_name("users", "id", confirmed_at=10.0)
    assert [known.may_doubt("users", now) for now in (10.0, 69.9, 70.0)] == [False, False, True]


def test_confirmations_that_are_over_are_dropped():
    """They do not pile up."""
    known = KnownKeys().with_name("users", "id", confirmed_at=0.0).with_name("orders", "id", confirmed_at=60.0)
    assert list(known.confirmed) == ["orders"]


@given(st.lists(st.tuples(st.sampled_from(["name", "confirmed", "cooldown", "forget"]), st.integers(0, 9))))
def test_what_is_known_is_bounded(steps):
    """Whatever happens: the newest three are kept, no table has both a name and a cooldown."""
    known = KnownKeys(given={"given": "id"})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keys, "MAX_TABLES", 3)
        for now, (what, number) in enumerate(steps):
            table = str(number)
            match what:
                case "name":
                    known = known.with_name(table, "id")
                case "confirmed":
                    known = known.with_name(table, "id", confirmed_at=now)
                case "cooldown":
                    known = known.with_cooldown(table, not_found(), now)
                case _:
                    known = known.without(table)
            assert (table in known.found) == (what in {"name", "confirmed"})
            assert (known.cooldown_of(table, now) is not None) == (what == "cooldown")
            assert max(len(known.found), len(known.cooldowns), len(known.confirmed)) <= 3
            assert not known.found.keys() & known.cooldowns.keys()
    assert known.name_of("given") == "id"


def test_the_oldest_name_goes_first():
    """Beyond the bound; one that is found anew counts as new."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keys, "MAX_TABLES", 2)
        known = KnownKeys().with_name("a", "id").with_name("b", "id").with_name("a", "id").with_name("c", "id")
    assert list(known.found) == ["a", "c"]

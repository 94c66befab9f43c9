"""A request alone: what its attempts amount to, and what its errors say."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import pytest

from alternator_trio._request import Refusals, Request
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio.config import AlternatorConfig, RetryPolicy
from alternator_trio.credentials import Credentials
from alternator_trio.errors import (
    ConnectError,
    ConnectionLostError,
    IndeterminateWriteError,
    ServiceError,
)
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

A, B = (Node("http", f"10.0.0.{number}", 8000) for number in (1, 2))
ROLE = Credentials("role", "salted_hash")
PUT = {"TableName": "users", "Item": {"id": {"S": "ada"}}}
COMPRESSED = b"\r\ncontent-encoding: gzip"
FALLING_BACK = {"routing_scope": RoutingScope.datacenter("dc1").with_fallback(RoutingScope.cluster())}


class Lease(NamedTuple):
    node: Node
    sent: bool = True


def request(operation="PutItem", *, fields=b"", body=b"{}", parameters=PUT, **options):
    config = AlternatorConfig(seeds=[A.endpoint], **options)
    return Request(operation, parameters, config, fields, body)


def answer(status, body):
    return HttpResponse(status, {}, body, reusable=True)


def service_error(code, message="no"):
    return ServiceError(message, code=code, status=400)


def test_an_identity_is_one_requests_alone():
    """All its attempts have it in common, and no other request has it."""
    one, other = request(), request()
    assert one.identity() == one.identity() != other.identity()


@pytest.mark.parametrize(
    ("credentials", "optimize", "has_lines"),
    [(None, True, False), (None, False, True), (ROLE, True, True), (ROLE, False, True)],
)
def test_which_attempts_have_lines_of_their_own(credentials, optimize, has_lines):
    """Signed ones, and those that say what AWS's SDKs say."""
    assert request(credentials=credentials, optimize_headers=optimize).has_lines is has_lines


def test_an_attempt_that_is_taken_back_is_sent_again_as_the_same_one():
    """It counts once; what follows it is an attempt like another."""
    put = request()
    put.refusals = Refusals()
    seen = [put.is_sent_again]
    put.begin_attempt(Lease(A))
    put.take_back_attempt()
    seen.append(put.is_sent_again)
    put.begin_attempt(Lease(A))
    seen.append(put.is_sent_again)
    assert (seen, put.attempts) == ([False, True, False], 1)


def test_what_was_never_refused_is_not_sent_again():
    """Most requests are not."""
    assert not request().is_sent_again


def test_an_error_in_an_answer_names_the_node_that_gave_it():
    """That of the last attempt."""
    put = request()
    for node in (A, B):
        put.begin_attempt(Lease(node))
    error = put.error_in(answer(400, b'{"__type": "x#Busy"}'), 0.0)
    assert (error.node, error.attempts) == (B.endpoint, 2)


@pytest.mark.parametrize(("fields", "hinted"), [(COMPRESSED, True), (b"", False)])
def test_only_what_went_compressed_is_told_to_be_so(fields, hinted):
    """The hint would lead everybody else astray."""
    error = request(fields=fields).error_in(answer(500, b'{"__type": "x#E", "message": "bad gzip data"}'), 0.0)
    assert ("the request went compressed" in error.message) is hinted


@pytest.mark.parametrize(("size", "named"), [(512 * 1024, True), (512 * 1024 + 1, False)])
def test_large_requests_are_not_looked_through(size, named):
    """For a misshapen value: no other task runs meanwhile."""
    put = request(parameters={"TableName": "users", "Item": {"id": {"N": 5}}}, body=bytes(size))
    error = put.error_in(answer(400, b'{"__type": "x#ValidationException", "message": "no"}'), 0.0)
    assert (error.message != "no") is named


@pytest.mark.parametrize(
    ("operation", "lease", "unknown"),
    [
        ("PutItem", Lease(A), True),
        ("PutItem", Lease(A, sent=False), False),
        ("PutItem", None, False),
        ("GetItem", Lease(A), False),
    ],
    ids=["a write", "nothing sent", "before an attempt", "a read"],
)
def test_what_is_cut_off_may_take_effect(operation, lease, unknown):
    """Where bytes of a write were sent."""
    cut_off = request(operation)
    cut_off.lease = lease
    cut_off.interrupt()
    assert cut_off.unknown_outcome is unknown


LOST = ConnectionLostError("reset", may_have_happened=True)


@pytest.mark.parametrize(
    ("operation", "error", "unknown"),
    [("PutItem", LOST, True), ("PutItem", ConnectError("refused"), False), ("GetItem", LOST, False)],
    ids=["a write that was lost", "one that was not sent", "a read"],
)
def test_a_lost_write_may_take_effect(operation, error, unknown):
    """Also later on, whatever comes of the attempts after it."""
    failed = request(operation)
    assert failed.fail(A, error, 0.0).unknown_outcome is unknown
    failed.fail(A, ConnectError("refused"), 0.0)
    assert failed.unknown_outcome is unknown


REFUSED = ConnectError("refused")


@pytest.mark.parametrize(
    ("options", "counted"),
    [
        (FALLING_BACK, [0, 0, 3]),
        ({}, [1, 2, 3]),
        ({**FALLING_BACK, "node_health": None}, [1, 2, 3]),
        ({**FALLING_BACK, "retry": RetryPolicy(max_attempts=1)}, [1, 2, 3]),
    ],
    ids=["a fallback", "no fallback", "nobody watches", "one attempt"],
)
def test_refused_connections_count_where_no_other_scope_takes_over(options, counted):
    """Else only once as much time has passed since the first of them as one dial may take."""
    put = request(connect_timeout=2.0, **options)
    seen = []
    for now in (10.0, 11.9, 12.0):
        put.begin_attempt(Lease(A))
        seen.append(put.fail(A, REFUSED, now).attempts)
    assert seen == counted


def test_only_the_refused_do_not_count():
    """A connection that was lost is an attempt, whatever was refused beside it."""
    put = request(**FALLING_BACK)
    for error in (REFUSED, LOST, REFUSED):
        put.begin_attempt(Lease(A))
        situation = put.fail(A, error, 0.0)
    assert situation.attempts == 1


@pytest.mark.parametrize(
    ("operation", "error", "is_ambiguous"),
    [
        ("PutItem", service_error("ConditionalCheckFailedException"), True),
        ("PutItem", service_error("ResourceInUseException"), False),
        ("CreateTable", service_error("ResourceInUseException"), True),
        ("UpdateTable", service_error("ResourceInUseException"), True),
        ("DeleteTable", service_error("ResourceNotFoundException"), True),
        ("UpdateTimeToLive", service_error("ValidationException", "TTL is already enabled"), True),
        ("UpdateTimeToLive", service_error("ValidationException"), False),
        ("CreateTable", service_error("ConditionalCheckFailedException"), False),
    ],
)
@pytest.mark.parametrize("unknown", [True, False])
def test_a_refusal_that_an_earlier_attempt_may_have_brought_about(operation, error, is_ambiguous, unknown):
    """After one of unknown outcome nobody knows; without one the refusal is what it says."""
    repeated = request(operation)
    repeated.unknown_outcome = unknown
    with pytest.raises(IndeterminateWriteError) if is_ambiguous and unknown else contextlib.nullcontext():
        repeated.fail(A, error, 0.0)


def test_an_error_keeps_the_node_that_it_names():
    """The last attempt's is added only where it names none."""
    put = request()
    put.begin_attempt(Lease(A))
    named, unnamed = ConnectError("refused", node=B.endpoint), ConnectError("refused")
    for error in (named, unnamed):
        put.complete(error)
    assert (named.node, unnamed.node, unnamed.operation, unnamed.attempts) == (B.endpoint, A.endpoint, "PutItem", 1)


@pytest.mark.parametrize(
    ("operation", "unknown", "sent", "may_have_happened"),
    [
        ("PutItem", True, False, True),
        ("PutItem", False, True, True),
        ("PutItem", False, False, False),
        ("GetItem", True, True, False),
    ],
)
def test_an_error_says_whether_a_write_may_have_happened(operation, unknown, sent, may_have_happened):
    """By this attempt or by one before; a read never has."""
    ended = request(operation)
    ended.unknown_outcome = unknown
    error = ConnectionLostError("reset", may_have_happened=sent)
    ended.complete(error)
    assert error.may_have_happened is may_have_happened

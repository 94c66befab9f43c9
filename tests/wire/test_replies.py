"""What a status and a body mean: results, and errors in every shape that servers give them."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio import UnknownServiceError
from alternator_trio._service_errors import (
    ConditionalCheckFailedException,
    InternalServerError,
    ResourceNotFoundException,
    ValidationException,
)
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio._wire.replies import UnreadableReplyError, read_error, read_result
from alternator_trio.errors import ServiceError

NODE = "http://10.0.0.1:8000"


def answer(status, body=b"", **headers):
    fields = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return HttpResponse(status, fields, body, reusable=True)


def error_in(status, body=b"", **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_error("GetItem", answer(status, raw, **headers), node=NODE, attempts=2, may_have_happened=False)


# Results.


def test_a_result_is_the_object_in_the_body():
    """Binary values come as bytes."""
    assert read_result("GetItem", answer(200, b'{"Item":{"id":{"B":"YWJj"}}}')) == {"Item": {"id": {"B": b"abc"}}}


@pytest.mark.parametrize("operation", ["TagResource", "UntagResource"])
def test_an_empty_body_is_success_for_two_operations(operation):
    """Alternator answers so, and only to these."""
    assert read_result(operation, answer(200)) == {}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("GetItem", b""),
        ("PutItem", b""),
        ("UpdateTimeToLive", b""),
        ("GetItem", b" "),
        ("GetItem", b"null"),
        ("GetItem", b"[]"),
        ("GetItem", b'"{}"'),
        ("GetItem", b'{"Item":'),
        ("GetItem", b"<html>"),
        ("GetItem", b"healthy: 10.0.0.1"),
        ("GetItem", b'{"Item":{"id":{"B":"***"}}}'),
        ("TagResource", b"null"),
    ],
)
def test_a_200_that_is_not_the_promised_answer_is_no_empty_result(operation, body):
    """It is an error, whatever comes in its place."""
    with pytest.raises(UnreadableReplyError):
        read_result(operation, answer(200, body))


def test_a_coding_that_was_not_asked_for_is_refused():
    """Its bytes are not to be taken for JSON; identity is no coding."""
    with pytest.raises(UnreadableReplyError, match="gzip"):
        read_result("GetItem", answer(200, b"\x1f\x8b", content_encoding=b"gzip"))
    assert read_result("GetItem", answer(200, b"{}", content_encoding=b"Identity")) == {}


def test_a_checksum_is_checked_where_there_is_one():
    """AWS sends x-amz-crc32; a body that does not match it is not believed."""
    body = b'{"Item":{}}'
    assert read_result("GetItem", answer(200, body, x_amz_crc32=b"%d" % zlib.crc32(body)))
    with pytest.raises(UnreadableReplyError, match="x-amz-crc32"):
        read_result("GetItem", answer(200, body, x_amz_crc32=b"1"))


# Errors.


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "no table"}, {}),
        ({"__type": "com.amazon.coral.validate#ResourceNotFoundException", "Message": "no table"}, {}),
        ({"__type": "ResourceNotFoundException", "message": "no table"}, {}),
        ({"__type": "x#ResourceNotFoundException:http://internal.amazon.com/coral/", "message": "no table"}, {}),
        ({"message": "no table"}, {"x_amzn_errortype": b"ResourceNotFoundException"}),
        ({"message": "no table"}, {"x_amzn_errortype": b"ResourceNotFoundException:http://internal.amazon.com/coral/"}),
        ({"Message": "no table"}, {"x_amzn_errortype": b"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}),
        ({"code": "ResourceNotFoundException", "message": "no table"}, {}),
    ],
)
def test_an_error_is_known_by_its_name_wherever_it_stands(body, headers):
    """In ``__type`` with any prefix or none, in a header, in ``code``; the message in either spelling."""
    error = error_in(400, body, **headers)
    assert type(error) is ResourceNotFoundException
    assert (error.code, error.message, error.status) == ("ResourceNotFoundException", "no table", 400)


def test_the_body_goes_before_the_header():
    """Where both name an error, the body's ``__type`` does."""
    error = error_in(400, {"__type": "x#ValidationException"}, x_amzn_errortype=b"InternalServerError")
    assert type(error) is ValidationException


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (404, b'{"message": "Not found", "code": 404}', "HTTP404", "Not found"),
        (400, b"bad request: no method", "HTTP400", "bad request: no method"),
        (500, b"", "HTTP500", "an answer without a body"),
        (502, b"<html><h1>Bad Gateway</h1></html>", "HTTP502", "<html><h1>Bad Gateway</h1></html>"),
        (503, b"{", "HTTP503", "{"),
        (500, b"[1]", "HTTP500", "[1]"),
        (400, b'{"__type": 7, "message": ["x"]}', "HTTP400", "no message"),
        (400, b'{"__type": "#", "message": "m"}', "HTTP400", "m"),
        (500, b"\xff\xfe", "HTTP500", "\ufffd\ufffd"),
        (301, b"", "HTTP301", "an answer without a body"),
        (400, b'{"__type": "x#NeverHeardOf", "message": "m"}', "NeverHeardOf", "m"),
    ],
)
def test_an_error_without_a_known_name_is_an_unknown_one(status, body, code, message):
    """Plain text, HTML, nothing, other JSON: the status is its name, what came is its message."""
    error = error_in(status, body)
    assert type(error) is UnknownServiceError
    assert (error.code, error.message, error.status) == (code, message, status)


def test_the_names_class_does_not_depend_on_the_status():
    """A 500 with a name is that error."""
    error = error_in(500, {"__type": "x#InternalServerError", "message": "shard 3"})
    assert type(error) is InternalServerError


def test_an_error_says_where_it_happened():
    """Operation, node and attempts, in attributes and in the text."""
    error = error_in(400, {"__type": "x#ValidationException", "message": "no key"})
    assert (error.operation, error.node, error.attempts, error.may_have_happened) == ("GetItem", NODE, 2, False)
    assert str(error) == f"ValidationException: no key (GetItem, node {NODE}, 2 attempts)"


def test_the_response_has_botocores_shape():
    """``Error`` and ``ResponseMetadata``, beside further members such as ``Item``, whose binary values are bytes."""
    body = {"__type": "x#ConditionalCheckFailedException", "message": "no", "Item": {"id": {"B": "YWJj"}}}
    error = error_in(400, body)
    assert type(error) is ConditionalCheckFailedException
    assert error.response == {
        "Error": {"Code": "ConditionalCheckFailedException", "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": 400, "RetryAttempts": 1, "Node": NODE},
        "Item": {"id": {"B": b"abc"}},
    }


def test_what_a_server_says_at_length_is_cut():
    """A page of HTML does not become a log line."""
    assert len(error_in(500, b"x" * 10_000).message) == 201
    assert len(error_in(400, {"__type": "x" * 10_000}).code) == 200


REFUSAL = json.dumps({"__type": "x#ValidationException", "message": "no key"}).encode()


@pytest.mark.parametrize(("coding", "compress"), [(b"gzip", gzip.compress), (b"Deflate", zlib.compress)])
def test_an_error_that_a_proxy_has_compressed_is_unpacked(coding, compress):
    """Whether or not compressed answers were asked for."""
    error = error_in(400, compress(REFUSAL), content_encoding=coding)
    assert (type(error), error.message) == (ValidationException, "no key")


@pytest.mark.parametrize(
    ("coding", "body", "why"),
    [
        (b"gzip", b"no gzip", "corrupt"),
        (b"gzip", gzip.compress(REFUSAL)[:-4], "incomplete"),
        (b"br", b"\x0b\x02", "unknown"),
        (b"gzip", gzip.compress(bytes(2**20 + 1)), "1048576"),
    ],
)
def test_an_error_that_cannot_be_unpacked_is_one_by_its_status(coding, body, why):
    """Its message says why it is not the server's own."""
    error = error_in(503, body, content_encoding=coding)
    assert (type(error), error.code, error.status) == (UnknownServiceError, "HTTP503", 503)
    assert error.message.startswith("the error cannot be read: ")
    assert why in error.message


@pytest.mark.parametrize("shown", ['to/ken"', 'to\\/ken"', "to/ken&quot;"], ids=["plain", "slashes escaped", "HTML"])
def test_what_is_hidden_is_cut_out_and_the_rest_stays(shown):
    """A session token that an answer shows: its place has dots, and the error is as readable as without it."""
    body = (
        b'{"__type":"x#ValidationException","message":"bad token %b, try another"}' % shown.replace('"', '\\"').encode()
    )
    how = {"node": NODE, "attempts": 1, "may_have_happened": False}
    error = read_error("GetItem", answer(400, body), **how, hidden='to/ken"')
    assert (type(error), error.message) == (ValidationException, "bad token ..., try another")


def test_how_long_to_wait_is_kept():
    """Seconds, also from a date; none asked for is zero."""
    assert error_in(503, b"", retry_after=b"7").retry_after == 7.0
    assert error_in(503, b"").retry_after == 0.0
    late = answer(429, b"", retry_after=b"Thu, 01 Jan 1970 00:01:40 GMT")
    error = read_error("GetItem", late, node=NODE, attempts=1, may_have_happened=False, now=90.0)
    assert error.retry_after == 10.0


OLD_SERVER = "Parsing JSON failed: Invalid value. at 70459088"


@pytest.mark.parametrize(
    ("status", "code", "message", "hint"),
    [
        (400, "ValidationException", OLD_SERVER, "from 2026.1 on"),
        (400, "SerializationException", "", "from 2026.1 on"),
        (500, "InternalServerError", "Unsupported Content-Encoding", "cannot unpack"),
        (500, "InternalServerError", "corrupt gzip data", "cannot unpack"),
        (400, "ValidationException", "The provided key is not valid", ""),
        (400, "ResourceNotFoundException", OLD_SERVER, ""),
        (500, "InternalServerError", "deflate compressor failed on an sstable", ""),
        (503, "InternalServerError", "gzip", ""),
    ],
)
def test_an_error_that_compression_may_have_caused_says_so(status, code, message, hint):
    """Only of a request that went compressed, and never of what its parameters alone explain."""
    reply = answer(status, json.dumps({"__type": f"x#{code}", "message": message}).encode())
    how = {"node": NODE, "attempts": 1, "may_have_happened": False}
    plain = read_error("PutItem", reply, **how)
    compressed = read_error("PutItem", reply, **how, compressed=True)
    assert plain.message == message
    assert ("request_compression" in compressed.message, hint in compressed.message) == (bool(hint), True)
    assert compressed.response["Error"]["Message"] == message


CODINGS = st.sampled_from([b"gzip", b"deflate", b"br", b"gzip, deflate", b"\xff"]) | st.none()


@given(st.integers(201, 599), st.binary(max_size=80) | st.text(max_size=40).map(str.encode), CODINGS)
def test_whatever_comes_it_is_a_service_error(status, body, coding):
    """Nothing that a server answers makes reading it fail."""
    error = error_in(status, body, **({} if coding is None else {"content_encoding": coding}))
    assert isinstance(error, ServiceError)
    assert error.code
    assert str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["__type", "message", "Message", "code", "Item", "Error", "ResponseMetadata"])


@given(st.dictionaries(MEMBERS, JSON, max_size=4))
def test_whatever_the_members_are_the_shape_holds(body):
    """A server cannot take the place of what we say about its answer."""
    error = error_in(400, body)
    assert error.response["Error"] == {"Code": error.code, "Message": error.message}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400

"""The pure parsers as functions of bytes, each with what must hold of whatever it is given.

Rules: a target takes bytes and returns; it raises when a parser raises what it does not promise, or says what it must
not say. Hypothesis calls it with some hundred inputs in the tests, ``tools/fuzz`` with millions, guided by coverage.
"""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import json
import math
import pickle
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Final

import mmh3

from alternator_trio._core.affinity import Affinity, Batch, Keyed, route
from alternator_trio._wire.compression import ContentError, compress, decompress
from alternator_trio._wire.http_head import Heads
from alternator_trio._wire.http_response import HttpResponse, MalformedResponseError, ResponseReader, read_whole
from alternator_trio._wire.json_body import decode_object, encode_object
from alternator_trio._wire.localnodes import parse_localnodes
from alternator_trio._wire.replies import read_error
from alternator_trio._wire.update_expression import (
    UpdateExpressionError,
    is_repeatable_update,
    parse_update_expression,
)
from alternator_trio.content import RequestCompression
from alternator_trio.errors import ServiceError
from alternator_trio.nodes import host_problem, parse_endpoint
from alternator_trio.routing import AffinityMode
from tests.fuzz.h11_oracle import unexplained

__all__ = ["TARGETS", "read_ours"]

MAX_BODY: Final = 4096
_DEEP: Final = 250
_KEY_NAMES: Final = {"users": "id", "t": "B"}


def response(data: bytes) -> None:
    """An answer: the same fed whole, split and byte by byte; at a glance as with care; and as h11 reads it."""
    if not data:
        return
    where, data = data[0], data[1:]
    whole = _fed([data])
    for parts in ([data[:where], data[where:]], [data[at : at + 1] for at in range(len(data))]):
        assert _agree(whole, _fed(parts)), (whole, _fed(parts))
    heads = Heads()
    end = data.find(b"\r\n\r\n") + 4
    if isinstance(whole, HttpResponse) and end >= 4 and not data.startswith(b"HTTP/1.1 1"):
        heads.read(data[:end])
        glance = read_whole(data, heads, MAX_BODY)
        assert glance is None or _same(glance, whole)
    assert unexplained(data, whole) is None, unexplained(data, whole)


def localnodes(data: bytes) -> None:
    """A node list: a ValueError, or distinct hosts that can be dialled and nothing else."""
    try:
        listed = parse_localnodes(data)
    except ValueError:
        return
    assert len(set(listed.hosts)) == len(listed.hosts) <= 4096
    for host in listed.hosts:
        assert host_problem(host) is None
        assert not _is_no_node(host)
        authority = f"[{host}]" if ":" in host else host
        assert parse_endpoint(f"http://{authority}:8000").host == host
    again = json.dumps(listed.hosts).encode()
    assert parse_localnodes(again).hosts == listed.hosts


def error_body(data: bytes) -> None:
    """An error's body: always a service error, that has a name, bounded text, and survives pickling."""
    status = 300 + (data[0] if data else 0)
    headers = {b"x-amzn-errortype": data[1:21]} if data[1:2] == b":" else {}
    answer = HttpResponse(min(status, 599), headers, data[1:], reusable=True)
    error = read_error("GetItem", answer, node="http://10.0.0.1:8000", attempts=1, may_have_happened=False)
    assert isinstance(error, ServiceError)
    assert 0 < len(error.code) <= 200
    assert len(str(error)) < 10_000
    assert error.response["Error"]["Code"] == error.code
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.response) == (str(error), error.response)


def json_body(data: bytes) -> None:
    """An answer's body: a ValueError, or what the standard library reads; and it can be written and read again."""
    try:
        value = decode_object(data)
    except ValueError:
        return
    assert isinstance(value, dict)
    if data.count(b"{") + data.count(b"[") > _DEEP:
        return  # deeper than the standard library reads and orjson writes
    assert _like(value, _with_binary(json.loads(data)))
    assert decode_object(encode_object(value)) == value


def update_expression(data: bytes) -> None:
    """An expression: an error of its own, or the same tree from the same words with other space between them."""
    text = data.decode("utf-8", "replace")
    repeatable = is_repeatable_update(text, {"#a": "a"}, {":a": {"SS": ["x"]}, ":n": {"N": "1"}})
    try:
        parsed = parse_update_expression(text)
    except UpdateExpressionError as error:
        complaint, parsed = str(error), None
    if parsed is None:
        assert len(complaint) < 500
        assert not repeatable
        return
    assert parse_update_expression(f"\t {text}\n") == parsed
    assert dataclasses.is_dataclass(parsed)


def affinity(data: bytes) -> None:
    """A write's parameters: an answer to every one of them, and for a key's value the hash that all clients share."""
    operation = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")[data[0] % 4 if data else 0]
    try:
        parameters = decode_object(data[1:])
    except ValueError:
        return
    assert isinstance(route(AffinityMode.RMW, operation, parameters, _KEY_NAMES), Affinity)
    found = route(AffinityMode.ANY_WRITE, operation, parameters, _KEY_NAMES)
    if isinstance(found, Keyed):
        ((kind, value),) = parameters["Item" if operation == "PutItem" else "Key"][_KEY_NAMES[found.table]].items()
        plain = value if isinstance(value, bytes) else base64.b64decode(value) if kind == "B" else value.encode()
        (hashed,) = struct.unpack(
            "<q", mmh3.mmh3_x64_128_digest({"S": b"\1", "N": b"\2", "B": b"\3"}[kind] + plain)[:8]
        )
        assert found == Keyed(hashed, parameters["TableName"])
    elif isinstance(found, Batch):
        entries = [entry for table in parameters["RequestItems"].values() if isinstance(table, list) for entry in table]
        assert 0 < len(found.votes) <= len(entries)


def compression(data: bytes) -> None:
    """A compressed body: a ContentError, or exactly what zlib makes of it, within the bound."""
    coding, bits = (b"gzip", 31) if data[:1] < b"\x80" else (b"deflate", 15)
    body = data[1:]
    expected = _inflated(body, bits)
    try:
        unpacked = decompress(body, coding, ("gzip", "deflate"), MAX_BODY)
    except ContentError:
        unpacked = None
    assert unpacked == expected
    packed, used = compress(body, RequestCompression.gzip(threshold_bytes=0))
    assert decompress(packed, used and used.encode(), ("gzip",), len(body)) == body


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "response": response,
    "localnodes": localnodes,
    "error_body": error_body,
    "json_body": json_body,
    "update_expression": update_expression,
    "affinity": affinity,
    "compression": compression,
}


def read_ours(data: bytes) -> HttpResponse | MalformedResponseError | None:
    """What an answer is here: itself, an error, or None as long as it is not whole."""
    return _fed([data])


# Below: the parts of the above.


def _fed(parts: Iterable[bytes]) -> HttpResponse | MalformedResponseError | None:
    """What the parts amount to; None when they end before it does."""
    reader = ResponseReader(MAX_BODY, Heads())
    answer = None
    for part in parts:
        if not part:
            continue
        try:
            answer = reader.feed(part)
        except MalformedResponseError as error:
            return error
        if answer is not None:
            break
    return answer


def _is_no_node(host: str) -> bool:
    """Whether it is an address at which no node can be."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_unspecified or address.is_multicast


def _agree(whole: object, parts: object) -> bool:
    """Whether two ways of feeding the same bytes agree: what follows the answer is seen by the one alone."""
    if isinstance(whole, HttpResponse) and isinstance(parts, HttpResponse):
        return _same(whole, parts) and (parts.reusable or not whole.reusable)
    return type(whole) is type(parts) or (
        isinstance(whole, MalformedResponseError) and isinstance(parts, MalformedResponseError)
    )


def _same(one: HttpResponse, other: HttpResponse) -> bool:
    return (one.status, one.headers, one.body) == (other.status, other.headers, other.body)


def _like(ours: object, theirs: object) -> bool:
    """Equal, where the standard library keeps integers beyond 64 bits and reads the same key twice alike."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_like(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_like, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, (int, float)):
        return math.isclose(ours, theirs, rel_tol=1e-15)
    return type(ours) is type(theirs) and ours == theirs


def _with_binary(value: object) -> object:
    """Attribute values of the types B and BS as bytes; what is no attribute value as it is."""
    if isinstance(value, list):
        return [_with_binary(member) for member in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("B", str(text))]:
            return {"B": base64.b64decode(text, validate=True)}
        case [("BS", list(texts))] if all(isinstance(text, str) for text in texts):
            return {"BS": [base64.b64decode(text, validate=True) for text in texts]}
    return {key: _with_binary(member) for key, member in value.items()}


def _inflated(body: bytes, bits: int) -> bytes | None:
    decoder = zlib.decompressobj(bits)
    try:
        result = decoder.decompress(body, MAX_BODY + 1)
    except zlib.error:
        return None
    complete = decoder.eof and not decoder.unused_data
    return result if complete and len(result) <= MAX_BODY else None

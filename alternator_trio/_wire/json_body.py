"""Request and answer bodies: JSON with DynamoDB's binary values as ``bytes``.

Rules: a request may hold ``bytes`` where the wire has base64 (B, BS and blobs); an answer's attribute values of type B
and BS come back as ``bytes``. A value that JSON does not have is refused, with the way to it, before anything is sent.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeGuard, cast

import orjson

from alternator_trio.errors import EncodingError

__all__ = ["decode_object", "encode_object", "read_json"]

_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_MAX_DEPTH: Final = 254  # orjson's own bound on what it writes
_REMEDIES: Final = {  # for types that applications often have; only for error messages
    "Binary": "write bytes(...) of it, which is the bytes in boto3's wrapper",
    "Decimal": "numbers are text, as in {'N': '1.5'}",
    "date": "write its isoformat()",
    "datetime": "write its isoformat()",
    "frozenset": "write a list",
    "set": "write a list",
}
_NOT_BINARY: Final = frozenset({"S", "N", "SS", "NS", "BOOL", "NULL"})  # an attribute of that name is an object itself
_find_binary: Final = re.compile(rb'"BS?"').search  # in one pass, and that faster than ``in``


def encode_object(parameters: Mapping[str, object]) -> bytes:
    """The body of a request.

    Raises:
        EncodingError: A value cannot be written; the message names where it stands.

    Example:
        >>> encode_object({"Key": {"id": {"B": b"abc"}}})
        b'{"Key":{"id":{"B":"YWJj"}}}'
    """
    try:
        body = orjson.dumps(parameters, _plain_value, _OPTIONS)
    except TypeError:
        body = _encode_with_binary(parameters)  # or with what cannot be written
    # orjson writes NaN and infinities as null, which next to no request holds: one search spares the others the walk.
    if b"null" in body:
        _refuse(parameters)
    return body


def decode_object(body: bytes) -> dict[str, object]:
    """The object in an answer's body, with binary attribute values as ``bytes``.

    Raises:
        ValueError: The body is not JSON, no object, or holds base64 that is none.

    Example:
        >>> decode_object(b'{"Item":{"id":{"B":"YWJj"}}}')
        {'Item': {'id': {'B': b'abc'}}}
    """
    value = read_json(body)
    if not _is_object(value):
        raise ValueError(f"a JSON {type(value).__name__} where an object was promised")
    # Most answers hold no binary value: one search over the bytes spares them the walk.
    if _find_binary(body):
        _restore_binary(value)
    return value


def read_json(text: bytes) -> object:
    """The value in a JSON text.

    Raises:
        ValueError: It is no JSON. Not orjson's error, which holds the whole text, and would take it into crash reports.
    """
    try:
        return orjson.loads(text)
    except ValueError as error:
        problem = str(error)
    raise ValueError(problem)


def _encode_with_binary(parameters: Mapping[str, object]) -> bytes:
    try:
        body = orjson.dumps(parameters, _wire_value, _OPTIONS)
    except TypeError as error:
        _refuse(parameters)
        raise EncodingError(f"the request cannot be written as JSON: {error}") from error
    # Binary data under S would be stored as the text of their base64, without a word.
    if _has_misplaced_binary(parameters):
        _refuse(parameters)
    return body


def _refuse(parameters: Mapping[str, object]) -> None:
    """Raise an error about the first thing in the parameters that cannot be written, if there is one."""
    where = _first_problem(parameters, "")
    if where is not None:
        raise EncodingError(f"the request cannot be written as JSON: {where}")


def _has_misplaced_binary(root: object) -> bool:
    stack = [root]
    while stack:
        value = stack.pop()
        if isinstance(value, Mapping):
            for key, member in cast("Mapping[str, object]", value).items():
                if type(member) is str:
                    continue
                if key in _NOT_BINARY and (_is_binary(member) or (_is_list(member) and any(map(_is_binary, member)))):
                    return True
                stack.append(member)
        elif isinstance(value, (list, tuple)):
            stack.extend(cast("list[object]", value))
    return False


def _wire_value(value: object) -> object:
    if _is_binary(value):
        return base64.b64encode(value).decode("ascii")
    return _plain_value(value)


def _plain_value(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _first_problem(value: object, path: str, depth: int = 0, under: object = None) -> str | None:
    """Where in a value that cannot be written the first culprit stands; ``under`` is the last name on the way to it."""
    if depth > _MAX_DEPTH:
        return f"{path[:200]}… is nested deeper than {_MAX_DEPTH} levels"
    if not isinstance(value, (Mapping, list, tuple)):
        problem = _problem(value, under)
        return None if problem is None else f"{path}: {problem}"
    is_object = isinstance(value, Mapping)
    for key, member in _members(cast("object", value)):
        if is_object and not isinstance(key, str):
            return f"key {key!r} of {path or 'the parameters'} is no string"
        inner = f"{path}.{key}".lstrip(".") if is_object else f"{path}[{key}]"
        problem = _first_problem(member, inner, depth + 1, key if is_object else under)
        if problem is not None:
            return problem
    return None


def _problem(value: object, under: object) -> str | None:
    if type(value) is str and value.isascii():
        return None
    if _is_binary(value) and under in _NOT_BINARY:
        return f"{type(value).__name__} under {under!r}; binary values stand under 'B', sets of them under 'BS'"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is no JSON number"
    try:
        orjson.dumps(value, _wire_value, _OPTIONS)
    except TypeError as error:
        remedy = _REMEDIES.get(type(value).__name__)
        return str(error) if remedy is None else f"{type(value).__name__} is no JSON value; {remedy}"
    return None


def _members(value: object) -> Iterable[tuple[object, object]]:
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value).items()
    return enumerate(cast("list[object]", value))


def _restore_binary(root: dict[str, object]) -> None:
    # A stack of our own: an answer may be nested deeper than Python recurses.
    stack: list[object] = [root]
    while stack:
        value = stack.pop()
        if _is_list(value):
            stack.extend(value)
        elif _is_object(value):
            if len(value) == 1 and ("B" in value or "BS" in value) and _restore_attribute(value):
                continue
            stack.extend(value.values())


def _restore_attribute(value: dict[str, object]) -> bool:
    """Decode an attribute value of type B or BS in place; False when it is an item with an attribute of that name."""
    binary = value.get("B")
    if isinstance(binary, str):
        value["B"] = _from_base64(binary)
        return True
    members = value.get("BS")
    if _is_list(members) and all(isinstance(member, str) for member in members):
        value["BS"] = [_from_base64(cast("str", member)) for member in members]
        return True
    return False


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a binary value is not base64: {error}") from error


def _is_binary(value: object) -> TypeGuard[bytes]:
    return isinstance(value, (bytes, bytearray, memoryview))


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return type(value) is dict


def _is_list(value: object) -> TypeGuard[list[object]]:
    return type(value) is list

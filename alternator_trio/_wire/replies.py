"""From an answer to a value or an error: what a status and a body mean.

Rules (spec §1): errors come as ``{"__type": "prefix#Name", "message"}``, also with ``Message``, with ``code``, under a
header, as plain text or as HTML: all are understood. A 200 whose body cannot be read as the promised answer is an
error, never an empty result; an empty body is success for TagResource and UntagResource alone. A checksum is that of
the body as it came; errors are never compressed.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

from alternator_trio._service_errors import error_class
from alternator_trio._wire.compression import decompress
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio._wire.json_body import decode_object
from alternator_trio.content import ResponseEncodings
from alternator_trio.errors import ServiceError

__all__ = ["UnreadableReplyError", "read_error", "read_result"]

_OK: Final = 200
_EMPTY_IS_SUCCESS: Final = frozenset({"TagResource", "UntagResource"})
_MAX_TEXT: Final = 200


class UnreadableReplyError(ValueError):
    """A 200 that is not the promised answer; the message says why."""


def read_result(
    operation: str, response: HttpResponse, accepted: ResponseEncodings = (), max_bytes: int = 64 * 2**20
) -> dict[str, object]:
    """The result in an answer with status 200, without ResponseMetadata.

    Args:
        operation: What was asked for.
        response: The answer.
        accepted: The encodings that it may come in.
        max_bytes: The largest acceptable body, decoded.

    Raises:
        UnreadableReplyError: The body is not the promised answer.
    """
    body = response.body
    if not body and operation in _EMPTY_IS_SUCCESS:
        return {}
    headers = response.headers
    checksum = headers.get(b"x-amz-crc32")
    if checksum is not None and checksum != b"%d" % zlib.crc32(body):
        raise UnreadableReplyError("the body does not match its x-amz-crc32")
    coding = headers.get(b"content-encoding")
    try:
        return decode_object(body if coding is None else decompress(body, coding, accepted, max_bytes))
    except ValueError as error:
        raise UnreadableReplyError(f"the body cannot be read: {error}") from error


def read_error(
    operation: str, response: HttpResponse, *, node: str, attempts: int, may_have_happened: bool
) -> ServiceError:
    """The error in an answer with another status than 200."""
    members = _error_members(response)
    code = _code(members, response)
    message = _message(members, response)
    further = {name: value for name, value in members.items() if name not in {"__type", "message", "Message", "code"}}
    shaped: dict[str, object] = {
        **further,
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": response.status, "RetryAttempts": attempts - 1, "Node": node},
    }
    return error_class(code)(
        message,
        code=code,
        status=response.status,
        response=shaped,
        operation=operation,
        node=node,
        attempts=attempts,
        may_have_happened=may_have_happened,
    )


def _error_members(response: HttpResponse) -> Mapping[str, object]:
    try:
        return decode_object(response.body)
    except ValueError:
        return {}


def _code(members: Mapping[str, object], response: HttpResponse) -> str:
    header = response.headers.get(b"x-amzn-errortype", b"").decode("latin-1")
    for candidate in (members.get("__type"), header, members.get("code")):
        if isinstance(candidate, str) and candidate:
            # "prefix#Name", and behind a header's name at times ":http://…"
            name = candidate.rpartition("#")[2].partition(":")[0].strip()
            if name:
                return name[:_MAX_TEXT]
    return f"HTTP{response.status}"


def _message(members: Mapping[str, object], response: HttpResponse) -> str:
    for name in ("message", "Message"):
        text = members.get(name)
        if isinstance(text, str):
            return text
    if members:
        return "no message"
    text = response.body[: _MAX_TEXT * 4].decode("utf-8", "replace").strip()
    if not text:
        return "an answer without a body"
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"

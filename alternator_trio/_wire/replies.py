"""From an answer to a value or an error: what a status and a body mean.

Rules (spec §1): errors come as ``{"__type": "prefix#Name", "message"}``, also with ``Message``, with ``code``, under a
header, as plain text or as HTML: all are understood. A 200 whose body cannot be read as the promised answer is an
error, never an empty result; an empty body is success for TagResource and UntagResource alone. A checksum is that of
the body as it came. Alternator compresses no errors, but a proxy may: they are unpacked, asked for or not, to a bound,
and what cannot be unpacked is an error all the same.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Final

from alternator_trio._service_errors import error_class
from alternator_trio._wire.attribute_values import misshapen_value
from alternator_trio._wire.compression import ContentError, decompress
from alternator_trio._wire.http_date import retry_after
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio._wire.json_body import decode_object
from alternator_trio.content import ResponseEncodings
from alternator_trio.errors import ServiceError

__all__ = ["UnreadableReplyError", "blames_encoding", "read_error", "read_result"]

_OK: Final = 200
_BAD_REQUEST: Final = 400
_INTERNAL_ERROR: Final = 500
_EMPTY_IS_SUCCESS: Final = frozenset({"TagResource", "UntagResource"})
_MAX_TEXT: Final = 200
_MAX_ERROR_BYTES: Final = 2**20  # what an error may unpack to: the item of a failed condition is in it
_NOT_JSON: Final = "Parsing JSON failed"
# No more words: a node whose SSTables are broken speaks of deflate and zlib, and another node may be well.
_ENCODINGS: Final = re.compile(r"content-encoding|\bgzip\b", re.IGNORECASE)
_ABOUT_VALUES: Final = frozenset({"ValidationException", "SerializationException"})
_MAX_MESSAGE: Final = 8 * 1024  # what is longer is for nobody to read, and would be in every log


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
    operation: str,
    response: HttpResponse,
    *,
    node: str,
    attempts: int,
    may_have_happened: bool,
    now: float = 0.0,
    compressed: bool = False,
    hidden: str | None = None,
    parameters: Mapping[str, object] | None = None,
) -> ServiceError:
    """The error in an answer with another status than 200.

    Args:
        operation: What was asked for.
        response: The answer.
        node: Who answered.
        attempts: How many there were.
        may_have_happened: Whether a write may have taken effect.
        now: The wall clock, in seconds since the epoch, against which a Retry-After with a date is held.
        compressed: Whether the request's body went compressed; an error that says so comes with a hint.
        hidden: What is not to be seen in the error, a session token: some servers and proxies show what they were sent.
        parameters: The request's; where an attribute value among them is misshapen, a refusal for values says so.
    """
    body, problem = _error_body(response)
    if hidden is not None:
        body = _without(body, hidden.encode())
    members = _error_members(body)
    code = _code(members, response)
    message = problem or _message(members, body)
    hint = _hint(code, response.status, message) if compressed else ""
    if not hint and parameters is not None and code in _ABOUT_VALUES:
        mistake = misshapen_value(parameters)
        hint = "" if mistake is None else f"; {mistake}"
    further = {name: value for name, value in members.items() if name not in {"__type", "message", "Message", "code"}}
    shaped: dict[str, object] = {
        **further,
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": response.status, "RetryAttempts": attempts - 1, "Node": node},
    }
    return error_class(code)(
        message + hint,
        code=code,
        status=response.status,
        response=shaped,
        operation=operation,
        node=node,
        attempts=attempts,
        may_have_happened=may_have_happened,
        retry_after=retry_after(response.headers.get(b"retry-after"), now),
    )


def blames_encoding(status: int, message: str) -> bool:
    """Whether an answer to a compressed request says that the server cannot unpack it.

    It is a 500, as if another attempt could help, and it cannot: the same bytes would come.
    """
    return status == _INTERNAL_ERROR and _ENCODINGS.search(message) is not None


def _hint(code: str, status: int, message: str) -> str:
    """What to add to an error of a request that went compressed, if that is likely to be why."""
    if blames_encoding(status, message):
        return "; the request went compressed (request_compression), and this node cannot unpack it"
    # A server that does not know Content-Encoding takes the compressed bytes for JSON.
    taken_for_json = code == "SerializationException" or (code == "ValidationException" and _NOT_JSON in message)
    if status == _BAD_REQUEST and taken_for_json:
        return "; the request went compressed (request_compression), which ScyllaDB understands from 2026.1 on"
    return ""


def _error_body(response: HttpResponse) -> tuple[bytes, str]:
    """The body without its content coding, and what is wrong with it, if anything is."""
    coding = response.headers.get(b"content-encoding")
    if coding is None:
        return response.body, ""
    try:
        return decompress(response.body, coding, ("gzip", "deflate"), _MAX_ERROR_BYTES), ""
    except ContentError as error:
        return b"", f"the error cannot be read: {error}"


def _without(body: bytes, hidden: bytes) -> bytes:
    """The body with three dots in place of what is hidden, also where it stands as JSON or HTML has it."""
    import html  # noqa: PLC0415  # 6 ms, which most processes never need

    quoted = hidden.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    for form in (hidden, quoted, quoted.replace(b"/", b"\\/"), html.escape(hidden.decode()).encode()):
        body = body.replace(form, b"...")
    return body


def _error_members(body: bytes) -> Mapping[str, object]:
    try:
        return decode_object(body)
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


def _message(members: Mapping[str, object], body: bytes) -> str:
    for name in ("message", "Message"):
        text = members.get(name)
        if isinstance(text, str):
            return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"
    if members:
        return "no message"
    text = body[: _MAX_TEXT * 4].decode("utf-8", "replace").strip()
    if not text:
        return "an answer without a body"
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"

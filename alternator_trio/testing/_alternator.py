"""Alternator's answer to one request: what is Alternator's own here, and DynamoDB's from the engine.

The engine answers like AWS. Each place where Alternator answers otherwise is one function or one table of this file,
and one test. Everything else passes through unparsed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import parse_qs

import orjson

from alternator_trio.testing._binary import bad_binary
from alternator_trio.testing._compression import compressed
from alternator_trio.testing._content import BodyTooLargeError, BrokenBodyError, decoded
from alternator_trio.testing._http import REQUEST_LIMIT, TEXT_TYPE, Reply, Request
from alternator_trio.testing._signatures import SignatureRefusedError

if TYPE_CHECKING:
    from alternator_trio.testing._signatures import Verifier
    from alternator_trio.testing.engine import Engine

LocalNodes = Callable[[str | None, str | None], list[str]]
_Json = dict[str, object]
_Items = list[object] | dict[str, list[object]]  # BatchGetItem has one list per table

ERROR_PREFIX: Final = "com.amazonaws.dynamodb.v20120810#"
OK: Final = 200
TOO_LARGE: Final = 413
TABLE_NAME_LIMIT: Final = 192
STREAMED_BYTES: Final = 100_000
STREAMED_ITEMS: Final = 256
SMALLEST_STREAMED_LIST: Final = 2 * STREAMED_ITEMS
"""No answer shorter than this can hold 256 items: an item is at least ``{}``."""

SUPPORTED: Final = frozenset({
    "BatchGetItem", "BatchWriteItem", "CreateTable", "DeleteItem", "DeleteTable", "DescribeContinuousBackups",
    "DescribeEndpoints", "DescribeStream", "DescribeTable", "DescribeTimeToLive", "GetItem", "GetRecords",
    "GetShardIterator", "ListStreams", "ListTables", "ListTagsOfResource", "PutItem", "Query", "Scan", "TagResource",
    "UntagResource", "UpdateItem", "UpdateTable", "UpdateTimeToLive",
})  # fmt: skip
STRICTER: Final = frozenset({"CreateTable", "UpdateTimeToLive"})
EMPTY_ANSWERS: Final = frozenset({"TagResource", "UntagResource"})
ITEM_LISTS: Final = {"Query": "Items", "Scan": "Items", "GetRecords": "Records", "BatchGetItem": "Responses"}

_logger = logging.getLogger(__name__)


class Application:
    """What one node answers. The store is the cluster's, the list of nodes is as this node sees it.

    Operations need a signature when there is a `verifier`; nothing else ever does.
    """

    def __init__(
        self,
        engine: Engine,
        local_nodes: LocalNodes,
        verifier: Verifier | None = None,
        *,
        compress_from: int | None = None,
        unpacks_requests: bool = True,
    ) -> None:
        self._engine = engine
        self._local_nodes = local_nodes
        self._verifier = verifier
        self._compress_from = compress_from
        self._unpacks_requests = unpacks_requests

    async def reply(self, request: Request) -> Reply:
        """The answer to a request; a failure of the engine is an answer too."""
        path, _, query = request.target.partition("?")
        if path == "/" and request.method == "POST":
            reply = await self._operation(request)
            return compressed(reply, request.fields.get(b"accept-encoding"), self._compress_from)
        if path == "/" and request.method == "GET":
            return Reply(OK, b"healthy: " + request.fields.get(b"host", b""), TEXT_TYPE)
        if path == "/localnodes" and request.method == "GET":
            return self._list_nodes(query)
        return Reply(404, orjson.dumps({"message": "Not found", "code": 404}), "application/json")

    def _list_nodes(self, query: str) -> Reply:
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        return Reply(OK, orjson.dumps(self._local_nodes(given.get("dc"), given.get("rack"))), "application/json")

    async def _operation(self, request: Request) -> Reply:
        if self._verifier is not None:
            try:
                self._verifier.check(request)
            except SignatureRefusedError as refusal:
                return refused(refusal.name, refusal.message)
        try:
            encoding = request.fields.get(b"content-encoding") if self._unpacks_requests else None
            body = decoded(request.body, encoding)
        except BodyTooLargeError:
            return too_large()
        except BrokenBodyError as error:
            return internal_error(str(error))
        operation = operation_of(request.fields) or ""
        if operation not in SUPPORTED:
            return refused("UnknownOperationException", f"Unsupported operation {operation}")
        try:
            return await self._execute(operation, body, request)
        except Exception as failure:
            _logger.exception("the engine failed on %s", operation)
            return internal_error(repr(failure))

    async def _execute(self, operation: str, body: bytes, request: Request) -> Reply:
        if body[:1] != b"{" and not body.lstrip().startswith(b"{"):
            return refused("ValidationException", "Parsing JSON failed: the body is not a JSON object")
        if operation == "DescribeEndpoints":
            return _endpoints(request)
        refusal = await self._refusal(operation, body)
        if refusal is not None:
            return refusal
        status, answer = await self._engine.execute(operation, body)
        if status != OK:
            return Reply(status, _error_body(answer))
        if operation in EMPTY_ANSWERS:
            return Reply(OK)
        return Reply(OK, answer, streamed=is_streamed(operation, answer))

    async def _refusal(self, operation: str, body: bytes) -> Reply | None:
        """What Alternator refuses of a request that the engine takes; what is no request at all it refuses itself."""
        text = bad_binary(body)
        if text is not None:
            return refused("ValidationException", f"Invalid base64 data: {text[:40]!r}")
        if operation not in STRICTER:
            return None
        try:
            request = cast("_Json", orjson.loads(body))
        except orjson.JSONDecodeError:
            return None
        if operation == "CreateTable":
            return _table_name_refusal(request)
        return await self._time_to_live_refusal(request)

    async def _time_to_live_refusal(self, request: _Json) -> Reply | None:
        specification = request.get("TimeToLiveSpecification")
        wanted = isinstance(specification, dict) and bool(cast("_Json", specification).get("Enabled"))
        question = orjson.dumps({"TableName": request.get("TableName")})
        status, answer = await self._engine.execute("DescribeTimeToLive", question)
        if status != OK:
            return None
        enabled = orjson.loads(answer)["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
        if wanted != enabled:
            return None
        return refused("ValidationException", f"TTL is already {'enabled' if enabled else 'disabled'}")


def operation_of(fields: dict[bytes, bytes]) -> str | None:
    """The operation's name from ``x-amz-target``; Alternator ignores what is before the last dot."""
    target = fields.get(b"x-amz-target")
    return None if target is None else target.rpartition(b".")[2].decode("latin-1")


def refused(name: str, message: str, *, status: int = 400) -> Reply:
    """An error in Alternator's shape."""
    return Reply(status, orjson.dumps({"__type": ERROR_PREFIX + name, "message": message}))


def internal_error(message: str) -> Reply:
    """What Alternator answers when it fails itself, and to a body that it cannot decompress."""
    return refused("InternalServerError", f"Internal server error: {message}", status=500)


def shed() -> Reply:
    """What Alternator answers when a shard has too much to do: nothing was executed."""
    return refused("RequestLimitExceeded", "too many in-flight requests")


def too_large() -> Reply:
    """What Alternator answers to more than 16 MiB."""
    return refused(
        "PayloadTooLarge", f"Request content length limit of {REQUEST_LIMIT} bytes exceeded", status=TOO_LARGE
    )


def is_streamed(operation: str, answer: bytes) -> bool:
    """Whether Alternator sends this answer in chunks."""
    if len(answer) > STREAMED_BYTES:
        return True
    member = ITEM_LISTS.get(operation)
    if member is None or len(answer) < SMALLEST_STREAMED_LIST:
        return False
    found = cast("_Items", orjson.loads(answer).get(member) or [])
    lists = list(found.values()) if isinstance(found, dict) else [found]
    return sum(map(len, lists)) >= STREAMED_ITEMS


def _error_body(body: bytes) -> bytes:
    """An engine's error with Alternator's prefix and its spelling of ``message``."""
    given = cast("_Json", orjson.loads(body))
    name = str(given.pop("__type", "InternalServerError")).rpartition("#")[2]
    if name == "SerializationException":  # Alternator's own JSON errors are validation errors
        name = "ValidationException"
    message = given.pop("message", None) or given.pop("Message", "")
    return orjson.dumps({"__type": ERROR_PREFIX + name, "message": message, **given})


def _endpoints(request: Request) -> Reply:
    host = request.fields.get(b"host", b"").decode("latin-1")
    return Reply(OK, orjson.dumps({"Endpoints": [{"Address": host, "CachePeriodInMinutes": 1440}]}))


def _table_name_refusal(request: _Json) -> Reply | None:
    name = request.get("TableName")
    if not isinstance(name, str) or len(name) <= TABLE_NAME_LIMIT:
        return None
    return refused("ValidationException", f"TableName must be at most {TABLE_NAME_LIMIT} characters long")

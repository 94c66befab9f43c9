"""The default engine of the embedded cluster: the DynamoDB service of ``ministack``, called in this process.

Its entry point is no documented API, so the version is pinned and a contract test fails when it changes. Rules:

* ministack is imported when the first engine is made, not with this package: 0.1 s, and a daemon thread.
* A store is isolated by a random account number of its own, in a `contextvars.Context` that only it enters.
* The service's coroutines never wait, so one ``send`` runs one to its end, without an event loop.
* Nothing expires: ministack's thread that deletes by the real clock, every minute, does not see these stores.
* AWS's limits that Alternator does not have are lifted while a call runs, and stand again after it.
"""

from __future__ import annotations

import contextvars
import importlib
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from types import ModuleType

REGION: Final = "us-east-1"

# Alternator takes 100 writes per batch and bounds an item only by the size of a request.
LIMITS: Final = {"_DDB_BATCH_WRITE_MAX": 100, "_DDB_ITEM_MAX_BYTES": 16 * 2**20}

STREAM_OPERATIONS: Final = frozenset({"ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"})

_Answer = tuple[int, dict[str, str], bytes | str]
_Setting = tuple[tuple[str, str, str], object]  # by account, region and table
_Handler = Callable[[str, str, dict[str, str], bytes, dict[str, str]], Coroutine[object, None, _Answer]]


class _ScopedStore(Protocol):
    """ministack's dictionary of one kind of resource; it shows the entries of the account in force."""

    def __iter__(self) -> Iterator[object]: ...
    def pop(self, key: object, default: object, /) -> object: ...


class _Settings(Protocol):
    """ministack's dictionary of tables' times to live."""

    spared: set[str]

    def all_items(self) -> list[_Setting]: ...


class MinistackEngine:
    """A DynamoDB store of its own on ``ministack``, in this process.

    Raises:
        ImportError: ministack is not installed; the message names the extra that installs it.
    """

    def __init__(self) -> None:
        self._dynamodb, self._streams, responses = _import_ministack()
        self._handle = cast("_Handler", self._dynamodb.handle_request)
        self._handle_streams = cast("_Handler", self._streams.handle_request)
        self._scoped_dict = cast("type[object]", responses.AccountRegionScopedDict)
        self.account = f"{secrets.randbelow(9 * 10**11) + 10**11}"
        self._spared = _spared_accounts(self._dynamodb)
        self._spared.add(self.account)
        self._context = contextvars.Context()
        self._context.run(responses.set_request_account_id, self.account)
        self._context.run(responses.set_request_region, REGION)

    async def execute(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Run one operation; see `Engine.execute`."""
        return self._context.run(self._call, operation, body)

    async def reset(self) -> None:
        """Drop every table of this store."""
        self._context.run(self._drop_everything)

    async def aclose(self) -> None:
        """Drop every table of this store: ministack keeps what it is not told to drop for the process's life."""
        await self.reset()
        self._spared.discard(self.account)

    def _call(self, operation: str, body: bytes) -> tuple[int, bytes]:
        handle = self._handle_streams if operation in STREAM_OPERATIONS else self._handle
        names = vars(self._dynamodb)
        strict = {name: names[name] for name in LIMITS}
        names.update(LIMITS)
        try:
            status, _, answer = _run_to_end(handle("POST", "/", {"x-amz-target": "." + operation}, body, {}))
        finally:
            names.update(strict)
        return status, answer if isinstance(answer, bytes) else answer.encode()

    def _drop_everything(self) -> None:
        for value in list(vars(self._dynamodb).values()):
            if isinstance(value, self._scoped_dict):
                store = cast("_ScopedStore", value)
                for key in list(store):
                    store.pop(key, None)


def _spared_accounts(dynamodb: ModuleType) -> set[str]:
    """The accounts from whose stores nothing expires: the one thing that ministack's reaper lists does not show them.

    A store has the time of its cluster, which may be virtual. ScyllaDB looks for what has expired once a day.
    """
    settings = vars(dynamodb)["_ttl_settings"]
    kind = cast("type[_Settings]", type(settings))
    if not hasattr(kind, "spared"):
        spared: set[str] = set()

        def all_items(settings: _Settings) -> list[_Setting]:
            return [setting for setting in kind.all_items(settings) if setting[0][0] not in spared]

        members = {"__slots__": (), "all_items": all_items, "spared": spared}
        settings.__class__ = type(kind.__name__, (kind,), members)
    return cast("_Settings", settings).spared


def _run_to_end(coroutine: Coroutine[object, None, _Answer]) -> _Answer:
    """Drive a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast("_Answer", stop.value)
    coroutine.close()
    raise RuntimeError("ministack's DynamoDB waited for something: its entry point has changed")


def _import_ministack() -> tuple[ModuleType, ModuleType, ModuleType]:
    try:
        dynamodb = importlib.import_module("ministack.services.dynamodb")
        streams = importlib.import_module("ministack.services.dynamodb_streams")
        responses = importlib.import_module("ministack.core.responses")
    except ImportError as error:
        raise ImportError(
            "the embedded cluster needs ministack, as the extra 'local' brings it: in a clone, pip install '.[local]'; "
            "or pass another one as engine=...; for a SimulatedCluster there is RegisterEngine()"
        ) from error
    for name in ("dynamodb", "dynamodb_streams"):  # They log every table made, at INFO, under names not their own.
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
    return dynamodb, streams, responses

"""The contract with ministack, whose in-process entry point is no documented API: these fail when it changes."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import logging
import subprocess
import sys
import threading
import time
import types

import pytest
import trio
from ministack.core import responses
from ministack.services import dynamodb, dynamodb_streams

from alternator_trio.testing import MinistackEngine
from alternator_trio.testing.ministack_engine import LIMITS
from tests.users import USERS


async def run(engine, operation, request):
    status, body = await engine.execute(operation, json.dumps(request).encode())
    return status, json.loads(body)


def test_the_version_is_the_pinned_one():
    """The engine is written against this version; read its DynamoDB service again before moving the pin."""
    assert importlib.metadata.version("ministack") == "1.5.33"


@pytest.mark.parametrize("service", [dynamodb, dynamodb_streams])
def test_the_entry_point_has_its_signature(service):
    """A coroutine function of method, path, headers, body and query."""
    assert inspect.iscoroutinefunction(service.handle_request)
    names = list(inspect.signature(service.handle_request).parameters)
    assert names == ["method", "path", "headers", "body", "query_params"]


def test_the_coroutine_never_waits():
    """One step runs it to its end, outside any event loop."""
    coroutine = dynamodb.handle_request("POST", "/", {"x-amz-target": "X.ListTables"}, b"{}", {})
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    status, headers, body = stopped.value.value
    assert (status, type(headers), type(body)) == (200, dict, bytes)


async def test_nothing_expires_from_a_store(monkeypatch):
    """ministack's reaper, which goes by the real clock, takes what belongs to others and nothing of an engine's."""

    class NextRound(BaseException):
        """The reaper has looked through everything."""

    rounds = iter([None])

    def sleep(seconds):
        if threading.current_thread() is not threading.main_thread():
            return time.sleep(seconds)  # the reaper itself
        if next(rounds, rounds) is rounds:
            raise NextRound
        return None

    engine, other = MinistackEngine(), MinistackEngine()
    other._spared.discard(other.account)
    for each in (engine, other):
        await run(each, "CreateTable", USERS)
        setting = {"TableName": "users", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "until"}}
        assert (await run(each, "UpdateTimeToLive", setting))[0] == 200
        await run(each, "PutItem", {"TableName": "users", "Item": {"id": {"S": "ada"}, "until": {"N": "1"}}})
    monkeypatch.setattr(dynamodb, "time", types.SimpleNamespace(sleep=sleep, time=time.time))
    with pytest.raises(NextRound):
        dynamodb._ttl_reaper()
    assert (await run(engine, "Scan", {"TableName": "users"}))[1]["Count"] == 1
    assert (await run(other, "Scan", {"TableName": "users"}))[1]["Count"] == 0
    described = await run(engine, "DescribeTimeToLive", {"TableName": "users"})
    assert described[1]["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
    await engine.aclose()
    await other.aclose()


async def test_a_service_that_waits_is_noticed():
    """Should the service begin to wait, the error says that the entry point has changed."""
    engine = MinistackEngine()

    async def waiting(*_):
        await trio.lowlevel.checkpoint()

    engine._handle = waiting
    with pytest.raises(RuntimeError, match="entry point has changed"):
        await run(engine, "ListTables", {})


def test_stores_are_scoped_by_account():
    """Tables live in a dictionary that shows the account in force only."""
    assert isinstance(dynamodb._tables, responses.AccountRegionScopedDict)
    with responses.request_scope("123456789012", "us-east-1"):
        assert responses.get_account_id() == "123456789012"


@pytest.mark.parametrize(("name", "aws"), [("_DDB_BATCH_WRITE_MAX", 25), ("_DDB_ITEM_MAX_BYTES", 400 * 1024)])
def test_the_lifted_limits_exist(name, aws):
    """The limits that are lifted are ministack's, with AWS's values, and no call leaves them lifted."""
    assert name in LIMITS
    assert getattr(dynamodb, name) == aws


async def test_limits_are_aws_again_after_a_call():
    """Who uses ministack beside the cluster keeps AWS's limits, after failures too."""
    engine = MinistackEngine()
    await run(engine, "ListTables", {})
    with pytest.raises(UnicodeDecodeError):
        await engine.execute("ListTables", b'{"\xff')
    assert (dynamodb._DDB_BATCH_WRITE_MAX, dynamodb._DDB_ITEM_MAX_BYTES) == (25, 400 * 1024)


async def test_two_engines_do_not_see_each_other():
    """Each engine is a store of its own."""
    one, two = MinistackEngine(), MinistackEngine()
    assert (await run(one, "CreateTable", USERS))[0] == 200
    assert await run(two, "ListTables", {}) == (200, {"TableNames": []})
    assert one.account != two.account
    await one.aclose()


async def test_closing_leaves_nothing_behind():
    """ministack keeps data for the life of the process: closing drops this engine's, and no other's."""
    one, two = MinistackEngine(), MinistackEngine()
    for engine in (one, two):
        await run(engine, "CreateTable", USERS | {"Tags": [{"Key": "a", "Value": "b"}]})
        await run(engine, "PutItem", {"TableName": "users", "Item": {"id": {"S": "ada"}}})
    await one.aclose()
    stores = [value for value in vars(dynamodb).values() if isinstance(value, responses.AccountRegionScopedDict)]
    kept = {key[0] for store in stores for key in store.to_dict()}
    assert one.account not in kept
    assert two.account in kept
    await two.aclose()


async def test_the_callers_context_is_untouched():
    """The account in force outside stays what it was."""
    before = responses.get_account_id()
    engine = MinistackEngine()
    await run(engine, "ListTables", {})
    assert responses.get_account_id() == before != engine.account


async def test_it_is_silent(capfd, caplog):
    """Tables are made without a log record below WARNING and without a word on the terminal."""
    caplog.set_level(logging.DEBUG)
    engine = MinistackEngine()
    await run(engine, "CreateTable", USERS)
    await engine.aclose()
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_its_only_thread_is_a_daemon():
    """ministack reaps expired items in one daemon thread, which ends with the process."""
    MinistackEngine()
    threads = [thread for thread in threading.enumerate() if thread.name == "dynamodb-ttl-reaper"]
    assert [thread.daemon for thread in threads] == [True]


def test_the_package_does_not_import_it():
    """`import alternator_trio.testing` costs no ministack; only making an engine does."""
    code = "import sys, alternator_trio.testing; sys.exit('ministack' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)  # noqa: S603 - our own code
    assert done.returncode == 0


def test_without_ministack_the_error_names_the_extra(monkeypatch):
    """Who has not installed the engine is told how."""
    monkeypatch.setitem(sys.modules, "ministack.services.dynamodb", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[local\]'"):
        MinistackEngine()

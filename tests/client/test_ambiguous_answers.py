"""Refusals that an earlier attempt of the same operation may have brought about, and those that it cannot have."""

from __future__ import annotations

import json

import pytest

from alternator_trio import (
    IndeterminateWriteError,
    ResourceInUseException,
    ResourceNotFoundException,
    ServiceError,
    ValidationException,
)
from alternator_trio.testing import Answer, Hang, Reset
from tests.scripted_nodes import ScriptedNodes

CONDITION = ("ConditionalCheckFailedException", "The conditional request failed")
IN_USE, NOT_FOUND = ("ResourceInUseException", "Table exists"), ("ResourceNotFoundException", "no such table")
ENABLED, DISABLED = (
    ("ValidationException", "TTL is already enabled"),
    ("ValidationException", "TTL is already disabled"),
)
AMBIGUOUS = [
    ("PutItem", CONDITION),
    ("DeleteItem", CONDITION),
    ("UpdateItem", CONDITION),
    ("CreateTable", IN_USE),
    ("DeleteTable", NOT_FOUND),
    ("DeleteTable", IN_USE),
    ("UpdateTable", IN_USE),
    ("UpdateTable", NOT_FOUND),
    ("TagResource", NOT_FOUND),
    ("UntagResource", NOT_FOUND),
    ("UpdateTimeToLive", ENABLED),
    ("UpdateTimeToLive", DISABLED),
]
PLAIN = [
    ("PutItem", NOT_FOUND),
    ("UpdateItem", ("ValidationException", "no such function")),
    ("CreateTable", ("ValidationException", "no key")),
    ("UpdateTimeToLive", ("ValidationException", "no attribute name")),
]
UNKNOWN_OUTCOMES = [Reset(), Hang(), Answer(status=500), Answer(status=504)]
SHED = ("RequestLimitExceeded", "shard is busy")


def refusal(code, message):
    return Answer(status=400, body=json.dumps({"__type": f"x#{code}", "message": message}).encode())


@pytest.fixture
async def nodes():
    async with ScriptedNodes(3) as nodes:
        yield nodes


async def error_of(nodes, operation, *, first=()):
    """What an operation raises whose first attempt, at any node, meets a fault."""
    for node in nodes:
        for fault in first:
            node.fail_next(fault)
    async with nodes.open_client(discovery=False, attempt_timeout=1.0, ddl_timeout=1.0) as client:
        with pytest.raises((ServiceError, IndeterminateWriteError)) as caught:
            await client.call(operation, {"TableName": "users"})
    return caught.value


@pytest.mark.parametrize(("operation", "answer"), AMBIGUOUS)
@pytest.mark.parametrize(
    "fault", UNKNOWN_OUTCOMES, ids=lambda fault: f"{type(fault).__name__}{getattr(fault, 'status', '')}"
)
async def test_after_an_unknown_outcome_it_is_indeterminate(autojump_clock, nodes, operation, answer, fault):
    """The refusal is the cause, and the error says that the write may have happened."""
    nodes.respond = lambda _: refusal(*answer)
    error = await error_of(nodes, operation, first=[fault])
    assert type(error) is IndeterminateWriteError
    assert isinstance(error.__cause__, ServiceError)
    assert (error.__cause__.code, error.__cause__.message) == answer
    assert (error.may_have_happened, error.attempts, error.operation) == (True, 4, operation)


@pytest.mark.parametrize(("operation", "answer"), AMBIGUOUS + PLAIN)
async def test_a_first_attempt_is_answered_plainly(autojump_clock, nodes, operation, answer):
    """Nothing has happened: it is the service's own error, after one attempt."""
    nodes.respond = lambda _: refusal(*answer)
    error = await error_of(nodes, operation)
    assert isinstance(error, ServiceError)
    assert (error.code, error.may_have_happened, error.attempts) == (answer[0], False, 1)


@pytest.mark.parametrize(("operation", "answer"), AMBIGUOUS)
async def test_after_attempts_that_were_not_executed_it_is_plain(autojump_clock, nodes, operation, answer):
    """A shed attempt is no unknown outcome."""
    nodes.respond = lambda _: refusal(*answer)
    error = await error_of(nodes, operation, first=[refusal(*SHED)])
    assert isinstance(error, ServiceError)
    assert (error.code, error.may_have_happened) == (answer[0], False)


@pytest.mark.parametrize(("operation", "answer"), PLAIN)
async def test_other_refusals_after_an_unknown_outcome_are_raised_as_they_are(autojump_clock, nodes, operation, answer):
    """They cannot be that attempt's doing; the write may have happened all the same."""
    nodes.respond = lambda _: refusal(*answer)
    error = await error_of(nodes, operation, first=[Reset()])
    assert isinstance(error, ServiceError)
    assert (error.code, error.may_have_happened) == (answer[0], True)


async def test_a_read_is_never_ambiguous(autojump_clock, nodes):
    """A table that is not found after a broken connection is not found."""
    nodes.respond = lambda _: refusal(*NOT_FOUND)
    error = await error_of(nodes, "DescribeTable", first=[Reset()])
    assert isinstance(error, ResourceNotFoundException)
    assert not error.may_have_happened


async def test_the_class_of_a_plain_refusal_is_its_own(autojump_clock, nodes):
    """CreateTable of a table that exists is told apart by its class."""
    nodes.respond = lambda _: refusal(*IN_USE)
    assert type(await error_of(nodes, "CreateTable")) is ResourceInUseException
    nodes.respond = lambda _: refusal(*ENABLED)
    assert type(await error_of(nodes, "UpdateTimeToLive")) is ValidationException

"""How long a client waits before it tries again: as the server asks, and never past the operation's own deadline."""

from __future__ import annotations

import itertools
import json

import pytest
import trio

from alternator_trio import ClientClosedError, IndeterminateWriteError, OperationTimeoutError, RetryPolicy, ServiceError
from alternator_trio.testing import Answer, Hang
from tests.scripted_nodes import ScriptedNodes, answer_json

KEY = {"TableName": "users", "Key": {"id": {"S": "ada"}}}
COUNT_UP = {**KEY, "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
BUSY = json.dumps({"__type": "x#ThrottlingException", "message": "busy"}).encode()
WAIT_3 = (("Retry-After", "3"),)


@pytest.fixture
async def nodes():
    async with ScriptedNodes(3) as nodes:
        yield nodes


def everywhere(nodes, fault, times=1):
    for node in nodes:
        node.fail_next(fault, times=times, operation="GetItem")


def times_of(nodes, operation="GetItem"):
    return [request.at for request in nodes.requests_of(operation)]


@pytest.mark.parametrize(
    ("answer", "longest"),
    [
        (Answer(status=503, headers=WAIT_3), 3.025),
        (Answer(status=429, headers=WAIT_3), 4.0),
        (Answer(status=400, body=BUSY, headers=WAIT_3), 4.0),
    ],
)
async def test_the_next_attempt_comes_when_the_server_asks_for_it(autojump_clock, nodes, answer, longest):
    """No sooner, and no later than the usual pause after that."""
    answers = iter([answer, answer_json({})])
    nodes.respond = lambda _: next(answers)
    async with nodes.open_client() as client:
        await client.get_item(**KEY)
    first, second = times_of(nodes)
    assert 3.0 <= second - first <= longest


@pytest.mark.parametrize(
    ("answer", "option"), [(Answer(status=503), "base_delay"), (Answer(status=429), "throttled_base_delay")]
)
async def test_each_base_has_its_pauses(autojump_clock, nodes, answer, option):
    """None at all with a base of zero; with another base pauses up to it, doubling."""
    for base in (0.0, 8.0):
        del nodes.requests[:]
        everywhere(nodes, answer)
        async with nodes.open_client(discovery=False, retry=RetryPolicy(**{option: base})) as client:
            await client.get_item(**KEY)
        pauses = [later - earlier for earlier, later in itertools.pairwise(times_of(nodes))]
        bounds = (base, 2 * base, min(4 * base, 20.0))
        for pause, bound in zip(pauses, bounds, strict=True):
            assert (0.0 < pause <= bound) if base else (pause == 0.0)


@pytest.mark.parametrize("attempts", [1, 2, 3, 5, 8])
async def test_there_are_as_many_attempts_as_the_policy_says(autojump_clock, nodes, attempts):
    """Also for one operation, whose policy wins."""
    everywhere(nodes, Answer(status=503), times=99)
    async with nodes.open_client(retry=RetryPolicy(max_attempts=attempts)) as client:
        with pytest.raises(ServiceError):
            await client.get_item(**KEY)
        assert len(times_of(nodes)) == attempts
        with pytest.raises(ServiceError):
            await client.call("GetItem", KEY, retry=RetryPolicy(max_attempts=4))
        assert len(times_of(nodes)) == attempts + 4


async def test_a_wait_without_end_is_cut_to_the_longest_pause(autojump_clock, nodes):
    """The other nodes may know nothing of one node's trouble: an hour of one is max_delay."""
    everywhere(nodes, Answer(status=503, headers=(("Retry-After", "3600"),)))
    async with nodes.open_client(retry=RetryPolicy(max_attempts=4, max_delay=2.0)) as client:
        await client.get_item(**KEY)
    assert times_of(nodes) == [0.0, 2.0, 4.0, 6.0]


async def test_an_error_that_leaves_says_how_long_to_wait(autojump_clock, nodes):
    """Who has retries of his own needs the number."""
    everywhere(nodes, Answer(status=503, headers=WAIT_3))
    async with nodes.open_client(retry=RetryPolicy(max_attempts=1)) as client:
        with pytest.raises(ServiceError) as caught:
            await client.get_item(**KEY)
    assert caught.value.retry_after == 3.0


async def test_a_pause_that_would_outlast_the_operation_is_not_begun(autojump_clock, nodes):
    """The last error leaves at once, says why nothing was tried again, and takes no token."""
    everywhere(nodes, Answer(status=503, headers=WAIT_3))
    async with nodes.open_client(operation_timeout=2.0) as client:
        with pytest.raises(ServiceError) as caught:
            await client.get_item(**KEY)
        assert client.statistics().retry_tokens == 500
    assert (trio.current_time(), caught.value.attempts) == (0.0, 1)
    assert any("would outlast operation_timeout" in note for note in caught.value.__notes__)


async def test_a_pause_within_the_operations_time_is_waited(autojump_clock, nodes):
    """The same with more time succeeds."""
    everywhere(nodes, Answer(status=503, headers=WAIT_3))
    async with nodes.open_client(operation_timeout=30.0) as client:
        await client.get_item(**KEY)
    assert len(times_of(nodes)) == 4


async def test_an_operation_that_ran_out_of_time_tells_of_its_last_failure(autojump_clock, nodes):
    """Three nodes answer 503, then nobody answers: the cause is what was seen."""
    everywhere(nodes, Answer(status=503))
    everywhere(nodes, Hang())
    async with nodes.open_client(operation_timeout=1.0) as client:
        with pytest.raises(OperationTimeoutError) as caught:
            await client.get_item(**KEY)
    assert caught.value.attempts == 4
    assert isinstance(caught.value.__cause__, ServiceError)


async def test_a_used_up_quota_is_said(autojump_clock, nodes):
    """The error is the server's, with a note why it is the last."""
    everywhere(nodes, Answer(status=503), times=1000)
    async with nodes.open_client() as client:
        for _ in range(20):
            with pytest.raises(ServiceError) as caught:
                await client.get_item(**KEY)
    assert caught.value.attempts == 1
    assert any("retry quota" in note for note in caught.value.__notes__)


async def test_a_used_up_quota_recovers(autojump_clock, nodes):
    """After an outage each success brings a token back: retries come back with the service."""
    everywhere(nodes, Answer(status=503), times=1000)
    async with nodes.open_client() as client:
        for _ in range(20):
            with pytest.raises(ServiceError):
                await client.get_item(**KEY)
        for node in nodes:
            node.clear_faults()
        left = client.statistics().retry_tokens
        for _ in range(14):
            await client.get_item(**KEY)
        assert client.statistics().retry_tokens == left + 14
        everywhere(nodes, Answer(status=503))
        nodes[0].clear_faults()
        for _ in range(3):  # one of them meets the sick node, or two
            await client.get_item(**KEY)
        assert client.statistics().failed == 20


@pytest.mark.parametrize("status", [501, 505, 599, 204])
async def test_an_odd_answer_to_a_counter_is_of_unknown_outcome(autojump_clock, nodes, status):
    """Neither a result nor a refusal: the write may have happened, and is not repeated."""
    async with nodes.open_client() as client:
        for node in nodes:
            node.fail_next(Answer(status=status), operation="UpdateItem")
        with pytest.raises(IndeterminateWriteError) as caught:
            await client.update_item(**COUNT_UP)
    assert len(nodes.requests_of("UpdateItem")) == 1
    assert isinstance(caught.value.__cause__, ServiceError)


async def test_many_that_are_cancelled_in_their_pause_leave_nothing(autojump_clock, nodes):
    """As many as the quota has tokens for, all in the same tick: no connection, no failure; the next one is served."""
    everywhere(nodes, Answer(status=503, headers=WAIT_3), times=100)
    async with nodes.open_client() as client:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                for _ in range(35):
                    nursery.start_soon(lambda: client.get_item(**KEY))
                await trio.sleep(1.0)
                assert (client.statistics().connections_leased, client.statistics().waiting) == (0, 0)
                scope.cancel()
        assert len(nodes.requests_of("GetItem")) == 35
        for node in nodes:
            node.clear_faults()
        await client.get_item(**KEY)
        assert (client.statistics().connections_leased, client.statistics().failed) == (0, 0)


async def test_a_client_that_is_closed_in_a_pause_ends_it(autojump_clock, nodes):
    """An operation in a task outside the block is told so at once, and that its write may have happened."""
    for node in nodes:
        node.fail_next(Answer(status=503, headers=(("Retry-After", "15"),)))
    errors = []

    async def put(client):
        try:
            await client.put_item(TableName="users", Item=KEY["Key"])
        except ClientClosedError as error:
            errors.append((error.may_have_happened, error.attempts, trio.current_time() - started))

    async with trio.open_nursery() as nursery:
        started = trio.current_time()
        async with nodes.open_client() as client:
            nursery.start_soon(put, client)
            await trio.sleep(1.0)
    assert errors == [(True, 1, pytest.approx(1.0))]

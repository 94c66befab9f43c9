"""Node health through the whole client: what requests see of a node, and what that makes of it."""

from __future__ import annotations

import pytest
import trio

from alternator_trio import (
    AlternatorError,
    DecodingError,
    Instrument,
    NodeHealth,
    OperationTimeoutError,
    PoolTimeoutError,
    RetryPolicy,
    TlsError,
)
from alternator_trio.testing import Answer, Close, Hang, Reset, Truncate
from tests.routing.world import Dials, all_active, get, host, ring, served, settle, states, url
from tests.scripted_nodes import Late, Raw, ScriptedNodes

SICK = 2
ONCE = RetryPolicy(max_attempts=1)
REFUSAL = Answer(status=400, body=b'{"__type": "x#ValidationException", "message": "no"}')


def head(status, *fields):
    return "\r\n".join([f"HTTP/1.1 {status} X", *fields, "", ""]).encode()


def standing(client, number=SICK):
    status = client.node_health()[url(number)]
    return status.state, status.failures, status.successes, status.generation


def failures(client, number=SICK):
    return client.node_health()[url(number)].failures


def opened(nodes, *seeds, **options):
    """A client that tries once, refreshes when it is told to, and sees the sick node by turns."""
    options = {"node_health": NodeHealth(), "retry": ONCE, "active_interval": 3600.0, **options}
    return nodes.open_client(*seeds, **options)


async def try_all(client, rounds=1):
    """One request to each active node, whatever comes of it."""
    for _ in range(rounds * len([1 for state in states(client).values() if state == "ACTIVE"])):
        await attempt(client)


async def attempt(client):
    """One request, whatever comes of it; and let the registry hear of it."""
    try:
        await get(client)
    except AlternatorError as error:
        return error
    finally:
        await settle()
    return None


async def fail_often(nodes, client, times):
    """Let the sick node fail so many requests in a row."""
    nodes[host(SICK)].kill()
    while failures(client) < times and standing(client)[0] != "DOWN":
        await attempt(client)
    nodes[host(SICK)].accept()


# Thresholds.


@pytest.mark.parametrize("threshold", [1, 3, 10])
async def test_an_active_node_goes_down_at_its_threshold(autojump_clock, three, threshold):
    """One failure before it is still active, and gets its share; at it, it is down, and gets nothing."""
    async with opened(three, node_health=NodeHealth(active_failure=threshold)) as client:
        await all_active(client)
        await fail_often(three, client, threshold - 1)
        assert standing(client)[:2] == ("ACTIVE", threshold - 1)
        await fail_often(three, client, threshold)
        assert standing(client) == ("DOWN", threshold, 0, 1)
        del three.requests[:]
        await get(client, 12)
    assert set(served(three)) == {1, 3}


class Reasons(Instrument):
    """Why nodes came to which state."""

    def __init__(self):
        self.seen = []

    def node_state_changed(self, event):
        self.seen.append((event.new, event.reason))


async def test_the_log_and_instruments_hear_why_a_node_is_down(autojump_clock, three, caplog):
    """What failed last, and only of a node that goes down."""
    reasons = Reasons()
    async with opened(three, node_health=NodeHealth(active_failure=2), instruments=[reasons]) as client:
        await all_active(client)
        await fail_often(three, client, 2)
    (told,) = [reason for state, reason in reasons.seen if state == "DOWN"]
    assert "refused" in told
    assert {reason for state, reason in reasons.seen if state != "DOWN"} == {""}
    (warning,) = [record.message for record in caplog.records if "is DOWN" in record.message]
    assert warning.endswith(f"before: ACTIVE; the last failure: {told}")


async def test_a_success_ends_a_row_of_failures(autojump_clock, three):
    """Nine failures, one answer, nine failures: the node is active all the while."""
    async with opened(three) as client:
        await all_active(client)
        for _ in range(3):
            await fail_often(three, client, 9)
            assert standing(client)[:2] == ("ACTIVE", 9)
            await try_all(client)
            assert failures(client) == 0


@pytest.mark.parametrize(("threshold", "state"), [(3, "DOWN"), (4, "QUARANTINED")])
async def test_a_node_in_quarantine_goes_down_at_its_own_threshold(autojump_clock, threshold, state):
    """A seed that nobody has heard of yet: three failures."""
    async with ScriptedNodes(1) as nodes:
        nodes[0].kill()
        async with opened(nodes, node_health=NodeHealth(quarantine_failure=threshold)) as client:
            for _ in range(3):
                await attempt(client)
            assert standing(client, 1)[:2] == (state, 3)


@pytest.mark.parametrize(("threshold", "state"), [(10, "ACTIVE"), (11, "QUARANTINED")])
async def test_requests_alone_promote_a_node(autojump_clock, threshold, state):
    """It answers requests, but no probe: ten successes make it active."""
    async with ScriptedNodes(1) as nodes:
        nodes[0].fail_next(Answer(status=500), times=10**6, operation="localnodes")
        async with opened(nodes, node_health=NodeHealth(quarantine_promotion=threshold)) as client:
            for _ in range(10):
                assert states(client) == {1: "QUARANTINED"}
                await attempt(client)
            assert standing(client, 1)[:3] == (state, 0, 10)


async def test_a_failure_in_quarantine_begins_the_row_anew(autojump_clock):
    """Nine successes, a failure, nine successes: still in quarantine."""
    async with ScriptedNodes(1) as nodes:
        nodes[0].fail_next(Answer(status=500), times=10**6, operation="localnodes")
        async with opened(nodes) as client:
            for _ in range(9):
                await attempt(client)
            nodes[0].kill()
            await trio.sleep(0.2)
            await attempt(client)
            nodes[0].accept()
            assert standing(client, 1) == ("QUARANTINED", 1, 0, 0)
            for _ in range(9):
                await attempt(client)
            assert standing(client, 1) == ("QUARANTINED", 0, 9, 0)


async def test_quarantine_gets_traffic_only_when_nobody_is_active(autojump_clock, three):
    """Two nodes answer no probe: the third serves all; without it both of them do."""
    for number in (1, 2):
        three[host(number)].fail_next(Answer(status=500), times=10**6, operation="localnodes")
    async with opened(three) as client:
        await client.refresh()
        await settle()
        assert states(client) == {1: "QUARANTINED", 2: "QUARANTINED", 3: "ACTIVE"}
        await get(client, 10)
        assert set(served(three)) == {3}
        three[host(3)].kill()
        while states(client)[3] != "DOWN":
            await attempt(client)
        del three.requests[:]
        await get(client, 6)
    assert set(served(three)) == {1, 2}


# What is an observation.


FAILURES = {
    "reset": Reset(),
    "closed": Close(),
    "silent": Hang(),
    "not HTTP": Raw(data=b"SSH-2.0-OpenSSH_9.6\r\n", then="close"),
    "half a head": Raw(data=b"HTTP/1.1 200 OK\r\ncontent-le", then="close"),
    "half a status": Raw(data=b"HTTP/1.1 20", then="reset"),
    "100 and no more": Raw(data=head(100), then="close"),
    "103 and no more": Raw(data=head(103, "link: </x>"), then="reset"),
}
SUCCESSES = {
    "200": None,
    **{str(status): Answer(status=status) for status in (201, 204, 301, 400, 401, 403, 404, 413, 429, 501, 505, 599)},
    "refused": REFUSAL,
    "shed": Answer(status=400, body=b'{"__type": "x#RequestLimitExceeded", "message": "busy"}'),
    "200, body broken off": Truncate(body_bytes=1),
    "200, last chunk missing": Truncate(body_bytes=1, chunked=True),
    "200, body never comes": Raw(data=head(200, "content-length: 100"), then="hang"),
    "200, body reset": Raw(data=head(200, "content-length: 100"), then="reset"),
    "200, undecodable": Answer(status=200, body=b"<html>"),
    "100, then 200": Raw(data=head(100) + head(200, "content-length: 2") + b"{}"),
    "200, too large": Raw(data=head(200, "transfer-encoding: chunked") + b"bb8\r\n" + b" " * 3000),
}
NEUTRAL = {
    **{str(status): Answer(status=status) for status in (500, 502, 503, 504)},
    "500, body broken off": Raw(data=head(500, "content-length: 100") + b"{", then="close"),
    "503, body never comes": Raw(data=head(503, "content-length: 100"), then="hang"),
}


async def _sees(nodes, client, fault):
    """A row of four failures at the sick node, then one request that meets the fault on a new connection."""
    await all_active(client)
    await fail_often(nodes, client, 4)
    assert failures(client) == 4
    if fault is not None:
        nodes[host(SICK)].fail_next(fault, operation="GetItem")
    await try_all(client)


@pytest.mark.parametrize("fault", FAILURES)
async def test_no_final_answer_is_a_failure(autojump_clock, three, fault):
    """Reset, closed, silent until the attempt's timeout, unintelligible, or with an interim answer alone."""
    async with opened(three, attempt_timeout=0.5) as client:
        await _sees(three, client, FAILURES[fault])
        assert standing(client)[:2] == ("ACTIVE", 5)


@pytest.mark.parametrize("answer", SUCCESSES)
async def test_a_final_answer_is_a_success(autojump_clock, three, answer):
    """Refusals are; and a head speaks for the node, whatever becomes of the body."""
    async with opened(three, attempt_timeout=0.5, max_response_bytes=2000) as client:
        await _sees(three, client, SUCCESSES[answer])
        assert standing(client)[:2] == ("ACTIVE", 0)


@pytest.mark.parametrize("answer", NEUTRAL)
async def test_a_server_error_is_neither(autojump_clock, three, answer):
    """What stands behind the node may be ill everywhere: it is neither blamed nor forgiven."""
    async with opened(three, attempt_timeout=0.5) as client:
        await _sees(three, client, NEUTRAL[answer])
        assert standing(client)[:2] == ("ACTIVE", 4)


async def test_a_node_that_answers_500_to_everything_stays_active(autojump_clock, three):
    """A hundred times: health is about nodes that cannot be reached."""
    three[host(SICK)].fail_next(Answer(status=500), times=10**6, operation="GetItem")
    async with opened(three) as client:
        await all_active(client)
        await try_all(client, 100)
        assert standing(client)[:2] == ("ACTIVE", 0)


@pytest.mark.parametrize("how", ["refused", "black hole", "tls"])
async def test_no_connection_is_a_failure(autojump_clock, three, how):
    """Refused, not made within the connect timeout, or without a handshake."""

    async def dial(node):
        if how == "tls" and broken and node.host == host(SICK):
            raise TlsError("certificate has expired", node=node.endpoint)
        return await three.dial(node)

    broken = False
    async with opened(three, dial=dial) as client:
        await all_active(client)
        sick = three[host(SICK)]
        sick.cut()
        await trio.sleep(0.2)  # what is found ended when it is taken out is no observation
        broken = True
        if how != "tls":
            (sick.refuse if how == "refused" else sick.black_hole)()
        await try_all(client, 3)
        assert standing(client)[:2] == ("ACTIVE", 3)


async def test_a_black_hole_is_seen_on_connections_that_are_open(autojump_clock, three):
    """Nothing comes until the attempt's timeout: that is a failure also where a connection has served before."""
    async with opened(three, attempt_timeout=0.5) as client:
        await all_active(client)
        await try_all(client)
        three[host(SICK)].black_hole()
        await try_all(client)
        assert failures(client) == 1


@pytest.mark.parametrize("reset", [True, False])
async def test_a_stale_connection_says_nothing(autojump_clock, three, reset):
    """It has served before and has ended meanwhile: whether found before the request or by it, nobody is blamed."""
    async with opened(three) as client:
        await all_active(client)
        for pause in (0.0, 0.0, 0.3):
            await try_all(client)
            three[host(SICK)].cut(reset=reset)
            await trio.sleep(pause)
            await try_all(client)
            assert failures(client) == 0


async def test_many_stale_connections_say_nothing(autojump_clock, three):
    """A node restarts under thirty requests in flight on connections that had served before."""
    async with opened(three, retry=RetryPolicy()) as client:
        await all_active(client)
        for fault in (Late(seconds=0.1), Reset()):
            for node in three:
                node.fail_next(fault if node.host == host(SICK) else Late(seconds=0.1), times=10, operation="GetItem")
            async with trio.open_nursery() as nursery:
                for _ in range(30):
                    nursery.start_soon(get, client)
            await settle()
        assert standing(client)[:2] == ("ACTIVE", 0)


@pytest.mark.parametrize("how", ["cancelled", "deadline", "operation timeout"])
async def test_a_caller_who_leaves_says_nothing(autojump_clock, three, how):
    """Every request is given up by its caller while the node is silent."""
    three[host(SICK)].fail_next(Hang(), times=10**6, operation="GetItem")
    options = {"operation_timeout": 0.3} if how == "operation timeout" else {}
    async with opened(three, **options) as client:
        await all_active(client)
        for _ in range(60):
            match how:
                case "cancelled":
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(get, client)
                        await trio.sleep(0.3)
                        nursery.cancel_scope.cancel()
                case "deadline":
                    with trio.move_on_after(0.3):
                        await get(client)
                case _:
                    assert isinstance(await attempt(client), OperationTimeoutError | None)
            await settle()
        assert len(three[host(SICK)].requests_of("GetItem")) == 20
        assert standing(client)[:2] == ("ACTIVE", 0)


async def test_a_full_pool_says_nothing(autojump_clock):
    """Twenty requests cannot get a connection to the only node: they fail, and it stays as it was."""
    async with ScriptedNodes(1) as nodes:
        options = {"max_connections_per_node": 1, "acquire_timeout": 0.2, "attempt_timeout": 60.0}
        async with opened(nodes, **options) as client, trio.open_nursery() as nursery:
            await all_active(client)
            nodes[0].fail_next(Hang(), operation="GetItem")
            nursery.start_soon(get, client)
            await settle()
            for _ in range(20):
                assert isinstance(await attempt(client), PoolTimeoutError)
            assert standing(client, 1)[:2] == ("ACTIVE", 0)
            nursery.cancel_scope.cancel()


async def test_what_cannot_be_decoded_says_nothing(autojump_clock, three):
    """The error is the answer's, not the node's."""
    three[host(SICK)].fail_next(Answer(status=200, body=b"[]"), times=10**6, operation="GetItem")
    async with opened(three) as client:
        await all_active(client)
        errors = [await attempt(client) for _ in range(60)]
        assert sum(isinstance(error, DecodingError) for error in errors) == 20
        assert standing(client)[:2] == ("ACTIVE", 0)


# Generations.


async def _hold(client, nursery, nodes, how):
    """An attempt at the sick node that will end in five seconds, and let it be under way."""
    nodes[host(SICK)].fail_next(
        Raw(data=b"", then="hang") if how == "failure" else Late(seconds=5.0), operation="GetItem"
    )
    for _ in range(3):
        nursery.start_soon(attempt, client)
    await settle()


async def _down_and_back(nodes, client, until):
    nodes[host(SICK)].refuse()
    while states(client)[SICK] != "DOWN":
        await attempt(client)
    nodes[host(SICK)].accept()
    while states(client)[SICK] != until:
        await trio.sleep(0.01)


async def test_a_late_failure_changes_nothing(autojump_clock, three):
    """An attempt began before the node went down, and times out when it is active again: another life's affair."""
    async with opened(three, attempt_timeout=5.0) as client, trio.open_nursery() as nursery:
        await all_active(client)
        await _hold(client, nursery, three, "failure")
        await _down_and_back(three, client, "ACTIVE")
        assert trio.current_time() < 5
        await trio.sleep_until(5.1)
        assert standing(client) == ("ACTIVE", 0, 10, 1)


async def test_a_late_success_changes_nothing(autojump_clock, three):
    """Its answer comes when the node is in quarantine: it does not count towards its promotion."""
    async with opened(three) as client, trio.open_nursery() as nursery:
        await all_active(client)
        await _hold(client, nursery, three, "success")
        three[host(SICK)].fail_next(Answer(status=500), times=10**6, operation="localnodes")
        three[host(SICK)].refuse()
        while states(client)[SICK] != "DOWN":
            await attempt(client)
        three[host(SICK)].accept()
        three[host(SICK)].clear_faults()
        while states(client)[SICK] == "DOWN":
            await trio.sleep(0.01)
        three[host(SICK)].fail_next(Answer(status=500), times=10**6, operation="localnodes")
        await trio.sleep_until(5.1)
        assert served(three).count(SICK) == 1
        assert standing(client) == ("QUARANTINED", 0, 0, 1)


async def test_failures_while_it_is_down_are_ignored(autojump_clock, three):
    """Thirty requests meet a dead node at once: ten take it down, the others add nothing."""
    async with opened(three, attempt_timeout=0.5) as client:
        await all_active(client)
        await trio.sleep(0.2)
        three[host(SICK)].fail_next(Hang(), times=10**6, operation="GetItem")
        async with trio.open_nursery() as nursery:
            for _ in range(90):
                nursery.start_soon(attempt, client)
        assert standing(client) == ("DOWN", 10, 0, 1)


# Contact and history.


async def test_an_answer_to_discovery_activates_the_node_that_gave_it(autojump_clock, three):
    """Not those that it lists."""
    for number in (2, 3):
        three[host(number)].fail_next(Answer(status=500), times=10**6, operation="localnodes")
    async with opened(three) as client:
        await client.refresh()
        await settle()
        assert states(client) == {1: "ACTIVE", 2: "QUARANTINED", 3: "QUARANTINED"}


async def test_an_answer_to_discovery_does_not_raise_the_dead(autojump_clock, three):
    """The way up from down is by probes, one at a time."""
    async with opened(three) as client:
        await all_active(client)
        await fail_often(three, client, 10)
        for number in (1, 3):
            three[host(number)].fail_next(Reset(), times=10**6, operation="localnodes")
        for _ in range(10):
            await client.refresh()
        assert len(three[host(SICK)].requests_of("localnodes")) >= 10
        assert standing(client) == ("DOWN", 10, 0, 1)


async def test_nobody_who_fails_discovery_goes_down(autojump_clock, three):
    """Discovery that fails for a minute says nothing about nodes that serve requests."""
    async with opened(three) as client:
        await all_active(client)
        for node in three:
            node.fail_next(Reset(), times=10**6, operation="localnodes")
        for _ in range(60):
            with pytest.raises(AlternatorError):
                await client.refresh()
        assert set(states(client).values()) == {"ACTIVE"}


@pytest.mark.parametrize(("times", "state"), [(6, "ACTIVE"), (10, "DOWN")])
async def test_a_node_that_leaves_the_list_keeps_its_history(autojump_clock, three, times, state):
    """Six failures or down: that is what it comes back with."""
    async with opened(three) as client:
        await all_active(client)
        await fail_often(three, client, times)
        three[host(SICK)].refuse()
        three.listed.remove(host(SICK))
        await client.refresh()
        assert (ring(client), client.node_health()[url(SICK)].is_listed) == ((1, 3), False)
        assert standing(client)[:2] == (state, times)
        await trio.sleep(5)
        three.listed.append(host(SICK))
        await client.refresh()
        assert (ring(client), client.node_health()[url(SICK)].is_listed) == ((1, 2, 3), True)
        assert standing(client)[:2] == (state, times)


async def test_a_new_node_begins_in_quarantine(autojump_clock, three):
    """Whatever the others are; its first answer to a probe ends it."""
    three.listed = [host(1), host(2)]
    async with opened(three, url(1), url(2)) as client:
        await all_active(client)
        three[host(3)].fail_next(Late(seconds=0.5), operation="localnodes")
        three.listed.append(host(3))
        await client.refresh()
        await settle()
        assert states(client)[3] == "QUARANTINED"
        await trio.sleep(0.51)
        assert states(client)[3] == "ACTIVE"


# Switched off.


@pytest.mark.parametrize(
    "options", [{"node_health": None}, {"discovery": False, "active_interval": 1.0}], ids=["health", "discovery"]
)
async def test_without_health_nobody_goes_down_and_nobody_is_probed(autojump_clock, three, options):
    """A dead node gets its share for ever, and requests go on to the others; no node has a state."""
    dials = Dials(three)
    async with opened(three, **{"retry": RetryPolicy(), "dial": dials, **options}) as client:
        three[host(SICK)].kill()
        await get(client, 300)
        await trio.sleep(59)
        assert client.node_health() == {}
        assert client.statistics().failed == 0
        assert len(dials.to(SICK)) >= 100
    assert len(three.requests_of("localnodes")) == (0 if "discovery" in options else 1)

"""Twelve callers on two connections, and a trouble that all of them share: of these the sweep cancels some in one tick.

Rules: what a provider of credentials does depends on the virtual time alone, so that each telling begins anew.
"""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Mapping

import trio

from alternator_trio import (
    AlternatorError,
    Client,
    ClientClosedError,
    Credentials,
    CredentialsError,
    KeyRouteAffinity,
    NodeHealth,
    OperationTimeoutError,
    PoolTimeoutError,
    RequestCompression,
)
from alternator_trio.testing import Answer, Hang, Reset
from tests.cancellation.crowds import BUSY, CALLERS, PATIENT, PUTS, TWO, do_put, make_late
from tests.cancellation.scenarios import Nonsense
from tests.cancellation.sweep import Story
from tests.scenarios.lookups import NOT_FOUND, refusal
from tests.scripted_nodes import Late, ScriptedNodes, ScriptedRequest, answer_json, respond_by_default

__all__ = ["LEFT", "TROUBLES"]

REFUSED = refusal("UnrecognizedClientException")
LARGE = Answer(
    status=200,
    body=gzip.compress(b'{"Item": {"text": {"S": "%s"}}}' % (b"long" * 200_000)),
    headers=(("Content-Encoding", "gzip"),),
)


def _role() -> Credentials:
    """Others in each hundredth of a second."""
    return Credentials(f"role{trio.current_time() * 100:.0f}", "salted_hash")


async def _fails_at_first() -> Credentials:
    await trio.sleep(0.02)
    if trio.current_time() < 1.0:
        raise OSError
    return _role()


async def _hangs_at_first() -> Credentials:
    await trio.sleep(0.02 if trio.current_time() > 1.0 else 1000.0)
    return _role()


async def _gives_for_a_second() -> Credentials:
    await trio.sleep(0.3)
    seconds = dt.timedelta(seconds=trio.current_time() + 1.0)
    return Credentials("role", "salted_hash", expires_at=dt.datetime.fromtimestamp(0, dt.UTC) + seconds)


async def _gives_another() -> Credentials:
    await trio.sleep(0.02)
    return _role()


async def _get(client: Client, nodes: ScriptedNodes) -> None:
    await client.get_item(TableName="users", Key={"id": {"S": "ada"}})


async def _put_until_signed(client: Client, nodes: ScriptedNodes) -> None:
    for _ in range(2):
        try:
            await do_put(client, nodes)
        except CredentialsError:
            await trio.sleep(1.1)
        else:
            return


async def _put_now_and_then(client: Client, nodes: ScriptedNodes) -> None:
    for pause in (0.8, 0.5, 0.0):
        await do_put(client, nodes)
        await trio.sleep(pause)


async def _put_as_another(client: Client, nodes: ScriptedNodes) -> None:
    await do_put(client.with_options(credentials=_gives_another, optimize_headers=False), nodes)


async def _put_gzipped(client: Client, nodes: ScriptedNodes) -> None:
    view = client.with_options(request_compression=RequestCompression.gzip(threshold_bytes=0), operation_timeout=0.05)
    await do_put(view, nodes)


async def _ask_for_others(client: Client, nodes: ScriptedNodes) -> None:
    await client.partition_key("others")


async def _ask_for_users(client: Client, nodes: ScriptedNodes) -> None:
    await client.partition_key("users")


async def _ask_for_nothing(client: Client, nodes: ScriptedNodes) -> None:
    await client.partition_key("nothing")


async def _refresh(client: Client, nodes: ScriptedNodes) -> None:
    await client.refresh()


async def _crash_actors(client: Client, nodes: ScriptedNodes) -> None:
    await trio.sleep(0.015)
    client._runtime.dispatcher_inbox.tell(Nonsense())
    client._runtime.registry_inbox.tell(Nonsense())
    client._runtime.credentials_inbox.tell(Nonsense())
    await do_put(client, nodes)


async def _kill_and_start(client: Client, nodes: ScriptedNodes) -> None:
    nodes[0].kill()
    await trio.sleep(0.02)
    nodes[1].stop()
    nodes[0].start()
    await client.refresh()
    await do_put(client, nodes)


def _refuse_the_first(nodes: ScriptedNodes) -> None:
    make_late(nodes)

    def respond(request: ScriptedRequest) -> Answer:
        is_first = any(b"role2/" in value for _, value in request.headers)
        return REFUSED if is_first else respond_by_default(request)

    nodes.respond = respond


def _describe_late(nodes: ScriptedNodes) -> None:
    def respond(request: ScriptedRequest) -> Answer:
        return NOT_FOUND if b"nothing" in request.body else respond_by_default(request)

    nodes.respond = respond
    for node in nodes:
        node.fail_next(Late(seconds=0.02), times=9, operation="DescribeTable")


def _hang_at_first(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.fail_next(Hang(), times=2, operation="GetItem")


def _lose_answers(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.fail_next(Reset(executed=True), times=3, operation="PutItem")


def _close_after_each(nodes: ScriptedNodes) -> None:
    make_late(nodes)
    for node in nodes:
        node.fail_next(Answer(status=200, body=b"{}", close=True), times=9, operation="PutItem")


def _fail_lists(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.fail_next(BUSY, times=1, operation="localnodes")
        node.fail_next(Late(seconds=0.01), times=9, operation="localnodes")


def _stay_busy(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.fail_next(BUSY, times=99, operation="PutItem")


def _answer_late(nodes: ScriptedNodes) -> None:
    for node in nodes:
        node.delay = 1.0


def _answer_large(nodes: ScriptedNodes) -> None:
    nodes.respond = lambda request: LARGE if request.operation == "GetItem" else answer_json({})


def _crowd(*callers: object) -> Mapping[str, object]:
    return {"callers": list(callers) * (CALLERS // len(callers)), "nodes": 2}


SIGNED = {**TWO, "wall_clock": trio.current_time}
HEALTH = {"node_health": NodeHealth(active_failure=1)}

TROUBLES = [
    Story(
        name="a provider that fails",
        options={**SIGNED, "credentials": _fails_at_first},
        rest=3.0,
        **_crowd(_put_until_signed),
    ),
    Story(
        name="a provider that hangs",
        options={**SIGNED, "credentials": _hangs_at_first},
        rest=65.0,
        **_crowd(_put_until_signed),
    ),
    Story(
        name="credentials that end",
        options={**SIGNED, "credentials": _gives_for_a_second},
        rest=1.0,
        **_crowd(_put_now_and_then),
    ),
    Story(
        name="credentials that are refused",
        before=_refuse_the_first,
        options={**SIGNED, "credentials": _gives_another},
        **PUTS,
    ),
    Story(
        name="two providers",
        options={**SIGNED, "credentials": _fails_at_first},
        rest=3.0,
        **_crowd(_put_as_another, _put_until_signed),
    ),
    Story(
        name="other options",
        before=make_late,
        options=TWO,
        may_raise=(OperationTimeoutError,),
        **_crowd(_put_gzipped, do_put),
    ),
    Story(
        name="operations that time out",
        before=make_late,
        options={**TWO, "operation_timeout": 0.025},
        may_raise=(OperationTimeoutError,),
        **PUTS,
    ),
    Story(
        name="waits that time out",
        before=make_late,
        options={**TWO, "acquire_timeout": 0.025},
        may_raise=(PoolTimeoutError,),
        **PUTS,
    ),
    Story(name="attempts that time out", before=_hang_at_first, options={**TWO, **PATIENT}, **_crowd(_get)),
    Story(name="written again", before=_lose_answers, options={**TWO, **PATIENT, "ambiguous_writes": "retry"}, **PUTS),
    Story(
        name="three tables",
        before=_describe_late,
        options={**TWO, "key_route_affinity": KeyRouteAffinity.any_write()},
        may_raise=(AlternatorError,),
        **_crowd(_ask_for_users, _ask_for_others, _ask_for_nothing, do_put),
    ),
    Story(
        name="refreshes that fail",
        before=_fail_lists,
        options=TWO,
        may_raise=(AlternatorError,),
        **_crowd(_refresh, do_put),
    ),
    Story(
        name="large answers",
        before=_answer_large,
        network={"in_pieces": 1000},
        options={**TWO, "response_compression": ("gzip",)},
        **_crowd(_get),
    ),
    Story(
        name="connections that are closed",
        before=_close_after_each,
        options={**TWO, "max_connection_age": 0.025},
        **PUTS,
    ),
    Story(
        name="actors that crash",
        callers=[_crash_actors, *[do_put] * (CALLERS - 1)],
        nodes=2,
        before=make_late,
        options={**SIGNED, "credentials": _gives_another},
        crashes=3,
    ),
    Story(
        name="nodes that come and go",
        callers=[_kill_and_start, *[do_put] * (CALLERS - 1)],
        before=make_late,
        options={
            **TWO,
            **HEALTH,
            **PATIENT,
            "active_interval": 0.05,
            "idle_interval": 5.0,
            "ambiguous_writes": "retry",
        },
    ),
    Story(
        name="trust that is renewed",
        network={"tls": True, "renews_trust": True},
        options={**TWO, "max_connection_age": 0.001},
        **PUTS,
    ),
]

CLOSED: Mapping[str, object] = {"may_raise": (ClientClosedError,), "leaves_after": 0.03}
LEFT = [
    Story(name="left in line", before=make_late, options=TWO, **CLOSED, **PUTS),
    Story(name="left in dialling", network={"dial_seconds": 0.02}, options=TWO, **CLOSED, **PUTS),
    Story(name="left in backing off", before=_stay_busy, options={**TWO, **PATIENT}, **CLOSED, **PUTS),
    Story(name="left without credentials", options={**SIGNED, "credentials": _hangs_at_first}, **CLOSED, **PUTS),
    Story(
        name="left in waiting for actors",
        before=_answer_late,
        options=TWO,
        **CLOSED,
        **_crowd(_refresh, _ask_for_users),
    ),
    Story(name="left over TLS", before=make_late, network={"tls": True}, options=TWO, **CLOSED, **PUTS),
]

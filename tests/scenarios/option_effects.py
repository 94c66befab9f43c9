"""What each option does: observations over scripted nodes that say whether it is in force; values: `option_cases`.

Rules: an observation opens its client with the ``opened`` that it is given, passing only what it needs beside; it
returns a plain value; times are Trio's, on the virtual clock, and so exact.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import time
from email.utils import formatdate

import trio
import trio.testing

from alternator_trio import (
    AlternatorError,
    ConfigurationError,
    Credentials,
    Instrument,
    RetryPolicy,
    RoutingScope,
    ServiceError,
)
from alternator_trio.testing import Answer, Hang, Reset
from tests.scripted_nodes import answer_json
from tests.users import COUNT_UP, KEY, USERS

ONCE = RetryPolicy(max_attempts=1)
FIVE = {"dc1": {"rack1": 2, "rack2": 1}, "dc2": {"rack1": 2}}
THREE = {"dc1": {"rack1": 3}}
ONE = {"dc1": {"rack1": 1}}
EAST = RoutingScope.datacenter("dc1")


class Recorder(Instrument):
    """Remembers the scopes that came into force."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def scope_changed(self, event) -> None:
        self.scopes.append(event.new)


RECORDER = Recorder()


async def lasts(operation):
    """Seconds until an operation fails, and how."""
    begun = trio.current_time()
    try:
        await operation
    except AlternatorError as error:
        return trio.current_time() - begun, type(error).__name__
    return None


async def refreshes_while_requests_flow(nodes, opened):
    async with opened(*nodes.seeds, node_health=None) as client:
        await client.refresh()
        with trio.move_on_after(20):
            while True:
                await client.list_tables()
                await trio.sleep(0.05)
    times = [request.at for request in nodes.requests_of("localnodes")]
    return [round(after - before) for before, after in zip(times[-3:], times[-2:], strict=False)]


async def refreshes_while_idle(nodes, opened):
    async with opened(*nodes.seeds, node_health=None) as client:
        await client.refresh()
        await trio.sleep(200)
    times = [request.at for request in nodes.requests_of("localnodes")]
    return {round(after - before) for before, after in zip(times[-3:], times[-2:], strict=False)}


async def dial_of_a_silent_tls_node(nodes, opened):
    """Over a real socket that accepts and then says nothing; the clock is virtual all the same."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        seed = f"https://127.0.0.1:{listener.getsockname()[1]}"
        async with opened(seed, discovery=False, retry=ONCE, attempt_timeout=600.0) as client:
            return await lasts(client.list_tables())


async def a_silent_node(nodes, opened, *, operation="ListTables", parameters=None, **options):
    for node in nodes:
        node.fail_next(Hang(), times=10, operation=operation)
    async with opened(*nodes.seeds, **{"retry": ONCE, **options}) as client:
        return await lasts(client.call(operation, parameters or {}))


async def a_silent_schema_change(nodes, opened):
    return await a_silent_node(nodes, opened, operation="CreateTable", parameters=USERS)


async def silent_attempts_together(nodes, opened):
    return await a_silent_node(nodes, opened, retry=RetryPolicy(max_attempts=4))


async def a_full_pool(nodes, opened):
    nodes[0].fail_next(Hang(), operation="ListTables")
    async with opened(nodes[0].url, discovery=False, max_connections=1, retry=ONCE, attempt_timeout=60.0) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lasts, client.list_tables())
            await trio.testing.wait_all_tasks_blocked()
            seen = await lasts(client.list_tables())
            nursery.cancel_scope.cancel()
    return seen


async def most_connections(nodes, opened):
    """At one node, and in all, under 40 requests at once."""
    for node in nodes:
        node.delay = 1.0
    async with opened(*nodes.seeds, discovery=False) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(client.list_tables)
            await trio.testing.wait_all_tasks_blocked()
            return max(node.open_connections for node in nodes), nodes.open_connections


async def connections_at_one_node(nodes, opened):
    return (await most_connections(nodes, opened))[0]


async def connections_in_all(nodes, opened):
    return (await most_connections(nodes, opened))[1]


async def an_idle_connection(nodes, opened):
    """Whether it is open just before and just after 20 s."""
    async with opened(nodes[0].url, discovery=False) as client:
        await client.list_tables()
        await trio.sleep(19.9)
        before = nodes.open_connections
        await trio.sleep(0.2)
        return before, nodes.open_connections


async def connections_of_requests(nodes, opened):
    """The connection of each of four requests, 3 s apart."""
    async with opened(nodes[0].url, discovery=False) as client:
        for _ in range(4):
            await client.list_tables()
            await trio.sleep(3)
    return [request.connection_id for request in nodes.requests]


async def a_large_answer(nodes, opened):
    nodes.respond = lambda request: answer_json({"TableNames": ["x" * 2000]})
    async with opened(*nodes.seeds, discovery=False, retry=ONCE) as client:
        return (await lasts(client.list_tables())) is not None


async def questions_for_nodes(nodes, opened):
    async with opened(nodes[0].url) as client:
        await client.refresh()
        await client.list_tables()
    return len(nodes.requests_of("localnodes"))


async def attempts_at_failing_nodes(nodes, opened):
    """How many, and how far apart: the longest pause, of those that are drawn from 0 to a bound."""
    return await attempts(nodes, opened, Answer(status=500))


async def attempts_at_throttling_nodes(nodes, opened):
    body = b'{"__type": "x#ThrottlingException", "message": "later"}'
    return await attempts(nodes, opened, Answer(status=400, body=body))


async def attempts(nodes, opened, fault):
    for node in nodes:
        node.fail_next(fault, times=100, operation="ListTables")
    async with opened(*nodes.seeds, discovery=False) as client:
        await lasts(client.list_tables())
    times = [request.at for request in nodes.requests]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    return len(times), "tens of seconds" if max(pauses) >= 10 else "tenths of a second" if max(pauses) > 0.1 else "less"


async def a_write_of_unknown_outcome(nodes, opened):
    for node in nodes:
        node.fail_next(Reset(executed=True), operation="UpdateItem")
    async with opened(*nodes.seeds, discovery=False) as client:
        await lasts(client.call("UpdateItem", COUNT_UP))
    return len(nodes.requests)


async def user_agents(nodes, opened):
    async with opened(*nodes.seeds) as client:
        await client.refresh()
        await client.list_tables()
    return {request.header("user-agent") for request in nodes.requests}


async def where_requests_go(nodes, opened):
    async with opened(*nodes.seeds, node_health=None) as client:
        await client.refresh()
        del nodes.requests[:]
        for _ in range(20):
            await client.list_tables()
    return {request.host for request in nodes.requests_of("ListTables")}


async def where_writes_of_one_key_go(nodes, opened):
    async with opened(*nodes.seeds, discovery=False) as client:
        for _ in range(12):
            await client.put_item(TableName="users", Item=KEY)
            await trio.testing.wait_all_tasks_blocked()
    return len({request.host for request in nodes.requests_of("PutItem")[6:]})


async def requests_at_a_dead_node(nodes, opened):
    async with opened(*nodes.seeds, active_interval=3600.0) as client:
        await client.refresh()
        await trio.sleep(1)
        nodes[0].fail_next(Reset(), times=1000)
        for _ in range(60):
            await client.list_tables()
            await trio.testing.wait_all_tasks_blocked()
    return len(nodes[0].requests_of("ListTables"))


async def a_write_away_from_home(nodes, opened):
    scope = EAST.with_fallback(RoutingScope.cluster())
    async with opened(*nodes.seeds, routing_scope=scope, node_health=None) as client:
        for host in nodes.hosts_in("dc1"):
            nodes[host].stop()
        await client.refresh()
        return await lasts(client.put_item(TableName="users", Item=KEY)) is None


async def where_a_listed_host_is_dialled(nodes, opened):
    nodes[0].lists("192.0.2.1")
    async with opened(nodes[0].url, node_health=None) as client:
        await client.refresh()
        return [node.host for node in client.nodes()]


async def what_instruments_hear(nodes, opened):
    del RECORDER.scopes[:]
    async with opened(*nodes.seeds) as client:
        await client.refresh()
        await trio.testing.wait_all_tasks_blocked()
    return list(RECORDER.scopes)


async def signed_regions(nodes, opened):
    line = await headers(nodes, opened, "authorization", credentials=Credentials("role", "hash"))
    return line.partition("Credential=")[2].split("/")[2]


async def unsigned_operations(nodes, opened):
    async with opened(*nodes.seeds, discovery=False, credentials=Credentials("role", "hash")) as client:
        try:
            await client.call("ListTables", {}, credentials=None)
        except ConfigurationError:
            return "refused"
    return "sent"


async def requests_by_a_wrong_clock(nodes, opened):
    late = {"__type": "x#InvalidSignatureException", "message": "Signature expired: it is later than that"}
    date = formatdate(time.time() + 3600, usegmt=True)
    for node in nodes:
        node.fail_next(Answer(status=400, body=json.dumps(late).encode(), headers=(("date", date),)))
    async with opened(*nodes.seeds, discovery=False, credentials=Credentials("role", "hash")) as client:
        with contextlib.suppress(ServiceError):
            await client.list_tables()
    return len(nodes.requests)


async def key_ids(nodes, opened):
    line = await headers(nodes, opened, "authorization")
    return None if line is None else line.partition("Credential=")[2].split("/")[0]


async def headers(nodes, opened, name, **options):
    async with opened(*nodes.seeds, discovery=False, **options) as client:
        await client.put_item(TableName="users", Item={**KEY, "text": {"S": "x" * 3000}})
    return nodes.requests[0].header(name)


def header(name):
    async def observe(nodes, opened):
        return await headers(nodes, opened, name)

    return observe

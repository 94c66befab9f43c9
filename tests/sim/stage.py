"""The stage on which a story is played: a simulated cluster and one client, and what may happen to them, step by step.

Rules: a story is a list of steps, and each step is the name of a method below with its arguments: data that can be
kept, shortened and played again. An operation goes its own way in a task outside the client's block, and ends in a
later step. After each step nothing moves, and `tests.sim.watch` looks. At the end all is healed, and all must be well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import trio
from trio.testing import wait_all_tasks_blocked

from alternator_trio import (
    AlternatorError,
    Client,
    KeyRouteAffinity,
    NodeHealth,
    RequestCompression,
    RetryPolicy,
    RoutingScope,
)
from alternator_trio.testing import (
    Answer,
    Close,
    Fault,
    FaultRates,
    Hang,
    RegisterEngine,
    Reset,
    Shed,
    SimulatedCluster,
    Truncate,
    simulate,
)
from tests.sim.check_bounds import check_nothing_left
from tests.sim.model import Asked, wrong_reads, wrong_writes
from tests.sim.watch import wrong_now

__all__ = ["CONFIGURATIONS", "FAULTS", "KEYS", "KINDS", "VIEWS", "WEATHERS", "Step", "play"]

Step: TypeAlias = tuple[str, Mapping[str, Any]]

TABLE = "registers"
KEYS = ("a", "b", "c")
ATTEMPTS = 4
RETURNS_TO_NORMAL = 70.0  # seconds until every operation has ended and every node has been probed again
LATENCY = 0.002
TOPOLOGY = {"dc1": {"rack1": 2, "rack2": 1}, "dc2": {"rack1": 1}}
PREFERRED = RoutingScope.rack("dc1", "rack1").with_fallback(RoutingScope.datacenter("dc1"), RoutingScope.cluster())

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "narrow": {"max_connections": 2, "max_connections_per_node": 1, "acquire_timeout": 3.0},
    "affine": {"key_route_affinity": KeyRouteAffinity.any_write(), "node_health": NodeHealth(active_failure=2)},
    "scoped": {"routing_scope": PREFERRED, "key_route_affinity": KeyRouteAffinity.rmw(), "active_interval": 0.2},
    "careless": {"node_health": None, "ambiguous_writes": "retry", "max_connection_age": 0.05},
    "brief": {"idle_connection_lifetime": 0.01, "operation_timeout": 1.0, "active_interval": 0.1},
}
VIEWS: dict[str, dict[str, Any]] = {
    "none": {},
    "hurried": {"attempt_timeout": 0.05},
    "short": {"operation_timeout": 0.02},
    "packed": {"request_compression": RequestCompression.gzip(threshold_bytes=0), "response_compression": ("gzip",)},
    "once": {"retry": RetryPolicy(max_attempts=1)},
}
FAULTS: dict[str, Fault] = {
    "reset": Reset(),
    "reset afterwards": Reset(executed=True),
    "close": Close(),
    "hang": Hang(),
    "hang afterwards": Hang(executed=True),
    "shed": Shed(drop=True),
    "truncate": Truncate(body_bytes=1),
    "500 afterwards": Answer(status=500, executed=True),
    "503": Answer(status=503),
    "throttle": Answer(status=400, body=b'{"__type": "x#ThrottlingException", "message": "slow down"}'),
}
WEATHERS: dict[str, FaultRates] = {
    "calm": FaultRates(latency=LATENCY),
    "resets": FaultRates(latency=LATENCY, reset=0.1, split=0.5),
    "silence": FaultRates(latency=LATENCY, silence=0.1),
    "errors": FaultRates(latency=LATENCY, fail_before=0.2, fail_after=0.2, shed=0.2),
    "late": FaultRates(latency=LATENCY, late=0.3),
    "stale lists": FaultRates(latency=LATENCY, stale_list=0.5, refuse=0.2),
}


def play(steps: Sequence[Step], seed: int = 0) -> None:
    """Play a story; raises when anything is wrong, and says after which step."""
    stage = _Stage(steps)
    try:
        simulate(stage.main, seed=seed, max_seconds=100_000.0, max_steps=500_000)
    except BaseException as error:
        error.add_note(f"after step {stage.at} of play({list(steps)!r}, seed={seed})")
        if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error.exceptions[0].add_note(error.__notes__[-1])
            raise error.exceptions[0] from None
        raise


class _Stage:
    def __init__(self, steps: Sequence[Step]) -> None:
        self.at = 0
        self._steps = steps
        self._asked: list[Asked] = []
        self._in_flight: dict[int, trio.CancelScope] = {}
        self._engine = RegisterEngine(isolation="always")
        self._engine.create_table(TABLE, "id")
        self._configuration = "plain"

    async def main(self) -> None:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with SimulatedCluster(topology=TOPOLOGY, faults=WEATHERS["calm"], engine=self._engine) as self._cluster:
            async with trio.open_nursery() as self._nursery:
                number = 0
                while self.at < len(self._steps) or not number:
                    number += 1
                    await self._with_client(f"c{number}")
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks, "tasks are left"

    async def _with_client(self, name: str) -> None:
        options = {"attempt_timeout": 2.0, **CONFIGURATIONS[self._configuration]}
        self._retries_all = options.get("ambiguous_writes") == "retry"
        async with self._cluster.open_client(**options) as self._client:
            await self._look(name)
            while self.at < len(self._steps):
                step, arguments = self._steps[self.at]
                self.at += 1
                if step == "reopen":
                    self._configuration = arguments["configuration"]
                    break
                await getattr(self, step)(**arguments)
                await self._look(name)
            if self.at == len(self._steps):
                await self._end(name)
        await wait_all_tasks_blocked()
        _fail_if(check_nothing_left(self._cluster, name))
        assert not self._in_flight, "operations outlive their client"

    async def _look(self, name: str) -> None:
        await wait_all_tasks_blocked()
        _fail_if(wrong_now(self._client, self._cluster, name))

    async def _end(self, name: str) -> None:
        """Heal, and require that all becomes well."""
        self._cluster.heal()
        await trio.sleep(RETURNS_TO_NORMAL)
        assert not self._in_flight, f"under way for ever: {[self._asked[number] for number in self._in_flight]}"
        await self._client.refresh()
        await trio.sleep(1)
        await self._look(name)
        assert not self._client.statistics().connections_leased, self._client.statistics()
        states = {node: status.state for node, status in self._client.node_health().items() if status.is_listed}
        assert set(states.values()) <= {"ACTIVE"}, f"not well again: {states}"
        for key in KEYS:
            await self.ask("get", key, "none")
            await trio.sleep(0.5)
            last = self._asked[-1]
            there = self._engine.item(TABLE, id={"S": key})
            assert last.outcome == "done", f"in a cluster that is well: {last}"
            assert last.seen[key] == (there and there["v"]["S"]), f"the server has {there}: {last}"
        assert await self._client.partition_key(TABLE) == "id"
        _fail_if(wrong_writes(self._asked, self._engine.applied))
        _fail_if(wrong_reads(self._asked, self._engine.applied))

    # The steps. First what callers do.

    async def ask(self, kind: str, key: str, view: str) -> None:
        """Begin an operation, in a task of its own."""
        call, reads = KINDS[kind]
        number = len(self._asked)
        writes = frozenset(KEYS if kind == "batch" else () if reads else (key,))
        asked = Asked(number=number, kind=kind, began=trio.current_time(), writes=writes, attempts=ATTEMPTS)
        if kind == "count" and not self._retries_all:
            asked.attempts = 1
        self._asked.append(asked)
        client = self._client.with_options(**VIEWS[view]) if view != "none" else self._client
        scope = self._in_flight[number] = trio.CancelScope()
        self._nursery.start_soon(self._follow, asked, scope, call(client, key, str(number)), reads, key)

    async def _follow(
        self, asked: Asked, scope: trio.CancelScope, answer: Awaitable[Any], reads: _Reader | None, key: str
    ) -> None:
        with scope:
            try:
                read = await answer
                asked.outcome = "done"
                asked.seen = {} if reads is None else reads(read, key)
                if isinstance(read, dict):
                    asked.attempts = min(asked.attempts, read["ResponseMetadata"]["RetryAttempts"] + 1)
            except AlternatorError as error:
                asked.outcome = "unknown" if error.may_have_happened else "failed"
                asked.why = repr(error)
                assert "ValidationException" not in asked.why, asked
        del self._in_flight[asked.number]
        asked.why = "cancelled" if scope.cancelled_caught else asked.why
        if asked.outcome != "unknown":
            asked.ended = trio.current_time()

    async def cancel(self, which: Sequence[int]) -> None:
        """Cancel operations under way, all in one tick."""
        scopes = list(self._in_flight.values())
        for number in which:
            if scopes:
                scopes[number % len(scopes)].cancel()

    async def look_around(self) -> None:
        """Everything that asks nobody."""
        client = self._client
        assert client.nodes()
        client.node_health()
        assert repr(client)
        assert client.routing_scope
        client.clear_partition_key(TABLE)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await trio.sleep(seconds)

    async def ticks(self, count: int) -> None:
        """Let tasks run, and no time pass."""
        for _ in range(count):
            await trio.lowlevel.checkpoint()

    # What happens to the cluster.

    async def join(self, datacenter: str, rack: str) -> None:
        if len(self._cluster.nodes) < 8:
            self._cluster.add_node(datacenter, rack)

    async def leave(self, node: int) -> None:
        """Never the first two: somebody must be at the seeds' addresses."""
        if len(self._cluster.nodes) > 2:
            self._cluster.remove_node(self._cluster.nodes[2 + node % (len(self._cluster.nodes) - 2)])

    async def change_rack(self, node: int, rack: str) -> None:
        self._node(node).rack = rack

    async def change(self, node: int, how: str) -> None:
        """What a node does without arguments."""
        chosen = self._node(node)
        if how != "pause" or chosen.is_running:
            getattr(chosen, how)()

    async def reach(self, node: int, how: str) -> None:
        """What the network does with a node."""
        getattr(self._cluster, how)(self._node(node))

    async def slow_down(self, node: int, factor: float) -> None:
        self._cluster.slow_down(self._node(node), factor)

    async def split(self, node: int) -> None:
        self._cluster.split(self._node(node))

    async def fail_next(self, node: int, fault: str, times: int) -> None:
        self._node(node).fail_next(FAULTS[fault], times=times)

    async def weather(self, weather: str) -> None:
        self._cluster.faults = WEATHERS[weather]

    async def heal(self) -> None:
        self._cluster.heal()
        self._cluster.faults = WEATHERS["calm"]

    def _node(self, number: int) -> Any:
        return self._cluster.nodes[number % len(self._cluster.nodes)]


_Reader: TypeAlias = Callable[[Mapping[str, Any], str], dict[str, str | None]]
_Call: TypeAlias = Callable[[Client, str, str], Awaitable[Any]]


def _item(key: str, value: str) -> dict[str, Any]:
    return {"id": {"S": key}, "v": {"S": value}}


def _put(client: Client, key: str, value: str) -> Awaitable[Any]:
    return client.put_item(TableName=TABLE, Item=_item(key, value))


def _create(client: Client, key: str, value: str) -> Awaitable[Any]:
    condition = {"ConditionExpression": "attribute_not_exists(id)"}
    return client.put_item(TableName=TABLE, Item=_item(key, value), **condition)


def _update(client: Client, key: str, value: str, expression: str = "SET v = :v", **more: object) -> Awaitable[Any]:
    return client.update_item(
        TableName=TABLE,
        Key={"id": {"S": key}},
        UpdateExpression=expression,
        ExpressionAttributeValues={":v": {"S": value}, **more},
    )


def _count(client: Client, key: str, value: str) -> Awaitable[Any]:
    return _update(client, key, value, "SET v = :v ADD n :one", **{":one": {"N": "1"}})


def _delete(client: Client, key: str, value: str) -> Awaitable[Any]:
    return client.delete_item(TableName=TABLE, Key={"id": {"S": key}})


def _batch(client: Client, key: str, value: str) -> Awaitable[Any]:
    return client.batch_write_item(
        RequestItems={TABLE: [{"PutRequest": {"Item": _item(each, value)}} for each in KEYS]}
    )


def _get(client: Client, key: str, value: str) -> Awaitable[Any]:
    return client.get_item(TableName=TABLE, Key={"id": {"S": key}}, ConsistentRead=True)


def _batch_get(client: Client, key: str, value: str) -> Awaitable[Any]:
    return client.batch_get_item(RequestItems={TABLE: {"Keys": [{"id": {"S": each}} for each in KEYS]}})


def _query(client: Client, key: str, value: str) -> Awaitable[Any]:
    values = {":id": {"S": key}}
    return client.query(TableName=TABLE, KeyConditionExpression="id = :id", ExpressionAttributeValues=values)


def _found(items: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    return {item["id"]["S"]: item["v"]["S"] for item in items}


def _all_found(items: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    return dict.fromkeys(KEYS) | _found(items)


def _nothing(answer: object, key: str) -> dict[str, str | None]:
    return {}


KINDS: dict[str, tuple[_Call, _Reader | None]] = {
    "put": (_put, None),
    "create": (_create, None),
    "update": (_update, None),
    "count": (_count, None),
    "delete": (_delete, None),
    "batch": (_batch, None),
    "get": (_get, lambda answer, key: {key: None} | _found([answer["Item"]] if "Item" in answer else [])),
    "query": (_query, lambda answer, key: {key: None} | _found(answer["Items"])),
    "batch_get": (_batch_get, lambda answer, _: _all_found(answer["Responses"][TABLE])),
    "scan": (lambda client, *_: client.scan(TableName=TABLE), lambda answer, _: _all_found(answer["Items"])),
    "call": (lambda client, *_: client.call("DescribeTable", {"TableName": TABLE}), _nothing),
    "refresh": (lambda client, *_: client.refresh(), _nothing),
    "partition_key": (lambda client, *_: client.partition_key(TABLE), _nothing),
    "unknown_key": (lambda client, key, _: client.partition_key(f"no {key}"), _nothing),
    "check_routing": (lambda client, *_: client.check_routing(), _nothing),
}
"""By name: the call, and what its answer shows of the store; None for a write."""


def _fail_if(wrong: Any) -> None:
    found = list(wrong)
    assert not found, "\n".join(found)

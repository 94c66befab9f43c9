"""The stage on which a story is played: a simulated cluster and one client, and what may happen to them, step by step.

Rules: a story is a list of steps, and each step is the name of a method below with its arguments: data that can be
kept, shortened and played again. An operation goes its own way in a task outside the client's block, and ends in a
later step. After each step nothing moves, and `tests.sim.watch` looks. At the end all is healed, and all must be well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeAlias

import trio
from trio.testing import wait_all_tasks_blocked

from alternator_trio import AlternatorError, Client, Credentials, KeyRouteAffinity, NodeHealth, RoutingScope
from alternator_trio.errors import ServiceError
from alternator_trio.testing import (
    Answer,
    Close,
    Fault,
    FaultRates,
    Hang,
    Reset,
    Shed,
    SimulatedCluster,
    Truncate,
    simulate,
)
from tests.sim.asking import KEYS, KINDS, SCRATCH, SCRATCH_ITSELF, TABLE, VIEWS, Kind
from tests.sim.check_bounds import check_nothing_left
from tests.sim.model import Asked, RecordingEngine, wrong_reads, wrong_writes
from tests.sim.watch import wrong_now

__all__ = ["CONFIGURATIONS", "FAULTS", "WEATHERS", "Step", "play"]

Step: TypeAlias = tuple[str, Mapping[str, Any]]

ATTEMPTS = 4
SEEDS = 2  # nodes that keep their addresses and never leave, so that somebody is at a seed
RETURNS_TO_NORMAL = 70.0  # seconds until every operation has ended and every node has been probed again
SOON = 0.5
LATENCY = 0.002
TOPOLOGY = {"dc1": {"rack1": 2, "rack2": 1}, "dc2": {"rack1": 1}}
PREFERRED = RoutingScope.rack("dc1", "rack1").with_fallback(RoutingScope.datacenter("dc1"), RoutingScope.cluster())
ROLE, SECRET = "machine", "its secret"
REFUSALS = {"ValidationException", "UnknownOperationException"}

COMMON = {"attempt_timeout": 2.0, "ddl_timeout": 2.0, "credentials": Credentials(ROLE, SECRET)}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "narrow": {"max_connections": 2, "max_connections_per_node": 1, "acquire_timeout": 3.0},
    "affine": {"key_route_affinity": KeyRouteAffinity.any_write(), "node_health": NodeHealth(active_failure=2)},
    "scoped": {"routing_scope": PREFERRED, "key_route_affinity": KeyRouteAffinity.rmw(), "active_interval": 0.2},
    "careless": {
        "node_health": None,
        "ambiguous_writes": "retry",
        "max_connection_age": 0.05,
        "clock_skew_correction": "always",
    },
    "brief": {"idle_connection_lifetime": 0.01, "operation_timeout": 1.0, "active_interval": 0.1},
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
    "wrong lengths": FaultRates(latency=LATENCY, wrong_length=0.2),
    "last answers": FaultRates(latency=LATENCY, last_answer=0.3),
    "narrow": FaultRates(latency=LATENCY, narrow=0.7, loss=0.1, split=0.3),
}


def play(steps: Sequence[Step], seed: int = 0) -> frozenset[str]:
    """Play a story; raises when anything is wrong, and says after which step. Returns what of `Client` it used."""
    stage = _Stage(steps)
    try:
        simulate(stage.main, seed=seed, max_seconds=100_000.0, max_steps=500_000)
    except BaseException as error:
        error.add_note(f"after step {stage.at} of play({list(steps)!r}, seed={seed})")
        if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error.exceptions[0].add_note(error.__notes__[-1])
            raise error.exceptions[0] from None
        raise
    return frozenset(stage.used)


class _Noted:
    """A client that notes what of it is used."""

    def __init__(self, client: Client, used: set[str]) -> None:
        self._client = client
        self._used = used

    def __getattr__(self, name: str) -> Any:
        self._used.add(name)
        return getattr(self._client, name)


class _Stage:
    def __init__(self, steps: Sequence[Step]) -> None:
        self.at = 0
        self.used: set[str] = set()
        self._steps = steps
        self._asked: list[Asked] = []
        self._in_flight: dict[int, trio.CancelScope] = {}
        self._engine = RecordingEngine()
        self._engine.create_table(TABLE, "id")
        self._configuration = "plain"
        self._moves = 0

    async def main(self) -> None:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with SimulatedCluster(
            topology=TOPOLOGY, faults=WEATHERS["calm"], engine=self._engine, credentials={ROLE: SECRET}
        ) as self._cluster:
            async with trio.open_nursery() as self._nursery:
                number = 0
                while self.at < len(self._steps) or not number:
                    number += 1
                    await self._with_client(f"c{number}")
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks, "tasks are left"

    async def _with_client(self, name: str) -> None:
        options = {**COMMON, **CONFIGURATIONS[self._configuration]}
        self._retries_all = options.get("ambiguous_writes") == "retry"
        self._forgot_at = trio.current_time()  # what it knows of the scratch table is not older
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
        await self.heal()
        await trio.sleep(RETURNS_TO_NORMAL)
        assert not self._in_flight, f"under way for ever: {[self._asked[number] for number in self._in_flight]}"
        await self._client.refresh()
        await trio.sleep(1)
        await self._look(name)
        assert not self._client.statistics().connections_leased, self._client.statistics()
        states = {node: status.state for node, status in self._client.node_health().items() if status.is_listed}
        assert set(states.values()) <= {"ACTIVE"}, f"not well again: {states}"
        for key in KEYS:
            last = await self._ask_and_wait("get", key)
            there = self._engine.item(TABLE, id={"S": key})
            assert last.outcome == "done", f"in a cluster that is well: {last}"
            assert last.seen[TABLE, key] == (there and there["v"]["S"]), f"the server has {there}: {last}"
        assert await self._client.partition_key(TABLE) == "id"
        await self._end_of_scratch()
        _fail_if(wrong_writes(self._asked, self._engine.effects))
        _fail_if(wrong_reads(self._asked, self._engine.effects))

    async def _end_of_scratch(self) -> None:
        """Once it has been written to, whoever routes by its key knows the key that it has."""
        written = await self._ask_and_wait("put there", "a")
        right = {"done"} if written.seen != {SCRATCH_ITSELF: None} else {"failed"}
        assert written.outcome in right, f"in a cluster that is well: {written}"
        names = self._client._runtime.key_names.value.names
        if written.outcome == "done" and self._configuration == "affine":
            assert names.get(SCRATCH, self._engine.scratch_key()) == self._engine.scratch_key(), names
        await self.look_around()
        await self._ask_and_wait("name", "a")

    async def _ask_and_wait(self, kind: str, key: str) -> Asked:
        await self.ask(kind, key, "none")
        await trio.sleep(SOON)
        return self._asked[-1]

    # The steps. First what callers do.

    async def ask(self, kind: str, key: str, view: str) -> None:
        """Begin an operation, in a task of its own."""
        what, number, now = KINDS[kind], len(self._asked), trio.current_time()
        asked = Asked(
            number=number,
            kind=kind,
            began=now,
            since=self._forgot_at if kind == "name" else now,
            writes=frozenset(what.writes(key)),
            value=None if what.is_deletion else str(number),
            attempts=1 if kind == "count" and not self._retries_all else ATTEMPTS,
        )
        self._asked.append(asked)
        client: Any = _Noted(self._client, self.used)
        if view != "none":
            client = _Noted(client.with_options(**VIEWS[view]), self.used)
        scope = self._in_flight[number] = trio.CancelScope()
        answer = what.call(client, key, str(number), self._engine.scratch_key())
        self._nursery.start_soon(self._follow, asked, scope, answer, what, key)

    async def _follow(
        self, asked: Asked, scope: trio.CancelScope, answer: Awaitable[Any], what: Kind, key: str
    ) -> None:
        with scope:
            try:
                read = await answer
                asked.outcome = "done"
                asked.seen = what.shows(read, key)
                if isinstance(read, dict):
                    asked.attempts = min(asked.attempts, read["ResponseMetadata"]["RetryAttempts"] + 1)
                assert not what.is_refused, asked
            except AlternatorError as error:
                asked.outcome = "unknown" if error.may_have_happened else "failed"
                asked.why = repr(error)
                if isinstance(error, ServiceError):
                    _check_refusal(asked, what, error)
        del self._in_flight[asked.number]
        if scope.cancelled_caught:
            asked.why = "cancelled"
        if self._client_forgets(asked):
            self._forgot_at = trio.current_time()
        if asked.outcome != "unknown":
            asked.ended = trio.current_time()

    def _client_forgets(self, asked: Asked) -> bool:
        """Whether the scratch table's key may be another one now, as far as the client can know."""
        if SCRATCH_ITSELF not in asked.writes:
            return False
        if asked.why == "cancelled":  # perhaps before it was sent; only a creation can be told from all others
            return asked.value is not None and self._engine.has_written(SCRATCH_ITSELF, asked.value)
        return asked.outcome != "failed"

    async def cancel(self, which: Sequence[int]) -> None:
        """Cancel operations under way, all in one tick."""
        scopes = list(self._in_flight.values())
        for number in which:
            if scopes:
                scopes[number % len(scopes)].cancel()

    async def look_around(self) -> None:
        """Everything that asks nobody."""
        client: Any = _Noted(self._client, self.used)
        assert client.nodes()
        assert client.node_health().keys() <= {str(node) for node in self._client._runtime.live.value.standings}
        assert client.statistics().operations >= 0
        assert repr(self._client)
        assert client.routing_scope
        for table in (TABLE, SCRATCH):
            client.clear_partition_key(table)
        self._forgot_at = trio.current_time()

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
        for leaving in self._wanderers(node):
            self._cluster.remove_node(leaving)

    async def move(self, node: int) -> None:
        """It comes back under an address that nobody had before."""
        self._moves += 1
        for moving in self._wanderers(node):
            moving.kill()
            moving.start(address=f"10.9.0.{self._moves}")

    async def swap(self, one: int, other: int) -> None:
        """Two come back under each other's addresses."""
        nodes = list(dict.fromkeys(self._wanderers(one, other)))
        addresses = [node.address for node in nodes]
        for node in nodes:
            node.kill()
        for node, address in zip(nodes, reversed(addresses), strict=True):
            node.start(address=address)

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

    async def delay(self, node: int | None, seconds: float) -> None:
        """It answers so much later, or all do."""
        for slow in self._cluster.nodes if node is None else (self._node(node),):
            slow.delay = seconds

    async def jump(self, node: int | None, seconds: float) -> None:
        """A wall clock jumps: a node's, or the client's."""
        whose: Any = self._cluster if node is None else self._node(node)
        whose.clock_skew = seconds

    async def slow_down(self, node: int, factor: float) -> None:
        self._cluster.slow_down(self._node(node), factor)

    async def split(self, node: int) -> None:
        self._cluster.split(self._node(node))

    async def fail_next(self, node: int, fault: str, times: int) -> None:
        self._node(node).fail_next(FAULTS[fault], times=times)

    async def weather(self, weather: str) -> None:
        self._cluster.faults = WEATHERS[weather]

    async def heal(self) -> None:
        """All faults end, and clocks are set right."""
        self._cluster.heal()
        self._cluster.faults = WEATHERS["calm"]
        for node in (None, *range(len(self._cluster.nodes))):
            await self.jump(node, 0.0)

    def _node(self, number: int) -> Any:
        return self._cluster.nodes[number % len(self._cluster.nodes)]

    def _wanderers(self, *numbers: int) -> list[Any]:
        """Nodes that may lose their address, as long as there are any."""
        nodes = self._cluster.nodes[SEEDS:]
        return [nodes[number % len(nodes)] for number in numbers if nodes]


def _check_refusal(asked: Asked, what: Kind, error: ServiceError) -> None:
    """What the service refuses is only what it may."""
    if error.code in REFUSALS:
        assert what.is_refused or what.table == SCRATCH, asked
        assert what.operation in str(error), asked
    if what.operation:
        assert error.operation == what.operation, asked
    if error.code == "ResourceNotFoundException" and what.table == SCRATCH:
        asked.seen = {SCRATCH_ITSELF: None}


def _fail_if(wrong: Any) -> None:
    found = list(wrong)
    assert not found, "\n".join(found)

"""Each field of `FaultRates`, alone: its own effect is seen, and without it is not; no fault is lost unnoticed."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import random
import statistics
from collections.abc import Callable

import pytest
import trio

from alternator_trio import AlternatorError, Client, RetryPolicy, RoutingScope
from alternator_trio.testing import FaultRates, RegisterEngine, SimulatedCluster, simulate
from alternator_trio.testing.simulation import Event, LinkWatcher, Run
from alternator_trio.testing.simulation.server import SERVER_TIMEOUT
from tests.sim.drawn import Drawn
from tests.sim.trial import run_trial

TOPOLOGY = {"dc1": {"rack1": 2, "rack2": 2}}
SCOPES = {
    "cluster": RoutingScope.cluster(),
    "datacenter": RoutingScope.datacenter("dc1"),
    "rack": RoutingScope.rack("dc1", "rack2"),
}
KEY = {"id": {"S": "ada"}}
LONG_VALUE = {"S": "long" * 1000}
OPERATIONS = 40
PAUSE = 1.0
GONE = "10.0.0.4"
"""The address of a node that leaves in the middle of each run."""


@dataclasses.dataclass(kw_only=True)
class Seen:
    """What a run shows.

    Attributes:
        events: The history.
        errors: Of operations that failed: what they said.
        seconds: How long each operation took.
        outcomes: How many operations ended how.
        pieces: In how many pieces what came on each connection was read, at most, between two requests.
        lists: The hosts that the client knew, again and again after a node has left.
        applied: Writes that took effect.
    """

    events: list[Event] = dataclasses.field(default_factory=list)
    errors: list[str] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    pieces: dict[int, int] = dataclasses.field(default_factory=dict)
    lists: list[list[str]] = dataclasses.field(default_factory=list)
    applied: int = 0

    @property
    def median(self) -> float:
        """Seconds that an operation takes."""
        return statistics.median(self.seconds)

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    def says(self, text: str) -> bool:
        return any(text in error for error in self.errors)

    def delays(self) -> list[float]:
        """Seconds from the receipt of each operation to its execution, of those that were executed in order."""
        times: dict[str, collections.deque[float]] = collections.defaultdict(collections.deque)
        found = []
        for event in self.events:
            if event.kind == "receive":
                times[event.facts[0]].append(event.at)
            elif event.kind == "execute":
                found.append(event.at - times[event.facts[0]].popleft())
        return found

    def came_back(self, how: str) -> bool:
        """Whether a node that went in this way came again, at its own address."""
        gone = {event.facts[0] for event in self.of(how)}
        return any(event.facts[0] in gone and event.facts[1] is None for event in self.of("start") if event.at)


class Pieces(LinkWatcher):
    """Counts what is read of each answer."""

    def __init__(self, most: dict[int, int]) -> None:
        self._most = most
        self._now: collections.Counter[int] = collections.Counter()

    def dialled(self, client: str, node: str, number: int, address: str) -> None: ...

    def sent(self, client: str, node: str, number: int, data: bytes) -> None:
        self._now[number] = 0

    def read(self, client: str, node: str, number: int, data: bytes) -> None:
        self._now[number] += bool(data)
        self._most[number] = max(self._most.get(number, 0), self._now[number])

    def received(self, client: str, node: str, number: int) -> None: ...

    def closed(self, client: str, node: str, number: int) -> None: ...


@functools.lru_cache
def run_with(scope: str = "cluster", **rates: float) -> Seen:
    """One client's reads and writes, one after another, for some forty seconds, and what they show."""
    seen, run, engine = Seen(), Run(1), RegisterEngine()
    run.history.listeners.append(seen.events.append)
    engine.create_table("users", "id")
    options = {
        "retry": RetryPolicy(max_attempts=1),
        "attempt_timeout": 30.0,
        "active_interval": 0.2,
        "routing_scope": SCOPES[scope],
    }

    async def main() -> None:
        faults = FaultRates(**rates)
        async with (
            SimulatedCluster(topology=TOPOLOGY, faults=faults, engine=engine) as cluster,
            cluster.open_client(**options) as client,
        ):
            cluster.network.watchers.append(Pieces(seen.pieces))
            for number in range(OPERATIONS):
                if number == OPERATIONS // 2 and GONE in {node.address for node in cluster.nodes}:
                    cluster.remove_node(cluster[GONE])
                await operate(client, number, seen)
                await trio.sleep(PAUSE)
                if number > OPERATIONS // 2:
                    seen.lists.append([node.host for node in client.nodes()])
        seen.applied = len(engine.applied)

    simulate(main, run=run, max_seconds=5000)
    return seen


async def operate(client: Client, number: int, seen: Seen) -> None:
    """A long put, or a read of it."""
    began = trio.current_time()
    try:
        if number % 2:
            await client.get_item(TableName="users", Key=KEY)
        else:
            await client.put_item(TableName="users", Item={**KEY, "v": LONG_VALUE})
    except AlternatorError as error:
        seen.errors.append(f"{error}")
    seen.seconds.append(trio.current_time() - began)


def swapped(seen: Seen) -> bool:
    """Two nodes came back, each with an address that another had."""
    taken = [event.facts[1] for event in seen.of("start") if event.facts[1] is not None]
    return any(address.startswith("10.0.0.") for address in taken)


def moved(seen: Seen) -> bool:
    return any(str(event.facts[1]).startswith("10.9.") for event in seen.of("start"))


def both(*kinds: str) -> Callable[[Seen], bool]:
    """Whether each of these things happened."""
    return lambda seen: all(seen.of(kind) for kind in kinds)


EFFECTS: dict[str, tuple[float, Callable[[Seen], bool]]] = {
    "latency": (0.5, lambda seen: seen.median > 0.1),
    "split": (1.0, lambda seen: max(seen.pieces.values()) > 1),
    "loss": (0.5, lambda seen: max(seen.seconds[1:]) > 0.2),
    "reset": (0.3, lambda seen: bool(seen.of("reset")) and bool(seen.errors)),
    "silence": (0.3, lambda seen: bool(seen.of("silence")) and seen.says("no complete answer within")),
    "narrow": (1.0, lambda seen: seen.median > 0.004),
    "refuse": (0.9, lambda seen: any(GONE not in event.facts[1] for event in seen.of("refuse"))),
    "shed": (0.5, lambda seen: seen.says("RequestLimitExceeded") and seen.applied < OPERATIONS // 2),
    "fail_before": (0.5, lambda seen: seen.says("nothing was done") and seen.applied < OPERATIONS // 2),
    "fail_after": (0.5, lambda seen: seen.says("was carried out") and seen.applied == OPERATIONS // 2),
    "late": (0.5, lambda seen: max(seen.delays()) > 1.0),
    "wrong_length": (0.5, lambda seen: bool(seen.errors) and seen.applied == OPERATIONS // 2),
    "last_answer": (1.0, lambda seen: len(seen.of("connect")) > OPERATIONS),
    "stale_list": (0.9, lambda seen: any(GONE in hosts for hosts in seen.lists[5:])),
    "crash_rate": (0.3, lambda seen: seen.came_back("kill")),
    "power_off_rate": (0.3, lambda seen: seen.came_back("power-off")),
    "restart_rate": (0.3, lambda seen: seen.came_back("stop")),
    "pause_rate": (0.3, lambda seen: both("pause", "resume")(seen) and max(seen.seconds) > 0.1),
    "move_rate": (0.3, moved),
    "swap_rate": (0.3, swapped),
    "join_rate": (0.3, lambda seen: len(seen.of("join")) > 1),
    "leave_rate": (0.3, lambda seen: len(seen.of("leave")) > 1),
    "cut_off_rate": (0.3, lambda seen: both("cut-off", "mend")(seen) and max(seen.seconds) > 0.1),
    "split_rate": (0.3, both("split", "rejoin")),
    "slow_rate": (0.5, lambda seen: bool(seen.of("slow")) and max(seen.seconds) > 0.01),
    "clock_jump_rate": (0.3, lambda seen: any(abs(event.facts[1]) > 1.0 for event in seen.of("clock"))),
    "clock_skew": (100.0, lambda seen: any(abs(event.facts[1]) > 10.0 for event in seen.of("clock"))),
}
"""By field: a high value, and what it does."""


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(FaultRates)])
def test_a_rate_alone_has_its_own_effect(name: str) -> None:
    """Seen with it, and not where every rate is as it is by default."""
    value, has_happened = EFFECTS[name]
    assert has_happened(run_with(**{name: value}))
    assert not has_happened(run_with())


@pytest.mark.parametrize("scope", SCOPES)
def test_a_list_of_before_is_answered_in_every_scope(scope: str) -> None:
    """Also where a datacenter or a rack is asked for: a node that has left comes up again."""
    assert any(GONE in hosts for hosts in run_with(scope, stale_list=0.9).lists[5:])
    assert not any(GONE in hosts for hosts in run_with(scope).lists[5:])


def test_late_operations_end_within_the_servers_timeout() -> None:
    """Whatever is drawn, nothing takes effect later than ten seconds after it came, and nobody waits longer."""
    seen = run_with(late=1.0)
    assert 5.0 < max(seen.delays()) <= SERVER_TIMEOUT
    assert max(seen.seconds) == pytest.approx(SERVER_TIMEOUT, abs=0.1)
    assert seen.says("timed out")
    assert seen.applied == OPERATIONS // 2


def test_every_field_is_drawn_at_times() -> None:
    """Of many draws some have it and some do not; only latency there always is."""
    drawn = [FaultRates.draw(random.Random(seed)) for seed in range(100)]
    for field in dataclasses.fields(FaultRates):
        values = [getattr(rates, field.name) for rates in drawn]
        assert any(values), field.name
        assert field.name == "latency" or not all(values), field.name


def test_the_chaos_of_a_trial_begins() -> None:
    """What it has drawn comes over it before it is healed."""
    events: list[Event] = []
    seed = next(seed for seed in itertools.count() if Drawn.draw(seed).faults.crash_rate > 0.1)
    run_trial(seed, events.append)
    healed = next(event.at for event in events if event.kind == "heal")
    assert [event for event in events if event.kind == "kill" and event.at < healed]


def test_a_trial_is_signed_while_clocks_jump() -> None:
    """Signatures are refused for their time, and operations succeed all the same, whatever time it is in the end."""
    events: list[Event] = []
    seed = next(seed for seed in itertools.count() if Drawn.draw(seed).signed)
    run_trial(seed, events.append)
    answers = [event.facts[3] for event in events if event.kind == "execute"]
    assert len([event for event in events if event.kind == "clock" and event.facts[0] == "clients"]) > 1
    assert "InvalidSignatureException" in answers
    assert "" in answers

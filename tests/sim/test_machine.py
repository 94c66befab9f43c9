"""Stories drawn by Hypothesis: every public operation, changes of the cluster, faults, cancellations, other options.

Rules: a rule only writes a step down; at the end the whole story is played in one virtual run, so that it is the same
each time, and is shortened as data. What fails prints the call of `play` that repeats it; the shortest become tests in
`tests/sim/test_stories.py`. ``MACHINE_EXAMPLES=5000`` plays so many other ones.
"""

from __future__ import annotations

import dataclasses
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from alternator_trio import Client
from alternator_trio.testing import FaultRates
from tests.sim.asking import KEYS, KINDS, SCRATCH, VIEWS
from tests.sim.stage import CONFIGURATIONS, FAULTS, WEATHERS, Step, play

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "0"))
NODES = st.integers(0, 4)
NODE_CHANGES = ["cut_connections", "kill", "start", "stop", "pause", "resume", "power_off"]
RACKS = [("dc1", "rack1"), ("dc1", "rack2"), ("dc2", "rack1")]
WRITES = ["put", "create", "update", "count", "delete", "batch"]
READS = ["get", "query", "batch_get", "scan"]
TABLES = [kind for kind in KINDS if KINDS[kind].table == SCRATCH]
CHANGES = ["drop", "make"]
CONTROL = ["call", "refresh", "partition_key", "unknown_key", "check_routing"]
OTHERS = [kind for kind in KINDS if kind not in {*WRITES, *READS, *TABLES, *CONTROL}]
PAUSES = st.sampled_from([0.003, 0.001, 0.05, 1.0])
SECONDS = st.sampled_from([0.003, 0.001, 0.05, 0.3, 1.0, 4.0, 25.0, 301.0])


class Stories(RuleBasedStateMachine):
    """Writes a story, then plays it."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []

    def then(self, name: str, **arguments: object) -> None:
        self.steps.append((name, arguments))

    @initialize(configuration=st.sampled_from(sorted(CONFIGURATIONS)))
    def begin(self, configuration):
        self.then("reopen", configuration=configuration)

    @rule(configuration=st.sampled_from(sorted(CONFIGURATIONS)))
    def reopen(self, configuration):
        self.then("reopen", configuration=configuration)

    @rule(kind=st.sampled_from(WRITES), key=st.sampled_from(KEYS), view=st.sampled_from(list(VIEWS)))
    def write(self, kind, key, view):
        self.then("ask", kind=kind, key=key, view=view)

    @rule(kind=st.sampled_from(READS), key=st.sampled_from(KEYS), view=st.sampled_from(list(VIEWS)))
    def read(self, kind, key, view):
        self.then("ask", kind=kind, key=key, view=view)

    @rule(kind=st.sampled_from(CONTROL), key=st.sampled_from(KEYS))
    def ask_about(self, kind, key):
        self.then("ask", kind=kind, key=key, view="none")

    @rule(kinds=st.lists(st.sampled_from(list(KINDS)), min_size=4, max_size=12), key=st.sampled_from(KEYS))
    def ask_at_once(self, kinds, key):
        for kind in kinds:
            self.then("ask", kind=kind, key=key, view="none")

    @rule(kind=st.sampled_from(OTHERS))
    def ask_what_no_store_has(self, kind):
        self.then("ask", kind=kind, key="a", view="none")

    @rule(
        kinds=st.lists(st.sampled_from(TABLES), min_size=1, max_size=8),
        key=st.sampled_from(KEYS),
        view=st.sampled_from(list(VIEWS)),
        pause=PAUSES,
    )
    def change_table(self, kinds, key, view, pause):
        for kind in kinds:
            self.then("ask", kind=kind, key=key, view=view)
            self.then("sleep", seconds=pause)

    @rule(
        changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=4),
        view=st.sampled_from(["none", "short"]),
        seconds=st.sampled_from([0.05, 1.0]),
        amid_lookup=st.booleans(),
    )
    def change_what_is_known(self, changes, view, seconds, amid_lookup):
        """What random steps hardly ever do: changes overtake a lookup's answer, or come to a name that is known."""
        self.then("ask", kind="make", key="a", view="none")
        self.then("sleep", seconds=0.05)
        self.then("look_around")
        self.then("delay", node=None, seconds=seconds)
        self.then("ask", kind="name", key="a", view="none")
        self.then("sleep", seconds=0.015 if amid_lookup else seconds + 0.05)
        self.then("delay", node=None, seconds=0.0 if amid_lookup else seconds)
        for change in changes:
            self.then("ask", kind=change, key="a", view=view)
            self.then("sleep", seconds=0.025)
        self.then("delay", node=None, seconds=0.0)
        self.then("sleep", seconds=seconds)
        self.then("ask", kind="name", key="a", view="none")

    @rule(which=st.lists(st.integers(0, 7), min_size=1, max_size=8))
    def cancel(self, which):
        self.then("cancel", which=which)

    @rule(seconds=SECONDS)
    def sleep(self, seconds):
        self.then("sleep", seconds=seconds)

    @rule(count=st.integers(1, 12))
    def ticks(self, count):
        self.then("ticks", count=count)

    @rule()
    def look_around(self):
        self.then("look_around")

    @rule(node=NODES, where=st.sampled_from(["join", "leave", "change_rack"]), rack=st.sampled_from(RACKS))
    def change_members(self, node, where, rack):
        match where:
            case "join":
                self.then("join", datacenter=rack[0], rack=rack[1])
            case "leave":
                self.then("leave", node=node)
            case "change_rack":
                self.then("change_rack", node=node, rack=rack[1])

    @rule(node=NODES, how=st.sampled_from(NODE_CHANGES))
    def change_node(self, node, how):
        self.then("change", node=node, how=how)

    @rule(
        node=NODES,
        how=st.sampled_from(["cut_off", "mend", "slow_down", "split"]),
        factor=st.sampled_from([20.0, 2000.0]),
    )
    def change_network(self, node, how, factor):
        match how:
            case "slow_down":
                self.then("slow_down", node=node, factor=factor)
            case "split":
                self.then("split", node=node)
            case _:
                self.then("reach", node=node, how=how)

    @rule(node=NODES, other=NODES, how=st.sampled_from(["move", "swap"]))
    def change_address(self, node, other, how):
        if how == "move":
            self.then("move", node=node)
        else:
            self.then("swap", one=node, other=other)

    @rule(node=st.none() | NODES, seconds=st.sampled_from([0.0, 0.02, 1.0]))
    def delay(self, node, seconds):
        self.then("delay", node=node, seconds=seconds)

    @rule(node=st.none() | NODES, seconds=st.sampled_from([0.0, 1.0, -4000.0, 4000.0]))
    def jump(self, node, seconds):
        self.then("jump", node=node, seconds=seconds)

    @rule(node=NODES, fault=st.sampled_from(list(FAULTS)), times=st.integers(1, 3))
    def fail_next(self, node, fault, times):
        self.then("fail_next", node=node, fault=fault, times=times)

    @rule(weather=st.sampled_from(list(WEATHERS)))
    def weather(self, weather):
        self.then("weather", weather=weather)

    @rule()
    def heal(self):
        self.then("heal")

    def teardown(self):
        play(self.steps)


TestStories = Stories.TestCase
TestStories.settings = settings(
    max_examples=EXAMPLES or 80,
    stateful_step_count=40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_all_that_a_client_can_do_is_in_the_machine():
    """Every public name: whoever adds an operation, or a method, adds it to the stories."""
    steps: list[Step] = []
    for kind in KINDS:
        steps += [("ask", {"kind": kind, "key": "a", "view": "packed"}), ("sleep", {"seconds": 0.1})]
    used = play([*steps, ("look_around", {})])
    assert used == {name for name in dir(Client) if not name.startswith("_")}


def test_all_that_goes_wrong_by_chance_is_in_the_machine():
    """Every probability is in some weather; what has a rate per second is a rule of its own, and clocks jump."""
    chances = {field.name for field in dataclasses.fields(FaultRates) if not field.name.endswith("_rate")}
    tried = {name for name in chances for weather in WEATHERS.values() if getattr(weather, name)}
    assert chances - tried == {"clock_skew"}

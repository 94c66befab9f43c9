"""The checkers of health and of tables' keys: what is right passes, what is wrong is found."""

from __future__ import annotations

import math

import pytest
import trio

from alternator_trio import NodeHealth
from alternator_trio.instruments import NodeStateChanged
from alternator_trio.testing.simulation import simulate
from tests.sim.check_health import HealthWatch
from tests.sim.check_keys import KeyAsked, Store, check_keys

NODE = "http://10.0.0.1:8000"
PROBE = b"GET /localnodes HTTP/1.1\r\n\r\n"
TWICE = NodeHealth(active_failure=2, quarantine_failure=1, down_recovery=2)


class Lease:
    """What stands for a lease: it leads to the node."""

    class node:  # noqa: N801  # an attribute
        endpoint = NODE


class Parts:
    """What the watch takes hold of."""

    def __init__(self):
        self._runtime = self.pools = self.data_path = self._router = self

    def begin(self, lease, deadline):
        pass

    def failed(self, lease, live, error):
        pass


def played(*steps):
    """What is found in a story: attempts that begin or fail, probes that are sent or answered, states."""
    watch, client, leases = HealthWatch("c1", TWICE), Parts(), {}
    watch.attach(client)

    async def main():
        state = "ACTIVE"
        for step in steps:
            await trio.sleep(1.0)
            what, _, number = step.partition(" ")
            if what == "begin":
                client.begin(leases.setdefault(number, Lease()), math.inf)
            elif what == "fail":
                client.failed(leases.pop(number), None, None)
            elif what == "probe":
                watch.dialled("c1", "n1", int(number), "10.0.0.1")
                watch.sent("c1", "n1", int(number), PROBE)
            elif what == "answer":
                watch.read("c1", "n1", int(number), b"HTTP/1.1 200 OK\r\n\r\n[]")
            else:
                watch.node_state_changed(NodeStateChanged(node=NODE, old=state, new=what))
                state = what

    simulate(main)
    return watch.violations


DOWN = ("begin 1", "begin 2", "begin 3", "fail 1", "fail 2", "DOWN")
BACK = ("probe 1", "answer 1", "probe 2", "answer 2", "QUARANTINED")


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        (DOWN, None),
        (("begin 1", "fail 1", "DOWN"), "after 1 of 2 failures"),
        ((*DOWN, *BACK), None),
        ((*DOWN, *BACK, "fail 3", "DOWN"), "after 0 of 1 failures"),
        ((*DOWN, *BACK, "begin 4", "fail 4", "DOWN"), None),
        (("probe 1", *DOWN, "answer 1", "probe 2", "answer 2", "QUARANTINED"), "after 1 of 2 answers"),
    ],
)
def test_what_moves_a_node(steps, what):
    """Failures of attempts, and answers to probes, that began since it last went down."""
    found = played(*steps)
    assert bool(found) is (what is not None)
    assert what is None or what in found[0]


def store():
    """A table that has the key ``a`` from 10 on, none from 20 on, and ``b`` from 21 on."""
    made = Store(spread=0.0, rng=None)
    made.keys["t"] = [(10.0, "a"), (20.0, None), (21.0, "b")]
    return made


@pytest.mark.parametrize(
    ("began", "ended", "name", "changed", "found"),
    [
        (11, 12, "a", 10.5, 0),
        (11, 12, "b", 10.5, 1),
        (30, 31, "a", 22.0, 1),
        (30, 31, "b", 22.0, 0),
        (30, 31, "a", -math.inf, 0),
        (30, 31, "a", 30, 0),
        (19, 22, "a", 10.5, 0),
    ],
)
def test_keys_against_changes(began, ended, name, changed, found):
    """Nobody is told a name from before a change that he knows of."""
    asked = KeyAsked(table="t", began=began, ended=ended, name=name, changed=changed)
    assert len(list(check_keys([asked], store()))) == found

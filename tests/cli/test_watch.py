"""The watch on the client's view of the nodes."""

from __future__ import annotations

import pytest

from alternator_trio.cli.tally import Tally
from alternator_trio.cli.watch import HealthWatch
from alternator_trio.instruments import NodeStateChanged


@pytest.mark.parametrize(
    ("states", "kinds"),
    [
        (["QUARANTINED", "ACTIVE"], []),
        (["ACTIVE", "DOWN"], ["left alone"]),
        (["ACTIVE", "DOWN", "QUARANTINED"], ["left alone"]),
        (["ACTIVE", "DOWN", "QUARANTINED", "ACTIVE"], ["left alone", "used again"]),
        (["ACTIVE", "DOWN", "QUARANTINED", "DOWN", "QUARANTINED", "ACTIVE"], ["left alone", "used again"]),
    ],
)
async def test_leaving_traffic_and_coming_back_are_noted(states, kinds):
    """Once each, whatever lies between."""
    tally = Tally(1.0)
    tally.begin(0.0)
    announced = []
    watch = HealthWatch(tally, announced.append)
    for old, new in zip([None, *states], states, strict=False):
        watch.node_state_changed(NodeStateChanged(node="http://a", old=old, new=new))
    assert [event.kind for event in tally.events] == kinds
    assert announced == tally.events


async def test_what_comes_before_or_after_the_load_is_not_noted():
    """It has no place on the timeline."""
    tally = Tally(1.0)
    watch = HealthWatch(tally, print)
    watch.node_state_changed(NodeStateChanged(node="http://a", old="QUARANTINED", new="DOWN"))
    tally.begin(0.0)
    tally.end(1.0)
    watch.node_state_changed(NodeStateChanged(node="http://a", old="QUARANTINED", new="ACTIVE"))
    assert tally.events == []

"""NodeRegistry: what becomes of nodes by what is seen of them, and when they are probed."""

from __future__ import annotations

import math
import sys

import trio

from alternator_trio._actors import node_registry
from alternator_trio._actors.messages import AttemptSettled
from alternator_trio.nodes import Node
from tests.actors.registry import CHAIN, HEALTH, A, B, C, Setting, contact, failed, listed, probed

# Health.


async def test_an_older_generations_failures_are_dropped(chained):
    """Those of attempts that began before the node last went down."""
    await chained.settle(listed(A, B), *map(contact, (A, B)), *failed(A))
    for _ in range(4):
        await chained.settle(probed(A, generation=1))
    assert chained.states()[A] == "ACTIVE"
    before = chained.live.value
    await chained.settle(*failed(A, times=100))
    assert chained.live.value is before
    await chained.settle(*failed(A, times=1, generation=1))
    assert chained.failures == {A: 1}


async def test_an_older_generations_successes_are_dropped(chained):
    """They do not bring a node back that is in quarantine after it was down."""
    await chained.settle(listed(A, B), *map(contact, (A, B)), *failed(A))
    for _ in range(HEALTH.down_recovery):
        await chained.settle(probed(A, generation=1))
    assert chained.states()[A] == "QUARANTINED"
    before = chained.live.value
    await chained.settle(AttemptSettled(node=A, generation=0, successes=100))
    assert chained.live.value is before


async def test_a_probe_of_an_older_generation_counts_for_nothing(chained):
    """It began before the node went down; the node's recovery starts after that."""
    await chained.settle(listed(A, B), *map(contact, (A, B)), *failed(A))
    await chained.settle(probed(A, generation=0), probed(A, generation=0), probed(A, generation=0))
    assert (chained.states()[A], chained.registry.state.standings[A].successes) == ("DOWN", 0)


def test_of_failures_in_a_row_the_last_one_is_the_reason():
    """Merged while the registry is busy, also with one that has none to give."""
    one, two, three = (AttemptSettled(node=A, generation=0, failures=1, reason=why) for why in ("old", "new", ""))
    assert one.merged_with(two).merged_with(three).reason == "new"


async def test_results_of_unknown_nodes_are_ignored(chained):
    """A node that was never listed has no health."""
    await chained.settle(listed(A))
    before = chained.live.value
    await chained.settle(*failed(C), contact(C), probed(C))
    assert chained.live.value is before


async def test_history_outlasts_the_list(chained):
    """A node that leaves and returns is as down, and as often, as it was."""
    await chained.settle(listed(A, B), *map(contact, (A, B)), *failed(A))
    before = chained.registry.state.standings[A]
    await chained.settle(listed(B))
    await chained.settle(listed(A, B))
    assert chained.registry.state.standings[A] == before
    assert chained.live.value.eligible == (B,)


async def test_history_is_bounded(chained, monkeypatch):
    """Where addresses change all the time, those that have left are forgotten at last."""
    monkeypatch.setattr(node_registry, "MAX_HISTORY", 8)
    for number in range(10):
        await chained.settle(listed(*(Node("http", f"n{number}x{place}.example", 8000) for place in range(3))))
        assert len(chained.registry.state.standings) <= 8


async def test_each_change_of_state_is_told_once(chained):
    """To instruments: old and new; counts that change are no change of state."""
    await chained.settle(listed(A, B), *map(contact, (A, B)))
    chained.events.seen.clear()
    await chained.settle(*failed(A, times=2))
    assert chained.events.seen == []
    await chained.settle(*failed(A))
    assert [(event.node, event.old, event.new) for event in chained.events.seen] == [(A.endpoint, "ACTIVE", "DOWN")]


# Probes.


async def test_what_appears_is_wanted_at_once_and_once(autojump_clock, chained):
    """However many messages come before the probe settles."""
    await chained.settle(listed(A, B))
    assert await chained.wanted() == [(A, 0), (B, 0)]
    await chained.settle(*failed(A, times=1), listed(A, B, C))
    assert await chained.wanted() == [(C, 0)]
    await trio.sleep(29)
    assert await chained.wanted() == []


async def test_a_probe_carries_the_generation(autojump_clock, chained):
    """That of the life in which it is made."""
    await chained.settle(listed(A, B), *map(contact, (A, B)), *failed(A))
    await chained.told()
    await trio.sleep(0.26)
    assert await chained.wanted() == [(A, 1)]


async def test_going_down_again_begins_the_cadence_again(autojump_clock, chained):
    """After a minute of failures it came back, and went down: a quarter of a second, not half a minute."""
    await chained.settle(listed(A, B), *map(contact, (A, B)), *failed(A))
    await chained.told()
    for _ in range(8):
        await trio.sleep(35)
        assert await chained.wanted() == [(A, 1)]
        await chained.settle(probed(A, generation=1, succeeded=False))
    for _ in range(4):
        await chained.settle(probed(A, generation=1))
    assert chained.states()[A] == "ACTIVE"
    await chained.settle(*failed(A, generation=1))
    await chained.told()
    await trio.sleep(0.24)
    assert await chained.wanted() == []
    await trio.sleep(0.02)
    assert await chained.wanted() == [(A, 2)]


async def test_a_probe_that_was_not_made_is_wanted_again_soon(autojump_clock, chained):
    """After a quarter of a second, and it counts as no failure."""
    await chained.settle(listed(A, B))
    await chained.told()
    await chained.settle(probed(A, succeeded=None))
    assert await chained.wanted() == []
    await trio.sleep(0.26)
    assert await chained.wanted() == [(A, 0)]


async def test_a_probe_that_is_never_heard_of_is_made_again(autojump_clock, chained):
    """A minute later: nothing is waited for for ever."""
    await chained.settle(listed(A, B))
    await chained.told()
    await trio.sleep(59)
    assert await chained.wanted() == []
    await trio.sleep(1.1)
    assert await chained.wanted() == [(A, 0), (B, 0)]


async def test_who_has_left_is_not_probed(autojump_clock, chained):
    """Neither is a late result of a probe of it of any consequence."""
    await chained.settle(listed(A, B), *map(contact, (A, B)), *failed(A))
    await chained.told()
    await chained.settle(listed(B))
    await chained.settle(probed(A, generation=1))
    await trio.sleep(100)
    assert (await chained.wanted(), chained.states()[A]) == ([], "DOWN")


async def test_without_health_nobody_is_probed_and_nobody_goes_down(autojump_clock, nursery):
    """There are no standings; failures are told in vain."""
    setting = Setting(chain=CHAIN, health=None)
    nursery.start_soon(setting.registry.run)
    await setting.settle(listed(A, B), *failed(A, times=100), probed(A), contact(B))
    await trio.sleep(100)
    assert (await setting.told(), setting.states(), setting.live.value.eligible) == ([], {}, (A, B))
    assert setting.registry.state.probe_at == math.inf


async def test_a_message_costs_no_look_at_every_pair_of_nodes(chained):
    """Two thousand nodes appear, and twenty answer their probes: some calls per node and message, not per pair."""
    many = [Node("http", f"10.{number >> 8}.{number & 255}.1", 8000) for number in range(2000)]
    calls = 0

    def count(_frame, _event, _argument):
        nonlocal calls
        calls += 1
        assert calls < 100 * len(many) * 21

    sys.setprofile(count)
    try:
        await chained.settle(listed(*many))
        for node in many[:20]:
            await chained.settle(probed(node))
    finally:
        sys.setprofile(None)
    assert len(chained.live.value.eligible) == 20
    assert calls > len(many)

"""NodeRegistry: what replaces the node list, how messages merge, and who is answered when."""

from __future__ import annotations

import pytest
import trio.testing

from alternator_trio._actors.messages import (
    AttemptSettled,
    DirectContact,
    KnownNodesChanged,
    NodesDiscovered,
    RefreshWanted,
)
from alternator_trio._core.discovery import ScopeAnswer
from alternator_trio._supervision import Reply
from alternator_trio.nodes import Node
from tests.actors.registry import CHAIN, A, B, C, Setting, contact, failed, listed

MANY = 10_000


@pytest.fixture
async def running(nursery):
    setting = Setting()
    nursery.start_soon(setting.registry.run)
    return setting


async def test_a_list_is_published_and_the_dispatcher_is_told(running):
    """Discovered nodes are the ring, sorted, from then on."""
    await running.settle(listed(C, B))
    assert (running.ring, running.live.value.discovered) == ((B, C), True)
    assert await running.dispatcher.receive(until=0) == KnownNodesChanged(live=running.live.value)


async def test_an_empty_list_replaces_nothing(running):
    """Nobody is told of it, and who waits gets the list in force."""
    await running.settle(listed(B, C))
    before = running.live.value
    reply = Reply()
    await running.settle(listed(replies=(reply,)))
    assert running.live.value is before
    assert await reply.wait() is before


async def test_the_same_list_is_not_published_again(running):
    """A refresh that changes nothing wakes nobody."""
    await running.settle(listed(B, C))
    before = running.live.value
    await running.settle(listed(C, B, C))
    assert running.live.value is before
    assert running.dispatcher.statistics().told == 1


async def test_the_dispatcher_is_told_who_has_left_a_scope_that_is_not_in_force(nursery):
    """Else connections to such a node would stay until nobody has used them for their idle lifetime."""
    running = Setting(CHAIN)
    nursery.start_soon(running.registry.run)
    for wider in ((B, C), (B,)):
        answers = (ScopeAnswer(position=0, nodes=(B,)), ScopeAnswer(position=1, nodes=wider))
        await running.settle(NodesDiscovered(answers=answers, replies=()))
    assert running.ring == (B,)
    assert running.dispatcher.statistics().told == 2
    told = await running.dispatcher.receive(until=0)
    assert told.live.known == (B,)


async def test_who_waits_is_answered_after_the_publication(running, nursery):
    """A caller of refresh finds the new list in force, and the Dispatcher told of it, when its answer comes."""
    reply, seen = Reply(), []

    async def wait():
        answer = await reply.wait()
        seen.append((answer, running.live.value, running.dispatcher.statistics().told))

    nursery.start_soon(wait)
    await running.settle(listed(B, replies=(reply,)))
    assert seen == [(running.live.value, running.live.value, 1)]
    assert seen[0][0].ring == (B,)


async def test_lists_that_pile_up_merge_into_the_latest(running):
    """Two lists in one tick: the later one holds, and those who waited for either are answered with it."""
    first, second = Reply(), Reply()
    await running.settle(listed(B, replies=(first,)), listed(C, replies=(second,)))
    assert running.ring == (C,)
    assert await first.wait() is await second.wait() is running.live.value
    assert running.inbox.statistics().merged == 1


@pytest.mark.parametrize(("nodes", "room"), [(5, 4096), (100, 40)], ids=["few nodes", "more nodes than room"])
async def test_ten_thousand_settlements_in_one_tick_lose_no_node_list(running, monkeypatch, nodes, room):
    """A flood of settlements, of few nodes or of more than there is room for, crowds out nothing but settlements."""
    monkeypatch.setattr(AttemptSettled, "limit", room)
    reply = Reply()
    flood = [
        AttemptSettled(node=Node("http", f"node-{number % nodes}", 8000), generation=0, failures=1)
        for number in range(MANY)
    ]
    middle = MANY // 2
    await running.settle(listed(*{message.node for message in flood}))
    await running.settle(*flood[:middle], listed(B, C, replies=(reply,)), *flood[middle:])
    assert running.ring == (B, C)
    assert reply.is_settled
    counts = running.inbox.statistics()
    assert (counts.told, counts.pending) == (MANY + 2, 0)
    assert counts.dropped == max(0, nodes - room) * (MANY // nodes)
    assert sum(running.failures.values()) == MANY - counts.dropped


@pytest.mark.parametrize(
    ("settled", "failures"),
    [
        ([(0, 1)], 1),
        ([(0, 1), (0, 1), (0, 1)], 3),
        ([(0, 3), (1, 0)], 0),
        ([(0, 3), (1, 0), (0, 2)], 2),
        ([(1, 0), (0, 2)], 2),
        ([(1, 0), (1, 0)], 0),
        ([(0, 1), (1, 2), (0, 1)], 3),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_settlements_say_the_same_merged_or_one_by_one(running, settled, failures, at_once):
    """Failures count from the last success on, whether the messages met in the inbox or not."""
    messages = [AttemptSettled(node=A, generation=0, successes=good, failures=bad) for good, bad in settled]
    if at_once:
        await running.settle(*messages)
        assert running.inbox.statistics().merged == len(messages) - 1
    else:
        for message in messages:
            await running.settle(message)
    assert running.failures.get(A, 0) == failures


@pytest.mark.parametrize(
    ("settled", "merged"),
    [
        ([(1, 0), (1, 0)], (2, 0)),
        ([(2, 0), (0, 1)], (2, 1)),
        ([(0, 1), (1, 0)], (1, 0)),
        ([(2, 1), (1, 0)], (1, 0)),
        ([(2, 1), (1, 2), (0, 1)], (1, 3)),
    ],
)
def test_successes_that_a_failure_came_between_are_not_added_up(settled, merged):
    """Those in a row are, and the failures that came after them stay beside them."""
    one, *others = (AttemptSettled(node=A, generation=0, successes=good, failures=bad) for good, bad in settled)
    for other in others:
        one = one.merged_with(other)
    assert (one.successes, one.failures) == merged


async def test_nodes_are_counted_apart(running):
    """One node's failures are not another's."""
    await running.settle(listed(A, B))
    await running.settle(*[AttemptSettled(node=node, generation=0, failures=1) for node in (A, B, A, A, B)])
    assert running.failures == {A: 3, B: 2}


async def test_an_answer_to_discovery_ends_a_row_of_failures(running):
    """A node that answers for itself is well; the nodes that it lists have shown nothing."""
    await running.settle(listed(A, B))
    await running.settle(
        AttemptSettled(node=A, generation=0, failures=2), AttemptSettled(node=B, generation=0, failures=2)
    )
    await running.settle(DirectContact(node=A))
    assert running.failures == {B: 2}


# Scopes.


async def test_lists_of_all_scopes_are_kept(chained):
    """The preferred one is in force; the others' nodes are known, and probed, all the same."""
    await chained.settle(listed(A, B), listed(C, position=1))
    assert (chained.ring, chained.live.value.known) == ((A, B), (A, B, C))
    assert await chained.wanted() == [(A, 0), (B, 0), (C, 0)]


async def test_a_scope_is_left_when_its_last_node_goes_down(chained):
    """In the very message: published, told to the Dispatcher and announced, once each."""
    await chained.settle(listed(A, B), listed(C, position=1), *map(contact, (A, B, C)))
    told = chained.dispatcher.statistics().told
    await chained.settle(*failed(A))
    assert (chained.ring, chained.live.value.eligible) == ((A, B), (B,))
    await chained.settle(*failed(B))
    live = chained.live.value
    assert (live.ring, live.eligible, live.scope, live.position) == ((C,), (C,), CHAIN[1], 1)
    assert chained.dispatcher.statistics().told == told + 1
    assert [(event.old, event.new) for event in chained.events.of_scopes] == [
        (None, str(CHAIN[0])),
        (str(CHAIN[0]), str(CHAIN[1])),
    ]


async def test_without_a_fallback_it_stays_and_a_refresh_is_wanted(chained):
    """Nobody is eligible: Discovery is asked for a refresh, at once and once."""
    await chained.settle(listed(A, B), *map(contact, (A, B)))
    await chained.told()
    await chained.settle(*failed(A))
    assert not [message for message in await chained.told() if isinstance(message, RefreshWanted)]
    await chained.settle(*failed(B))
    refreshes = [message for message in await chained.told() if isinstance(message, RefreshWanted)]
    assert [(message.replies, message.spacing) for message in refreshes] == [((), 0.1)]
    assert (chained.ring, chained.live.value.eligible) == ((A, B), ())
    await chained.settle(*failed(A, B, generation=1))
    assert not [message for message in await chained.told() if isinstance(message, RefreshWanted)]


async def test_the_preferred_scope_returns_with_an_active_node(chained):
    """Listed in quarantine it does not; with the first contact it does."""
    await chained.settle(listed(), listed(C, position=1), contact(C))
    assert chained.ring == (C,)
    await chained.settle(listed(B))
    assert (chained.ring, chained.states()[B]) == ((C,), "QUARANTINED")
    await chained.settle(contact(B))
    assert (chained.ring, chained.live.value.position) == ((B,), 0)


async def test_an_empty_answer_leaves_a_scope_and_a_list_returns_to_it(chained):
    """Its nodes are active by history: they need no new contact."""
    await chained.settle(listed(A, B), listed(C, position=1), *map(contact, (A, B, C)))
    await chained.settle(listed())
    assert chained.ring == (C,)
    await chained.settle(listed(A))
    assert chained.ring == (A,)


async def test_an_empty_answer_is_forgotten_by_no_other_scopes_answer(chained):
    """Answers are per scope."""
    await chained.settle(listed(A), contact(A), listed(C, position=1))
    await chained.settle(
        NodesDiscovered(answers=(ScopeAnswer(position=0, nodes=()), ScopeAnswer(position=2, nodes=(B,))))
    )
    assert (chained.ring, chained.live.value.position) == ((C,), 1)
    await chained.settle(listed(B, position=2))
    assert chained.ring == (C,)


async def test_a_crash_keeps_the_list(autojump_clock, nodes, crash):
    """The registry crashes and goes on from its last good state at once: requests notice nothing."""
    async with nodes.open_client() as client:
        await client.refresh()
        crash(client._runtime.registry_inbox)
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().crashes == 1
        assert len(client.nodes()) == 3
        nodes.listed = ["10.0.0.2"]
        await client.refresh()
        assert [node.host for node in client.nodes()] == ["10.0.0.2"]

"""The sweep itself: it must see what it is there to see, and tell a story twice in the same way."""

from __future__ import annotations

import logging
import random

import pytest
import trio

from alternator_trio._actors.credentials_keeper import CredentialsKeeper
from alternator_trio._actors.discovery import Discovery
from alternator_trio._actors.key_resolver import KeyResolver
from alternator_trio._core.pool import Capacity, WaitingLine
from alternator_trio._core.retry import RetryQuota
from alternator_trio._lifetime import Lifetime
from alternator_trio._transport.connection import Connection, Ending
from alternator_trio._transport.httpx_exchange import Exchange
from alternator_trio._transport.pools import Pools
from alternator_trio.testing import SimulationStuckError
from tests.cancellation.crowds import CALLERS, CROWDS, IN_LINE
from tests.cancellation.scenarios import SCENARIOS
from tests.cancellation.sweep import Story, over_httpx, sweep
from tests.cancellation.troubles import LEFT, TROUBLES

STORIES = {story.name: story for story in [IN_LINE, *CROWDS, *TROUBLES, *LEFT, *SCENARIOS]}
WAIT, RUN = Pools.wait, Exchange.run


def nothing(*args, **options):
    """What a method does that has been forgotten."""


def never_clean(self, lease, now):
    """`Pools.give_back` without the rule that an exchange must be complete."""
    self._leased.pop(lease, None)
    self._put_aside(lease, now)


async def lose_what_was_handed_over(self, *args):
    """`Pools.wait` with a checkpoint too many, between being served and having the lease."""
    lease = await WAIT(self, *args)
    await trio.lowlevel.checkpoint_if_cancelled()
    return lease


async def keep_the_slot(self, send, request):
    """`Exchange.run` that gives its lease back only after an exchange that nobody left."""
    await RUN(self, send, request)
    if self._is_left:
        self._pools._capacity.take(self._lease.node)


def end_without_a_word(self):
    """`Lifetime.end` that wakes nobody: those who back off."""
    self.is_over = True


def close_connections_only(self):
    """`Pools.close` that forgets who waits in line."""
    for connection in self._leased:
        connection.close(Ending.CLIENT_CLOSED)


PLANTED = {
    "a slot is not counted off": (Capacity, "release", nothing, "in line"),
    "a lease is not returned": (Pools, "give_back", nothing, "in line"),
    "who leaves stays in line": (WaitingLine, "leave", nothing, "in line"),
    "a connection is not closed": (Connection, "close", nothing, "in line"),
    "an exchange in its middle is reused": (Pools, "give_back", never_clean, "in line"),
    "who waits is not turned away": (Pools, "close", nothing, "in line"),
    "a refund is made up": (RetryQuota, "refund", lambda self, spent: setattr(self, "tokens", 501), "q1"),
    "the resolver keeps its marks": (KeyResolver, "recovered", lambda self, state, now: (state, ()), "k4"),
    "discovery forgets who waits": (Discovery, "_report", nothing, "c1"),
    "a lease is lost between hand and hand": (Pools, "wait", lose_what_was_handed_over, "in line"),
    "who backs off is not told of the end": (Lifetime, "end", end_without_a_word, "left in backing off"),
    "who waits in line is not told of the end": (Pools, "close", close_connections_only, "left in line"),
    "who waits for credentials is not told of the end": (
        CredentialsKeeper,
        "abandon",
        nothing,
        "left without credentials",
    ),
    "an exchange over httpx is not ended": (Exchange, "leave", nothing, "attempts that time out"),
    "an exchange over httpx keeps its slot": (Exchange, "run", keep_the_slot, "in line"),
    "the keeper keeps its marks": (
        CredentialsKeeper,
        "recovered",
        lambda self, state, now: (state, ()),
        "actors that crash",
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_seen(monkeypatch, caplog, bug):
    """Each is a cancellation's bug that somebody has written before."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")
    owner, name, planted, story = PLANTED[bug]
    monkeypatch.setattr(owner, name, planted)
    told = over_httpx(STORIES[story]) if owner is Exchange else STORIES[story]
    with pytest.raises((AssertionError, trio.TooSlowError, SimulationStuckError, BaseExceptionGroup)):
        sweep(told, "callers", stride=3)


def test_an_error_in_place_of_a_cancellation_is_seen():
    """Whoever is cancelled is told that, and nothing else."""

    async def reports(client, nodes):
        try:
            await client.refresh()
        except trio.Cancelled:
            raise ConnectionError from None

    with pytest.raises(ConnectionError) as caught:
        sweep(Story(name="reports", callers=[reports]), "callers")
    assert any("tell('callers', at=" in note for note in caught.value.__notes__)


def test_a_story_is_told_twice_in_the_same_way():
    """What it does before the cancellation is the same, so that its moment is the same as well."""
    order = []

    async def caller(client, nodes):
        await client.refresh()
        order.append((nodes.requests[-1].host, trio.current_time(), random.random()))

    story = Story(name="twice", callers=[caller] * CALLERS)
    state = random.getstate()
    counts = []
    for _ in range(2):
        random.setstate(state)
        counts.append(story.tell("callers"))
    assert counts[0] == counts[1]
    assert order[:CALLERS] == order[CALLERS:]

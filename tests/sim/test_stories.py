"""Short stories, as the machine shortens what it finds: with bugs planted for the purpose, and without."""

from __future__ import annotations

import logging

import pytest

from alternator_trio import _request
from alternator_trio._actors import key_resolver
from alternator_trio._actors.key_resolver import Lookup
from alternator_trio._core.pool import Capacity
from alternator_trio._router import Router
from alternator_trio._transport import native
from alternator_trio._transport.connection import Connection
from alternator_trio._transport.pools import Pools
from alternator_trio.errors import TransportError
from tests.sim.stage import play


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """That nodes go down is no news here."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")


def ask(kind, key="a", view="none"):
    return "ask", {"kind": kind, "key": key, "view": view}


def sleep(seconds):
    return "sleep", {"seconds": seconds}


def everywhere(fault):
    return [("fail_next", {"node": node, "fault": fault, "times": 1}) for node in range(4)]


def discard_without_serving(pools, connection):
    if connection in pools._leased:
        del pools._leased[connection]
        pools._drop(connection)


def look_up_always(state, table, replies, now):
    state = state._replace(lookups={**state.lookups, table: Lookup(replies=replies)})
    return state, (key_resolver._Publish(), key_resolver._LookUp(table))


finished = key_resolver._finished


def believe_what_was_overtaken(state, message, now):
    lookup = state.lookups[message.table]._replace(is_stale=False)
    return finished(state._replace(lookups={**state.lookups, message.table: lookup}), message, now)


def go_on_for_ever(state, message, now):
    state, actions = finished(state, message, now)
    return state._replace(lookups={**state.lookups, message.table: Lookup()}), actions


seen_by_caller = native._as_seen_by_caller


def call_it_harmless(error, lease, seconds):
    error = seen_by_caller(error, lease, seconds)
    if isinstance(error, TransportError):
        error.may_have_happened = False
    return error


RESET_WRITE = [*everywhere("reset afterwards"), ask("put", view="once"), sleep(4.0)]
RESET_COUNT = [*everywhere("reset afterwards"), ask("count"), sleep(4.0)]
TWO_ASK = [ask("partition_key"), ask("partition_key")]
CANCELLED = [
    ask("put"),
    sleep(0.3),
    *[ask("get", "c")] * 8,
    sleep(0.001),
    ("cancel", {"which": list(range(8))}),
    *[ask("get")] * 8,
    sleep(0.3),
]
CONTENDED = [
    ("reopen", {"configuration": "narrow"}),
    *everywhere("hang"),
    *[ask("get")] * 8,
    sleep(0.05),
    ("cancel", {"which": [0, 1]}),
]
REOPENED = [*[ask("put"), ask("count", "b")] * 3, sleep(0.003), ("reopen", {"configuration": "affine"})]
NAMED = [ask("make"), sleep(0.05), ask("name"), sleep(0.05)]
CUT_OFF = [*NAMED, *everywhere("hang afterwards"), ask("drop", view="short"), sleep(0.05), ask("name")]
OVERTAKEN = [
    ask("make"),
    sleep(0.05),
    ("delay", {"node": 1, "seconds": 1.0}),
    ask("name"),
    sleep(0.015),
    ask("drop"),
    sleep(4.0),
    ask("name"),
]

PLANTED = {
    "a write that happened failed for certain": (native, "_as_seen_by_caller", call_it_harmless, RESET_WRITE),
    "a counter is repeated": (_request, "is_repeatable", lambda *_: True, RESET_COUNT),
    "two lookups of a table": (key_resolver, "_wanted", look_up_always, TWO_ASK),
    "a lookup that was overtaken counts": (key_resolver, "_finished", believe_what_was_overtaken, OVERTAKEN),
    "a lookup that has ended is held to be running": (key_resolver, "_finished", go_on_for_ever, NAMED),
    "a change that was cut off is none": (Router, "schema_changed", lambda *_: None, CUT_OFF),
    "a connection is used again": (
        Connection,
        "is_reusable",
        property(lambda lease: lease._wire is not None),
        CANCELLED,
    ),
    "a slot is not counted off": (Capacity, "release", lambda *_: None, CANCELLED),
    "who waits is forgotten": (Pools, "discard", discard_without_serving, CONTENDED),
    "a client is closed in name only": (Pools, "close", lambda _: None, REOPENED),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_seen(monkeypatch, bug):
    """The story is right, and with the bug it is not."""
    owner, name, planted, story = PLANTED[bug]
    play(story)
    monkeypatch.setattr(owner, name, planted)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever comes of it, it is no success
        play(story)
    assert any("after step" in note for note in caught.value.__notes__)


def test_a_story_without_steps_is_well():
    """The cluster, the client and its end."""
    play([])

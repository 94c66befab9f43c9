"""Whether what a client keeps stays within what its code promises, at moments when nothing moves.

Rules: nodes, tables, heads, contacts, complaints and secrets that are remembered have a number that they never exceed;
what is marked as under way has a task that is at it; nobody is kept waiting who has been answered; inboxes have room
for every class of messages, and nothing is ever turned away: clusters as small as these fill none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from unittest.mock import patch

import trio

from alternator_trio import Client
from alternator_trio._actors import messages, node_registry, refresher
from alternator_trio._actors.discovery import Discovery
from alternator_trio._actors.key_resolver import KeyResolver
from alternator_trio._actors.node_registry import NodeRegistry
from alternator_trio._core import discovery, keys
from alternator_trio._supervision import Actor, Inbox
from alternator_trio._wire import http_head, sigv4

__all__ = ["Kept", "inboxes_of", "living_tasks", "watched_actors"]

_actors: dict[Inbox, Actor] = {}


@contextlib.contextmanager
def watched_actors() -> Generator[None, None, None]:
    """Know the actors that are made meanwhile; without it only what they publish can be looked at."""
    make = Actor.__init__

    def make_known(actor, name, inbox, state):
        make(actor, name, inbox, state)
        _actors[inbox] = actor

    with patch.object(Actor, "__init__", make_known):
        try:
            yield
        finally:
            _actors.clear()


def inboxes_of(client: Client) -> tuple[Inbox, ...]:
    """Of all actors."""
    runtime = client._runtime
    return (
        runtime.registry_inbox,
        runtime.dispatcher_inbox,
        runtime.credentials_inbox,
        runtime.keys_inbox,
        runtime.discovery_inbox,
    )


class Kept:
    """What one client keeps.

    Args:
        client: The client.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._runtime = client._runtime

    def look(self, *, all_run: bool = True) -> Iterator[str]:
        """Look once, when nothing moves.

        Args:
            all_run: False where an actor may have crashed and not run again yet: marks may be without a task.
        """
        for what, count, most in (*self._published(), *self._private()):
            if count > most:
                yield f"{what}: {count} are kept, more than {most}"
        yield from self._wrong_inboxes()
        yield from self._wrong_counts()
        yield from self._answered()
        if all_run:
            yield from self._marks_alone()

    def _published(self) -> Iterator[tuple[str, int, int]]:
        """What, how many, and at most how many."""
        runtime = self._runtime
        live, known = runtime.live.value, runtime.key_names.value
        affinity = runtime.config.key_route_affinity
        given = 0 if affinity is None else len(affinity.partition_keys)
        yield "nodes", len(live.standings), max(node_registry.MAX_HISTORY, len(live.known))
        yield "names of keys", len(known.names), keys.MAX_TABLES + given
        yield "cooldowns", len(known.cooldowns), keys.MAX_TABLES
        yield "lookups", len(known.pending), keys.MAX_TABLES
        yield "providers", len(runtime.credentials.value), messages.MAX_PROVIDERS
        yield "heads", len(runtime.data_path._transport._heads._known), http_head._MAX_REMEMBERED
        clocks = (runtime._authenticator._clock, *runtime._authenticator._corrected.values())
        yield "secrets", max(len(clock.signer._stamps) for clock in clocks), sigv4._MAX_KEPT

    def _private(self) -> Iterator[tuple[str, int, int]]:
        """The same of what only an actor knows."""
        for actor in map(_actors.get, inboxes_of(self._client)):
            match actor:
                case NodeRegistry(state=state):
                    yield "nodes to probe", len(state.probings.keys() - state.standings.keys()), 0
                case KeyResolver(state=state):
                    yield "names that were confirmed", len(state.known.confirmed), keys.MAX_TABLES
                case Discovery(state=state):
                    yield "contacts", len(state.contacts), discovery.MAX_CONTACTS
                    yield "complaints", len(actor._refresher._complaints), refresher.MAX_COMPLAINTS
                    yield "probes in flight", len(state.probing), actor._probe_concurrency
                    yield "probes that wait", len(state.queued.keys() & state.probing.keys()), 0
                case _:
                    pass

    def _wrong_inboxes(self) -> Iterator[str]:
        for inbox in inboxes_of(self._client):
            if inbox.statistics().dropped:
                yield f"{inbox.name} has turned {inbox.statistics().dropped} message(s) away"
            for kind, count in inbox._counts.items():
                if count > kind.limit or count != sum(isinstance(each, kind) for each in inbox._pending.values()):
                    yield f"{inbox.name} counts {count} {kind.__name__}"

    def _wrong_counts(self) -> Iterator[str]:
        pools = self._runtime.pools
        by_node = pools._capacity._by_node
        if sum(by_node.values()) != pools.used or not all(count > 0 for count in by_node.values()):
            yield f"slots by node: {dict(by_node)}, {pools.used} in all"
        if len(pools._line) != len(pools._line.all()) or not all(pools._line._lines.values()):
            yield f"the line counts {len(pools._line)}, and {len(pools._line.all())} wait"
        if len(pools._line):
            living = living_tasks()
            gone = (waiter.task.name for waiter in pools._line.all() if waiter.task not in living)
            yield from (f"{name} waits in line, and is no task any more" for name in gone)

    def _answered(self) -> Iterator[str]:
        """Who is kept waiting by an actor although the answer is there."""
        for actor in map(_actors.get, inboxes_of(self._client)):
            match actor:
                case Discovery(state=state):
                    replies = state.waiting
                case KeyResolver(state=state):
                    replies = tuple(reply for lookup in state.lookups.values() for reply in lookup.replies)
                case _:
                    continue
            if any(reply.is_settled for reply in replies):
                yield f"{actor.name} keeps replies that it has given"

    def _marks_alone(self) -> Iterator[str]:
        """Marks of what is under way, where nobody is at it."""
        marks = [f"KeyResolver looks up {table}" for table in sorted(self._runtime.key_names.value.pending)]
        finder = _actors.get(self._runtime.discovery_inbox)
        if finder is not None:
            marks += ["Discovery refresh"] * finder.state.refreshing
            marks += [f"Discovery probes {node}" for node in finder.state.probing]
        if marks:
            names = {task.name for task in living_tasks()}
            yield from (f"nobody is at what is marked: {mark}" for mark in marks if mark not in names)


def living_tasks() -> list[trio.lowlevel.Task]:
    """All tasks of the run."""
    root = trio.lowlevel.current_root_task()
    tasks = [] if root is None else [root]
    for task in tasks:  # grows as it is read
        for nursery in task.child_nurseries:
            tasks += nursery.child_tasks
    return tasks

"""A NodeRegistry by itself: between inboxes that nobody reads but the test."""

from __future__ import annotations

import trio.testing

from alternator_trio._actors.messages import (
    AttemptSettled,
    DirectContact,
    DiscoveryMessage,
    DispatcherMessage,
    NodeRegistryMessage,
    NodesDiscovered,
    ProbeSettled,
    ProbeWanted,
)
from alternator_trio._actors.node_registry import NodeRegistry, first_snapshot
from alternator_trio._core.discovery import ScopeAnswer
from alternator_trio._supervision import Inbox, Published
from alternator_trio.instruments import Instrument, Notifier, ScopeChanged
from alternator_trio.nodes import Node
from alternator_trio.routing import NodeHealth, RoutingScope

A, B, C = (Node("http", f"10.0.0.{number}", 8000) for number in (1, 2, 3))


CLUSTER = RoutingScope.cluster().chain
HEALTH = NodeHealth()
CHAIN = (
    RoutingScope.rack("dc1", "r1").with_fallback(RoutingScope.datacenter("dc1"), RoutingScope.datacenter("dc2")).chain
)
PATIENT = NodeHealth(active_failure=10**6, quarantine_failure=10**6)


def listed(*nodes, position=0, replies=()):
    return NodesDiscovered(answers=(ScopeAnswer(position=position, nodes=nodes),), replies=replies)


def contact(node):
    return DirectContact(node=node)


def probed(node, *, generation=0, succeeded=True):
    return ProbeSettled(node=node, generation=generation, succeeded=succeeded)


class Events(Instrument):
    def __init__(self):
        self.seen = []

    @property
    def of_scopes(self):
        return [event for event in self.seen if isinstance(event, ScopeChanged)]

    def scope_changed(self, event):
        self.seen.append(event)

    def node_state_changed(self, event):
        self.seen.append(event)


def failed(*nodes, times=HEALTH.active_failure, generation=0):
    return [AttemptSettled(node=node, generation=generation, failures=times) for node in nodes]


class Setting:
    """A registry that knows a seed, with the inboxes of a Dispatcher and a Discovery that read nothing."""

    def __init__(self, chain=CLUSTER, health=PATIENT):
        self.inbox: Inbox[NodeRegistryMessage] = Inbox("NodeRegistry")
        self.dispatcher: Inbox[DispatcherMessage] = Inbox("Dispatcher")
        self.discovery: Inbox[DiscoveryMessage] = Inbox("Discovery")
        self.events = Events()
        self.live = Published(first_snapshot([A], chain, discovered=False, health=health))
        self.registry = NodeRegistry(
            self.inbox,
            self.live,
            self.dispatcher,
            self.discovery,
            chain=chain,
            health=health,
            notifier=Notifier([self.events]),
        )

    @property
    def ring(self):
        return self.live.value.ring

    @property
    def failures(self):
        standings = self.registry.state.standings
        return {node: standing.failures for node, standing in standings.items() if standing.failures}

    def states(self):
        return {node: standing.state.name for node, standing in self.live.value.standings.items()}

    async def settle(self, *messages):
        for message in messages:
            self.inbox.tell(message)
        await trio.testing.wait_all_tasks_blocked()

    async def told(self):
        """What Discovery has been told since it was last asked."""
        messages = []
        while (message := await self.discovery.receive(until=0)) is not None:
            messages.append(message)
        return messages

    async def wanted(self):
        """Of that, the nodes to be probed, with the generation."""
        return [(message.node, message.generation) for message in await self.told() if isinstance(message, ProbeWanted)]

"""What the tests of routing share: two datacenters in memory, scopes over them, and eyes for what clients do.

Datacenter dc1 has 10.0.0.1 and .2 in rack1 and .3 in rack2; dc2 has .4 and .5 in rack1. A node goes by its last number.
"""

from __future__ import annotations

import trio.testing

from alternator_trio import AlternatorError, ConnectError, RoutingScope
from alternator_trio._core.affinity import key_hash
from alternator_trio._core.health import NodeState
from alternator_trio._core.query_plan import seeded_plan
from alternator_trio.instruments import Instrument, ScopeChanged
from tests.users import KEY

TOPOLOGY = {"dc1": {"rack1": 2, "rack2": 1}, "dc2": {"rack1": 2}}
RACK1 = RoutingScope.rack("dc1", "rack1")
DC1 = RoutingScope.datacenter("dc1")
DC2 = RoutingScope.datacenter("dc2")
CLUSTER = RoutingScope.cluster()
CHAIN = RACK1.with_fallback(DC1, CLUSTER)
CROWD = 30  # of which the retry quota covers two retries each


def host(number):
    return f"10.0.0.{number}"


def url(number):
    return f"http://10.0.0.{number}:8000"


def number_of(host):
    return int(host.rpartition(".")[2])


def ring(client):
    """The numbers of the nodes that requests are spread over."""
    return tuple(number_of(node.host) for node in client.nodes())


def states(client):
    """The health of each node, by number."""
    return {number_of(url.removesuffix(":8000")): status.state for url, status in client.node_health().items()}


def order_over(ring, value):
    """The nodes of a ring in the order in which every Alternator client tries them for a partition key."""
    seed = key_hash({"S": value} if isinstance(value, str) else value)
    plan = seeded_plan(sorted(ring), seed, lambda _: NodeState.ACTIVE)
    return list(iter(plan.next_node, None))


def served(nodes, operation="GetItem"):
    """Which nodes received an operation, in order of arrival."""
    return [number_of(request.host) for request in nodes.requests_of(operation)]


def asked(nodes):
    """Who was asked for nodes, and for those of which datacenter and rack, in order of arrival."""
    return [(number_of(request.host), request.scope) for request in nodes.requests_of("localnodes")]


def questions(nodes):
    """The datacenter and rack of each question for nodes, in order of arrival."""
    return [scope for _, scope in asked(nodes)]


def probes(nodes, number):
    """When a node was asked for nodes of no scope in particular: all that is asked in other scopes than the cluster."""
    return [request.at for request in nodes[host(number)].requests_of("localnodes") if request.scope == (None, None)]


async def get(client, times=1):
    for _ in range(times):
        await client.get_item(TableName="users", Key=KEY)


async def settle():
    """Let the actors do what they have been told, without letting time pass."""
    await trio.testing.wait_all_tasks_blocked()


class Events(Instrument):
    """What instruments are told, with the time."""

    def __init__(self):
        self.scopes = []
        self.health = []

    def scope_changed(self, event):
        self.scopes.append((trio.current_time(), event))

    def node_state_changed(self, event):
        self.health.append((trio.current_time(), number_of(event.node.removesuffix(":8000")), event.new))

    @property
    def changes(self):
        return [(event.old, event.new) for _, event in self.scopes]

    def when(self, number, state):
        """When a node came to a state, each time."""
        return [at for at, node, new in self.health if (node, new) == (number, state)]

    def when_scope(self, scope):
        """When a scope came into force, each time."""
        return [at for at, event in self.scopes if isinstance(event, ScopeChanged) and event.new == str(scope)]


class Dials:
    """Records whom a client dials, and when; dials that are refused as well, which no node sees."""

    def __init__(self, nodes):
        self._nodes = nodes
        self.made = []

    async def __call__(self, node):
        dial = [number_of(node.host), trio.current_time(), "made"]
        self.made.append(dial)
        try:
            return await self._nodes.dial(node)
        except ConnectError:
            dial[2] = "failed"
            raise

    def to(self, number, since=0.0):
        return [at for node, at, _ in self.made if node == number and at >= since]


async def all_active(client):
    """Let a refresh and the probes after it end: the listed nodes are active then."""
    await client.refresh()
    await settle()
    assert {states(client)[number] for number in ring(client)} == {"ACTIVE"}


async def bring_down(nodes, client, *numbers):
    """Kill nodes, and send requests until the client holds them to be down."""
    for number in numbers:
        nodes[host(number)].kill()
    for _ in range(3):
        if {states(client)[number] for number in numbers} != {"DOWN"}:
            assert await crowd(client) == []
    assert {states(client)[number] for number in numbers} == {"DOWN"}


async def crowd(client, count=CROWD):
    """Many requests at once, enough that a few dead nodes go down by them; returns how they failed."""
    errors = []

    async def get_one():
        try:
            await get(client)
        except AlternatorError as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(get_one)
    await settle()
    return errors

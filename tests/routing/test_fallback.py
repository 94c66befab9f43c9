"""Fallbacks: when the next scope takes over, when the preferred one returns, and who is told."""

from __future__ import annotations

import logging

import pytest
import trio

from alternator_trio import NodeHealth, NoLiveNodesError
from alternator_trio.instruments import Instrument
from alternator_trio.testing import Answer
from tests.routing.world import (
    CHAIN,
    CLUSTER,
    DC1,
    DC2,
    RACK1,
    Events,
    all_active,
    bring_down,
    crowd,
    get,
    host,
    ring,
    served,
    settle,
    states,
    url,
)
from tests.users import KEY

LOGGER = "alternator_trio"


@pytest.fixture
def opened(nodes):
    """Opens a client with health and an instrument, for the chain rack1, dc1, cluster unless told otherwise."""

    def open_client(*seeds, **options):
        events = Events()
        options = {
            "routing_scope": CHAIN,
            "node_health": NodeHealth(),
            "instruments": [events],
            **options,
        }
        return nodes.open_client(*seeds, **options), events

    return open_client


async def test_a_scope_whose_nodes_are_all_down_is_left_at_once(autojump_clock, nodes, opened):
    """Both nodes of the rack die, still listed: requests carry on in the datacenter, none fails.

    Nobody has asked for the datacenter's nodes so far: that takes a refresh, 100 ms after the last one at the latest.
    """
    manager, events = opened()
    async with manager as client:
        await all_active(client)
        await bring_down(nodes, client, 1, 2)
        assert (ring(client), client.routing_scope) == ((1, 2, 3), DC1)
        (changed,), down = events.when_scope(DC1), max(events.when(1, "DOWN") + events.when(2, "DOWN"))
        assert 0 <= changed - down <= 0.1
        await get(client, 10)
        assert client.statistics().failed == 0
    assert set(served(nodes)[-10:]) == {3}


async def test_a_scope_that_is_known_is_used_without_asking(autojump_clock, nodes, opened):
    """The second time that the rack dies its fallback's list is there: it is in force in the very same moment."""
    manager, _ = opened(active_interval=30.0)
    async with manager as client:
        await all_active(client)
        await bring_down(nodes, client, 1, 2)
        nodes[0].accept()
        nodes[1].accept()
        await trio.sleep(2)
        assert client.routing_scope == RACK1
        for node in nodes:
            node.fail_next(Answer(status=500), times=10**6, operation="localnodes")
        await bring_down(nodes, client, 1, 2)
        assert (ring(client), client.routing_scope) == ((1, 2, 3), DC1)
        assert client.statistics().failed == 0


async def test_a_rack_that_leaves_the_list_is_left_with_it(autojump_clock, nodes, opened):
    """Stopped in order, the rack is empty in the next refresh; its nodes' health has no part in it."""
    manager, events = opened()
    async with manager as client:
        await all_active(client)
        nodes[0].stop()
        nodes[1].stop()
        await client.refresh()
        assert (ring(client), client.routing_scope) == ((3,), DC1)
        assert events.changes == [(None, str(RACK1)), (str(RACK1), str(DC1))]


async def test_being_listed_again_is_not_enough(autojump_clock, nodes, opened):
    """A new node of the rack is listed but answers no probe: the fallback stays until it is active."""
    nodes[0].stop()
    nodes[1].stop()
    nodes[0].fail_next(Answer(status=500), times=10**6, operation="localnodes")
    manager, events = opened(url(3))
    async with manager as client:
        await all_active(client)
        nodes[0].start()
        for _ in range(5):
            await client.refresh()
            await trio.sleep(1)
            assert (client.routing_scope, states(client)[1]) == (DC1, "QUARANTINED")
        nodes[0].clear_faults()
        await trio.sleep(31)
        assert (ring(client), client.routing_scope) == ((1,), RACK1)
        assert events.when_scope(RACK1) == events.when(1, "ACTIVE")


async def test_the_preferred_scope_returns_with_its_first_active_node(autojump_clock, nodes, opened):
    """A node comes back from the dead: the rack returns when it is active, not when it is still in quarantine."""
    manager, events = opened()
    async with manager as client:
        await all_active(client)
        await bring_down(nodes, client, 1, 2)
        await trio.sleep(10)
        back = trio.current_time()
        nodes[1].accept()
        await trio.sleep(2)
        assert (ring(client), client.routing_scope) == ((1, 2), RACK1)
        (quarantined,) = [at for at in events.when(2, "QUARANTINED") if at > back]
        assert events.when_scope(RACK1)[-1] == events.when(2, "ACTIVE")[-1] > quarantined
        assert events.when_scope(RACK1)[-1] - back <= 1.01
        await get(client, 10)
    assert set(served(nodes)[-10:]) == {2}


async def test_it_returns_without_requests(autojump_clock, nodes, opened):
    """Probes alone bring the rack back; an idle client is right when it is used again."""
    manager, _ = opened()
    async with manager as client:
        await all_active(client)
        await bring_down(nodes, client, 1, 2)
        nodes[0].accept()
        await trio.sleep(1.5)
        assert client.routing_scope == RACK1


async def test_a_nearer_fallback_takes_over_from_a_farther_one(autojump_clock, nodes, opened):
    """With the datacenter dead the cluster is in force; its other rack comes back first, then the preferred one."""
    manager, events = opened()
    async with manager as client:
        await all_active(client)
        await bring_down(nodes, client, 1, 2)
        await bring_down(nodes, client, 3)
        assert client.routing_scope == CLUSTER
        for number, scope in ((3, DC1), (1, RACK1)):
            nodes[host(number)].accept()
            await trio.sleep(2)
            assert client.routing_scope == scope
        assert [new for _, new in events.changes] == list(map(str, (RACK1, DC1, CLUSTER, DC1, RACK1)))
        assert client.statistics().failed == 0


async def test_all_scopes_being_down_leaves_the_last_in_force(autojump_clock, nodes, opened):
    """Nowhere to go: nothing changes, and the first node that answers probes is used, whichever scope it is of."""
    manager, _ = opened()
    async with manager as client:
        await all_active(client)
        await bring_down(nodes, client, 1, 2)
        await bring_down(nodes, client, 3)
        nodes[3].kill()
        nodes[4].kill()
        assert {type(error) for error in await crowd(client)} == {NoLiveNodesError}
        assert client.routing_scope == CLUSTER
        nodes[3].accept()
        await trio.sleep(1.1)
        await get(client)
        assert (client.routing_scope, served(nodes)[-1]) == (CLUSTER, 4)


# Who is told.


async def test_each_change_is_told_once(autojump_clock, nodes, opened, caplog):
    """Instruments and the log hear of each scope that comes into force once, however many refreshes confirm it."""
    caplog.set_level(logging.INFO, logger=LOGGER)
    manager, events = opened()
    async with manager as client:
        await all_active(client)
        nodes[0].stop()
        nodes[1].stop()
        for _ in range(5):
            await client.refresh()
        nodes[0].start()
        for _ in range(5):
            await client.refresh()
    assert events.changes == [(None, str(RACK1)), (str(RACK1), str(DC1)), (str(DC1), str(RACK1))]
    logged = [record for record in caplog.records if "scope" in record.message]
    assert [record.levelname for record in logged] == ["INFO"] * 3
    assert [event.new in record.message for (_, event), record in zip(events.scopes, logged, strict=True)] == [True] * 3


async def test_leaving_the_datacenter_is_a_warning(autojump_clock, nodes, opened, caplog):
    """Once, with what it costs; coming back is none."""
    caplog.set_level(logging.INFO, logger=LOGGER)
    manager, events = opened(routing_scope=DC1.with_fallback(CLUSTER))
    async with manager as client:
        await all_active(client)
        for number in (1, 2, 3):
            nodes[host(number)].stop()
        for _ in range(3):
            await client.refresh()
        nodes[0].start()
        await client.refresh()
        assert client.routing_scope == DC1
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "cluster" in warnings[0]
    assert "read-your-writes" in warnings[0]
    assert [event.crosses_datacenters for _, event in events.scopes] == [False, True, False]


async def test_a_client_that_begins_abroad_says_so(autojump_clock, nodes, opened, caplog):
    """The preferred datacenter is not there from the first: that is a warning, in words that make sense."""
    for number in (1, 2, 3):
        nodes[host(number)].stop()
    manager, events = opened(routing_scope=DC1.with_fallback(DC2))
    async with manager as client:
        await client.refresh()
    (message,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "None" not in message
    assert [(event.old, event.crosses_datacenters) for _, event in events.scopes] == [(None, True)]


async def test_an_instrument_that_raises_is_removed(autojump_clock, nodes, opened, caplog):
    """It is logged once and told nothing more; the others are told on, and the client works."""
    calls = []

    class Broken(Instrument):
        def scope_changed(self, event):
            calls.append(event)
            raise RuntimeError("a bug in an instrument")

        node_state_changed = scope_changed

    events = Events()
    manager, _ = opened(instruments=[Broken(), events])
    async with manager as client:
        await all_active(client)
        nodes[0].stop()
        nodes[1].stop()
        await client.refresh()
        await get(client, 3)
        assert client.statistics().crashes == 0
    assert len(calls) == 1
    assert events.changes == [(None, str(RACK1)), (str(RACK1), str(DC1))]
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "an instrument raised and is told nothing more: Broken"
    ]


# Writes abroad.


async def _abroad(nodes, client):
    for number in (1, 2, 3):
        nodes[host(number)].stop()
    await client.refresh()
    assert client.routing_scope == CLUSTER


async def test_writes_can_be_kept_in_the_datacenter(autojump_clock, nodes, opened):
    """Abroad they are refused by name with nothing sent, while reads pass; at home again they pass as well."""
    manager, _ = opened(writes_cross_datacenter=False)
    async with manager as client:
        await all_active(client)
        await client.put_item(TableName="users", Item=KEY)
        await _abroad(nodes, client)
        del nodes.requests[:]
        with pytest.raises(NoLiveNodesError, match="writes stay in the preferred datacenter") as caught:
            await client.put_item(TableName="users", Item=KEY)
        assert (caught.value.may_have_happened, caught.value.attempts) == (False, 0)
        for operation in ("DeleteItem", "UpdateItem", "BatchWriteItem", "CreateTable"):
            with pytest.raises(NoLiveNodesError):
                await client.call(operation, {"TableName": "users"})
        await get(client)
        await client.query(TableName="users")
        assert {request.operation for request in nodes.requests if request.operation} == {"GetItem", "Query"}
        assert set(served(nodes)) <= {4, 5}
        nodes[0].start()
        await client.refresh()
        await client.put_item(TableName="users", Item=KEY)
    assert served(nodes, "PutItem") == [1]


async def test_writes_may_use_another_rack(autojump_clock, nodes, opened):
    """A fallback within the datacenter gives nothing up."""
    manager, _ = opened(writes_cross_datacenter=False)
    async with manager as client:
        await all_active(client)
        nodes[0].stop()
        nodes[1].stop()
        await client.refresh()
        await client.put_item(TableName="users", Item=KEY)
    assert served(nodes, "PutItem") == [3]


async def test_a_write_is_refused_in_mid_request(autojump_clock, nodes, opened):
    """Its datacenter dies under it: its next cycle would be abroad, and it fails with what it knows."""
    manager, _ = opened(routing_scope=DC1.with_fallback(CLUSTER), writes_cross_datacenter=False, active_interval=60.0)
    async with manager as client:
        await all_active(client)
        for number in (1, 2, 3):
            nodes[host(number)].stop()
        await trio.sleep(0.2)
        with pytest.raises(NoLiveNodesError, match="writes stay") as caught:
            await client.put_item(TableName="users", Item=KEY)
        assert not caught.value.may_have_happened
    assert served(nodes, "PutItem") == []


async def test_writes_cross_unless_forbidden(autojump_clock, nodes, opened):
    """By default a fallback is there to be used."""
    manager, _ = opened()
    async with manager as client:
        await _abroad(nodes, client)
        await client.put_item(TableName="users", Item=KEY)
        await settle()
    assert set(served(nodes, "PutItem")) <= {4, 5}

"""H4: the plan gives the node, then the request is addressed and signed for it, then it is sent there."""

from __future__ import annotations

from alternator_trio import Credentials, open_alternator
from alternator_trio.testing import LocalCluster, Reset
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.waiting import all_active

ROLE = Credentials("role", "salted_hash")
SECRETS = {"role": "salted_hash"}


def signature(request):
    return request.header("authorization").partition("Signature=")[2]


async def test_h4_each_attempt_has_its_nodes_address_and_signature(autojump_clock, nodes):
    """A retry elsewhere has the other node's Host and another signature over the same body."""
    async with nodes.open_client(credentials=ROLE) as client:
        await client.refresh()
        for node in nodes:
            node.fail_next(Reset(), operation="GetItem")
        await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
    attempts = nodes.requests_of("GetItem")
    assert [request.header("host") for request in attempts] == [f"{request.host}:8000" for request in attempts]
    assert len({request.host for request in attempts}) == 3
    assert len({signature(request) for request in attempts}) == 3
    assert len({request.body for request in attempts}) == 1


async def test_h4_nodes_that_verify_accept_the_retry(engine):
    """Over TCP each node checks that what reaches it was signed for it."""
    async with LocalCluster(nodes=3, engine=engine, credentials=SECRETS) as cluster:
        async with open_alternator(*cluster.seeds, credentials=ROLE) as client:
            await all_active(client)
            for node in cluster.nodes:
                node.clear_requests()
            cluster.nodes[0].fail_next(Reset(), times=2)
            cluster.nodes[2].kill()
            for _ in range(12):
                await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
            assert client.statistics().failed == 0
        for node in cluster.nodes:
            for request in node.requests:
                assert request.header("host") == f"{node.address}:{node.port}"


async def test_h4_cancelled_in_the_middle(autojump_clock, nodes):
    """No connection is left of a request that is cut off between two nodes."""

    async def scenario():
        async with nodes.open_client(credentials=ROLE) as client:
            for node in nodes:
                node.clear_faults()
                node.fail_next(Reset(), operation="GetItem")
            for _ in range(4):
                await client.get_item(TableName="users", Key={"id": {"S": "ada"}})

    await cancel_in_the_middle(scenario, nodes)

"""Callers that gave up waiting for an actor are forgotten, however long what they waited for takes."""

from __future__ import annotations

import gc

import pytest
import trio

from alternator_trio._supervision import Reply
from alternator_trio.testing import simulate
from tests.scripted_nodes import ScriptedNodes

CALLERS, ROUNDS = 10, 20


async def hang():
    await trio.sleep_forever()


ASKS = {
    "credentials": lambda client: client.get_item(TableName="users", Key={"id": {"S": "ada"}}),
    "partition key": lambda client: client.partition_key("users"),
    "refresh": lambda client: client.refresh(),
}


def kept():
    gc.collect()
    return sum(isinstance(each, Reply) for each in gc.get_objects())


@pytest.mark.parametrize("what", ASKS)
def test_callers_that_left_are_forgotten(what):
    """While a provider, a lookup or a refresh hangs callers come and go: at most twice as many as wait are kept."""

    async def main():
        async with ScriptedNodes(2) as nodes:
            for node in nodes:
                node.delay = 3.0
            async with nodes.open_client(credentials=hang) if what == "credentials" else nodes.open_client() as client:

                async def give_up():
                    with trio.move_on_after(0.01):
                        await ASKS[what](client)

                before = kept()
                for _ in range(ROUNDS):
                    async with trio.open_nursery() as nursery:
                        for _ in range(CALLERS):
                            nursery.start_soon(give_up)
                return kept() - before

    assert simulate(main) <= 2 * CALLERS

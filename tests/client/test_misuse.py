"""What comes to mind first and is wrong: each says what to write instead."""

from __future__ import annotations

import copy
import pickle

import pytest

from alternator_trio import AlternatorConfig, Client, EncodingError, open_alternator

SEED = "http://127.0.0.1:1"
HOW = r"write 'async with open_alternator\(\.\.\.\) as client:'"


async def test_the_block_is_not_the_client():
    """It has no operations, and shows what it is."""
    block = open_alternator(SEED)
    with pytest.raises(AttributeError, match=f"'list_tables'.*{HOW}"):
        block.list_tables()
    assert repr(block) == "<open_alternator(...): a client's block, not entered>"


async def test_a_block_is_not_synchronous():
    """A plain ``with``."""
    with pytest.raises(TypeError, match=HOW):
        with open_alternator(SEED):
            pass


async def test_a_client_is_not_awaited():
    """As some clients for asyncio are."""
    with pytest.raises(TypeError, match=HOW):
        await open_alternator(SEED)


async def test_a_block_is_entered_once():
    """Neither while it runs nor afterwards."""
    block = open_alternator(SEED)
    async with block:
        with pytest.raises(RuntimeError, match="has been entered already"):
            await block.__aenter__()
    with pytest.raises(RuntimeError, match="has been entered already"):
        async with block:
            pass


def test_a_client_is_not_made():
    """Of seeds, or of a configuration."""
    for given in (SEED, AlternatorConfig(seeds=[SEED])):
        with pytest.raises(TypeError, match=HOW):
            Client(given)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("close", "leaving its block closes a client"),
        ("exceptions", "from alternator_trio import ConditionalCheckFailedException"),
        ("get_paginator", "ExclusiveStartKey"),
        ("PutItem", r"it is client\.call\('PutItem', \{\.\.\.\}\)"),
        ("put_itm", "^'Client' object has no attribute 'put_itm'$"),
    ],
)
async def test_what_other_clients_have_is_told_from_a_slip(name, hint):
    """A name that boto3 has says what there is here; to any other Python finds the nearest itself."""
    async with open_alternator(SEED) as client:
        with pytest.raises(AttributeError, match=hint) as caught:
            getattr(client, name)
        assert (caught.value.name, caught.value.obj) == (name, client)


@pytest.mark.parametrize("taken", [pickle.dumps, copy.copy, copy.deepcopy])
async def test_a_client_is_neither_pickled_nor_copied(taken):
    """A copy would share, or lack, what makes it a client."""
    async with open_alternator(SEED) as client:
        with pytest.raises(TypeError, match="its AlternatorConfig can be"):
            taken(client)


@pytest.mark.parametrize("table", [None, 3, ["users"]], ids=repr)
async def test_a_table_is_named_by_a_text(table):
    """Before anybody is asked."""
    async with open_alternator(SEED, discovery=False) as client:
        with pytest.raises(EncodingError, match=r"^table: .* is no table's name"):
            await client.partition_key(table)
        with pytest.raises(EncodingError, match=r"^table: .* is no table's name"):
            client.clear_partition_key(table)
        assert client.statistics().operations == 0


async def test_a_value_that_cannot_be_written_is_named_with_its_operation():
    """And with the way to it."""
    async with open_alternator(SEED, discovery=False) as client:
        with pytest.raises(EncodingError) as caught:
            await client.put_item(TableName="users", Item={"tags": {"SS": {"a"}}})
    assert caught.value.operation == "PutItem"
    assert str(caught.value) == (
        "the request cannot be written as JSON: Item.tags.SS: set is no JSON value; write a list (PutItem)"
    )

"""The demo's table, made and dropped."""

from __future__ import annotations

import secrets
from typing import Final

import trio

from alternator_trio import ResourceNotFoundException
from alternator_trio.cli.ledger import SHELF, SLOT
from alternator_trio.client import Client
from alternator_trio.errors import AlternatorError

__all__ = ["drop_table", "fresh_name", "make_table"]

_POLL: Final = 0.5
_ACTIVE_SECONDS: Final = 60.0


def fresh_name() -> str:
    """A table name that nobody has taken."""
    return f"alternator_trio_demo_{secrets.token_hex(4)}"


async def make_table(client: Client, name: str) -> None:
    """Make a table with keys of shelf and slot, and wait until it can be used.

    Raises:
        AlternatorError: It cannot be made.
    """
    await client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": SHELF, "KeyType": "HASH"}, {"AttributeName": SLOT, "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": SHELF, "AttributeType": "S"},
            {"AttributeName": SLOT, "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    with trio.move_on_after(_ACTIVE_SECONDS):  # Alternator's are active at once; other servers take their time
        while (await client.describe_table(TableName=name))["Table"].get("TableStatus") != "ACTIVE":  # noqa: ASYNC110 - servers have no event for it
            await trio.sleep(_POLL)


async def drop_table(client: Client, name: str) -> str | None:
    """Drop the table.

    Returns:
        What became of it, in a sentence; None when it never was.
    """
    try:
        await client.delete_table(TableName=name)
    except ResourceNotFoundException:
        return None
    except AlternatorError as error:
        return f"table {name} was left behind: {error}"
    return f"table {name} was deleted"

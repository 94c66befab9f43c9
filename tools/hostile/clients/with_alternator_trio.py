"""This client."""

from __future__ import annotations

import ssl

import trio
from cell import MOMENT, POLLS, REPEATS, SECONDS, Cell, key_in

import alternator_trio
from alternator_trio import RetryPolicy, open_alternator
from alternator_trio._version import __version__


def drive(cell: Cell) -> None:
    trio.run(_drive, cell)


async def _drive(cell: Cell) -> None:
    options = {
        "retry": RetryPolicy(max_attempts=1),
        "connect_timeout": SECONDS,
        "attempt_timeout": SECONDS,
        "response_compression": ("gzip", "deflate"),
        "discovery": cell.kind == "discovery",
        "node_health": None,
    }
    if cell.kind == "discovery":
        options["active_interval"] = POLLS
    if cell.scheme == "https":
        options["tls"] = ssl.create_default_context(cafile=cell.ca)
    async with open_alternator(cell.url, **options) as client:
        cell.ready(f"alternator-trio {__version__}")
        with cell.first() as got:
            got.append(await _ask(client, cell.kind))
        await trio.sleep(MOMENT)
        cell.calm()
        with cell.second() as got:
            got.append(await _get(client, "next"))
        cell.nodes([node.host for node in client.nodes()])


async def _ask(client: alternator_trio.Client, kind: str) -> object:
    if kind == "discovery":
        for _ in range(REPEATS):
            await _get(client, "hostile")
            await trio.sleep(MOMENT)
    if kind == "pages":
        page = await client.query(
            TableName="hostile", KeyConditionExpression="id = :i", ExpressionAttributeValues={":i": {"S": "hostile"}}
        )
        return f"{len(page['Items'])} items, one page"
    if kind == "batch":
        put = {"PutRequest": {"Item": {"id": {"S": "hostile"}}}}
        return "left: " + str(len((await client.batch_write_item(RequestItems={"hostile": [put]}))["UnprocessedItems"]))
    return await _get(client, "hostile")


async def _get(client: alternator_trio.Client, key: str) -> object:
    return key_in(await client.get_item(TableName="hostile", Key={"id": {"S": key}}))

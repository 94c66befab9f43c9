"""aiobotocore."""

from __future__ import annotations

import asyncio

import aiobotocore
import aiobotocore.config
import aiobotocore.session
import aiohttp
from cell import MOMENT, SECONDS, Cell, key_in


def drive(cell: Cell) -> None:
    asyncio.run(_drive(cell))


async def _drive(cell: Cell) -> None:
    config = aiobotocore.config.AioConfig(
        retries={"total_max_attempts": 1}, connect_timeout=SECONDS, read_timeout=SECONDS
    )
    async with aiobotocore.session.get_session().create_client(
        "dynamodb", endpoint_url=cell.url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b",  # noqa: S106  # of nobody
        verify=cell.ca, config=config,
    ) as client:  # fmt: skip
        cell.ready(f"aiobotocore {aiobotocore.__version__}", f"aiohttp {aiohttp.__version__}")
        with cell.first() as got:
            got.append(await _ask(client, cell.kind))
        await asyncio.sleep(MOMENT)
        await asyncio.to_thread(cell.calm)
        with cell.second() as got:
            got.append(await _get(client, "next"))


async def _ask(client: object, kind: str) -> object:
    if kind == "pages":
        pages = client.get_paginator("query").paginate(
            TableName="hostile", KeyConditionExpression="id = :i", ExpressionAttributeValues={":i": {"S": "hostile"}}
        )
        return f"{sum([len(page['Items']) async for page in pages])} items, all pages"
    if kind == "batch":
        put = {"PutRequest": {"Item": {"id": {"S": "hostile"}}}}
        return "left: " + str(len((await client.batch_write_item(RequestItems={"hostile": [put]}))["UnprocessedItems"]))
    return await _get(client, "hostile")


async def _get(client: object, key: str) -> object:
    return key_in(await client.get_item(TableName="hostile", Key={"id": {"S": key}}))

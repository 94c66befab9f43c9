"""aiodynamo over aiohttp."""

from __future__ import annotations

import asyncio
import importlib.metadata
import ssl

import aiohttp
from aiodynamo.client import Client
from aiodynamo.credentials import Key, StaticCredentials
from aiodynamo.errors import ItemNotFound
from aiodynamo.expressions import HashKey
from aiodynamo.http.aiohttp import AIOHTTP
from aiodynamo.models import BatchWriteRequest, StaticDelayRetry
from cell import MOMENT, NO_ITEM, SECONDS, Cell
from yarl import URL


def drive(cell: Cell) -> None:
    asyncio.run(_drive(cell))


async def _drive(cell: Cell) -> None:
    trust = ssl.create_default_context(cafile=cell.ca) if cell.scheme == "https" else True
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust), timeout=aiohttp.ClientTimeout(total=SECONDS)
    ) as session:
        client = Client(
            AIOHTTP(session),
            StaticCredentials(Key("a", "b")),
            "us-east-1",
            URL(cell.url),
            throttle_config=StaticDelayRetry(time_limit_secs=0, delay=0),
        )
        cell.ready(f"aiodynamo {importlib.metadata.version('aiodynamo')}", f"aiohttp {aiohttp.__version__}")
        with cell.first() as got:
            got.append(await _ask(client, cell.kind))
        await asyncio.sleep(MOMENT)
        await asyncio.to_thread(cell.calm)
        with cell.second() as got:
            got.append(await _get(client, "next"))


async def _ask(client: Client, kind: str) -> object:
    if kind == "pages":
        items = [item async for item in client.query("hostile", HashKey("id", "hostile"))]
        return f"{len(items)} items, all pages"
    if kind == "batch":
        left = await client.batch_write({"hostile": BatchWriteRequest(items_to_put=[{"id": "hostile"}])})
        return f"left: {len(left)}"
    return await _get(client, "hostile")


async def _get(client: Client, key: str) -> object:
    try:
        return (await client.get_item("hostile", {"id": key}))["id"]
    except ItemNotFound:
        return NO_ITEM

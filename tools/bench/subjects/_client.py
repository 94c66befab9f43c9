"""This client, opened with options of a subject's own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from alternator_trio import Credentials, open_alternator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from _worker import Call, Cell

METHODS = {"GetItem": "get_item", "PutItem": "put_item"}


@asynccontextmanager
async def open_calls(cell: Cell, credentials: Credentials | None = None) -> AsyncIterator[list[Call]]:
    """Share one client between all tasks in flight."""
    async with open_alternator(cell.url, credentials=credentials) as client:
        method = getattr(client, METHODS[cell.operation])
        yield [partial(method, **cell.request)] * cell.in_flight

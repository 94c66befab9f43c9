"""This client as an application opens it: one seed, every option at its default, discovery included."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from _on_trio import main

from alternator_trio import open_alternator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from _worker import Call, Cell

METHODS = {"GetItem": "get_item", "PutItem": "put_item"}


@asynccontextmanager
async def open_calls(cell: Cell) -> AsyncIterator[list[Call]]:
    """Share one client between all tasks in flight."""
    async with open_alternator(cell.url) as client:
        method = getattr(client, METHODS[cell.operation])
        yield [partial(method, **cell.request)] * cell.in_flight


if __name__ == "__main__":
    main(open_calls, distributions=("alternator-trio", "httptools", "orjson"))

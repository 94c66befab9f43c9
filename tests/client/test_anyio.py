"""AnyIO applications on its Trio backend: the client is used as it is, under AnyIO's tasks, scopes and streams."""

from __future__ import annotations

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from alternator_trio import open_alternator
from alternator_trio.testing import LocalCluster
from tests.client.conftest import create_table

# The plain functions below have a run of their own: `anyio.run`.


def key(number: int) -> dict[str, dict[str, str]]:
    return {"id": {"S": str(number)}}


def test_an_application_of_anyio():
    """Tasks of AnyIO's groups write, and one of them reads what they wrote."""

    async def main() -> list[object]:
        async with LocalCluster(3) as cluster, open_alternator(*cluster.seeds) as client:
            await create_table(client)

            async def write(number: int) -> None:
                await client.put_item(TableName="users", Item=key(number))

            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(write, number)
            return (await client.scan(TableName="users"))["Items"]

    found = anyio.run(main, backend="trio")
    assert sorted(int(item["id"]["S"]) for item in found) == list(range(20))


def test_anyios_scopes_are_the_operations_deadlines():
    """One that is over ends the operation, leaves no connection in use, and the client goes on."""

    async def main() -> tuple[bool, int]:
        async with LocalCluster(1) as cluster, open_alternator(*cluster.seeds) as client:
            await client.refresh()
            cluster.nodes[0].pause()
            with anyio.move_on_after(0.05) as scope:
                await client.list_tables()
            leased = client.statistics().connections_leased
            cluster.nodes[0].resume()
            await client.list_tables()
            return scope.cancelled_caught, leased

    assert anyio.run(main, backend="trio") == (True, 0)


def test_a_worker_thread_of_anyio_calls_into_the_run():
    """As Trio's own threads do."""

    async def main() -> list[str]:
        async with LocalCluster(1) as cluster, open_alternator(*cluster.seeds) as client:

            def work() -> list[str]:
                return anyio.from_thread.run(client.list_tables)["TableNames"]

            return await anyio.to_thread.run_sync(work)

    assert anyio.run(main, backend="trio") == []


def test_on_asyncio_the_way_out_is_named():
    """AnyIO's default backend is no Trio run."""

    async def main() -> None:
        async with open_alternator("http://127.0.0.1:1"):
            pass

    with pytest.raises(RuntimeError, match=r"anyio\.run\(main, backend='trio'\)"):
        anyio.run(main, backend="asyncio")

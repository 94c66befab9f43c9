"""Waiting for what a client does in the background."""

from __future__ import annotations

import trio

from alternator_trio import Client


async def all_active(client: Client) -> None:
    """Refresh, and wait until every node that has been listed has been probed and is active."""
    await client.refresh()
    with trio.fail_after(2):
        while any(status.state != "ACTIVE" for status in client.node_health().values()):
            await trio.sleep(0.001)

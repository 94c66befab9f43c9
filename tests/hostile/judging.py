"""One hostile request and what must be true of it afterwards, over memory streams and real sockets alike."""

from __future__ import annotations

from trio.testing import wait_all_tasks_blocked

from alternator_trio import AlternatorError
from alternator_trio import errors as errors_module
from alternator_trio.client import Client
from tests.hostile.rows import Row
from tests.hostile.server import HostileServer

__all__ = ["ask", "assert_next_is_right", "assert_outcome"]

_EARLY = "?"


async def ask(client: Client, row: Row) -> object:
    """The item, page, or what is left of a batch; or the error."""
    try:
        match row.kind:
            case "pages":
                return await client.query(TableName="hostile", KeyConditionExpression="id = :id",
                                          ExpressionAttributeValues={":id": {"S": "a"}})  # fmt: skip
            case "batch":
                put = {"PutRequest": {"Item": {"id": {"S": "hostile"}}}}
                return await client.batch_write_item(RequestItems={"hostile": [put]})
            case _:
                return await client.get_item(TableName="hostile", Key={"id": {"S": "hostile"}})
    except AlternatorError as error:
        return error


def assert_outcome(row: Row, outcome: object, endpoint: str) -> None:
    """An error of the promised class that names the node, or the answer."""
    if row.ours == _EARLY and not isinstance(outcome, AlternatorError):
        return
    if row.ours == _EARLY:
        assert isinstance(outcome, errors_module.ProtocolError)
    elif row.ours:
        assert type(outcome).__name__ == row.ours, outcome
        assert row.says in str(outcome)
        assert outcome.node == endpoint
        assert endpoint in str(outcome)
        assert len(str(outcome)) < 10_000
    elif row.kind in {"data", "tls", "discovery"}:
        assert not isinstance(outcome, AlternatorError), outcome
        assert outcome["Item"] == {"id": {"S": "hostile"}}
    else:
        assert not isinstance(outcome, AlternatorError), outcome


async def assert_next_is_right(client: Client, row: Row, server: HostileServer) -> None:
    """Once the node is calm, each request gets its own answer, over a connection that is not in doubt."""
    await wait_all_tasks_blocked(0.01)  # for a node that answers first and reads the request afterwards
    await server.played()
    server.calm = True
    before = {seen.connection for seen in server.requests}
    for key in ("one", "two"):
        answer = await client.get_item(TableName="calm", Key={"id": {"S": key}})
        assert answer["Item"] == {"id": {"S": key}}
    if row.ours == "ProtocolError" or (not row.reusable and row.kind != "discovery"):
        assert server.requests[-1].connection not in before

"""What the scenarios of partition keys share: tables as scripted nodes describe them, and lookups as they saw them."""

from __future__ import annotations

import collections
import json

import trio

from tests.scripted_nodes import answer_json, respond_by_default

ATTEMPTS = 4
COOLDOWN = 300.0


def refusal(code, status=400):
    return answer_json({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": f"{code}, really"}, status)


def describing(name):
    return answer_json({"Table": {"KeySchema": [{"AttributeName": name, "KeyType": "HASH"}]}})


NOT_FOUND = refusal("ResourceNotFoundException")


def answer_lookups(nodes, *answers):
    """The next DescribeTables, at whichever nodes, are answered so, in this order; those after them by default."""
    left = list(answers)

    def respond(request):
        return left.pop(0) if left and request.operation == "DescribeTable" else respond_by_default(request)

    nodes.respond = respond


def lookups(nodes, table=None):
    """The DescribeTables that reached the wire, of one table or of all."""
    requests = nodes.requests_of("DescribeTable")
    return [request for request in requests if table in {None, json.loads(request.body)["TableName"]}]


def times(nodes, table=None):
    return [request.at for request in lookups(nodes, table)]


async def put(client, key="ada", table="users"):
    """A write that affinity is for."""
    return await client.put_item(TableName=table, Item={"id": {"S": key}}, ReturnValues="ALL_OLD")


class LookupTasks(trio.abc.Instrument):
    """Counts the resolver's lookup tasks by table: how many ever, how many now, how many at a time at most."""

    def __init__(self):
        self.begun = collections.Counter()
        self.running = collections.Counter()
        self.most = collections.Counter()

    def task_spawned(self, task):
        table = self._table(task)
        if table is not None:
            self.begun[table] += 1
            self.running[table] += 1
            self.most[table] = max(self.most[table], self.running[table])

    def task_exited(self, task):
        table = self._table(task)
        if table is not None:
            self.running[table] -= 1

    def _table(self, task):
        before, found, table = task.name.partition("KeyResolver looks up ")
        return table if found and not before else None

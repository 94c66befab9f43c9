"""What is asked of boto3, and of the client of ScyllaDB that is built on it."""

from __future__ import annotations

import time

from cell import MOMENT, REPEATS, key_in


def ask(client: object, kind: str, make_resource: object) -> object:
    if kind == "discovery":
        for _ in range(REPEATS):
            get(client, "hostile")
            time.sleep(MOMENT)
    if kind == "pages":
        pages = client.get_paginator("query").paginate(
            TableName="hostile", KeyConditionExpression="id = :i", ExpressionAttributeValues={":i": {"S": "hostile"}}
        )
        return f"{sum(len(page['Items']) for page in pages)} items, all pages"
    if kind == "batch":
        with make_resource().Table("hostile").batch_writer() as batch:
            batch.put_item(Item={"id": "hostile"})
        return "all written"
    return get(client, "hostile")


def get(client: object, key: str) -> object:
    return key_in(client.get_item(TableName="hostile", Key={"id": {"S": key}}))

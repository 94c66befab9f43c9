"""The table that most tests use, an item's key in it, and a write that must not be repeated."""

from __future__ import annotations

__all__ = ["COUNT_UP", "KEY", "USERS"]

USERS = {
    "TableName": "users",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
KEY = {"id": {"S": "ada"}}
COUNT_UP = {
    "TableName": "users",
    "Key": KEY,
    "UpdateExpression": "ADD n :one",
    "ExpressionAttributeValues": {":one": {"N": "1"}},
}

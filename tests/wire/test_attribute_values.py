"""What is said about attribute values that a server refused."""

from __future__ import annotations

import enum
import uuid

import pytest

from alternator_trio._wire.attribute_values import misshapen_value
from alternator_trio._wire.json_body import encode_object

ITEM = {
    "s": {"S": "ada"},
    "n": {"N": "1815"},
    "b": {"B": b"\xff"},
    "ready": {"B": "YWJj"},
    "ss": {"SS": ["a"]},
    "ns": {"NS": ("1",)},
    "bs": {"BS": [b"1", bytearray(b"2")]},
    "bool": {"BOOL": False},
    "null": {"NULL": True},
    "vector": {"FLOAT32VECTOR": [0.5]},
    "l": {"L": [{"S": "a"}, {"M": {"S": {"N": "1"}}}]},
    "m": {"M": {"Item": {"L": []}, "Keys": {"M": {}}}},
}


class Colour(enum.Enum):
    RED = "red"


def of(value):
    return misshapen_value({"TableName": "users", "Item": {"id": {"S": "ada"}, "v": value}})


@pytest.mark.parametrize(
    "parameters",
    [
        {"TableName": "users", "Item": ITEM},
        {"Key": ITEM, "ExpressionAttributeValues": ITEM, "ExclusiveStartKey": ITEM, "Limit": 5},
        {"RequestItems": {"Item": {"Keys": [ITEM]}, "Keys": {"Keys": [ITEM], "ConsistentRead": True}}},
        {"RequestItems": {"Item": [{"PutRequest": {"Item": ITEM}}], "Keys": [{"DeleteRequest": {"Key": ITEM}}]}},
        {"Item": {"id": {"S": uuid.UUID(int=7)}, "colour": {"S": Colour.RED}}},
        {"ExpressionAttributeNames": {"#Item": "Item"}, "KeySchema": [{"AttributeName": "Key", "KeyType": "HASH"}]},
        {"Expected": {"Key": {"Exists": False}}, "AttributeUpdates": {"Item": {"Action": "PUT", "Value": {"S": "a"}}}},
        {"KeyConditions": {"Key": {"AttributeValueList": [{"S": "a"}], "ComparisonOperator": "EQ"}}},
        {"ScanFilter": {"a": {"AttributeValueList": [{"M": {"Item": {"S": "a"}}}], "ComparisonOperator": "EQ"}}},
    ],
)
def test_values_that_are_well(parameters):
    """Of every type and in every place; tables and attributes may have the parameters' names."""
    assert misshapen_value(parameters) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"N": 5}, "Item.v.N is a value of type int; numbers are text, as in {'N': '1.5'}"),
        ({"N": 1.5}, "Item.v.N is a value of type float; numbers are text, as in {'N': '1.5'}"),
        ({"N": True}, "Item.v.N is a value of type bool; numbers are text, as in {'N': '1.5'}"),
        ({"NS": ["1", 2]}, "Item.v.NS[1] is a value of type int; numbers are text, as in {'NS': ['1.5']}"),
        ({"NS": "1"}, "Item.v.NS is a value of type str; a set is a list on the wire"),
        ({"S": 5}, "Item.v.S is a value of type int; S is for text, numbers are {'N': '1.5'}"),
        ({"BOOL": "true"}, "Item.v.BOOL is a value of type str; BOOL is True or False"),
        ({"B": 5}, "Item.v.B is a value of type int; B is for bytes"),
        ({"L": "ab"}, "Item.v.L is a value of type str; L holds a list of attribute values"),
        ({"M": []}, "Item.v.M is a value of type list; M holds a dict from names to attribute values"),
        ({"L": [{"M": {"a": 5}}]}, "Item.v.L[0].M.a is a bare int; write {'N': '1815'}"),
        (2013, "Item.v is a bare int; write {'N': '1815'}"),
        ("Rush", "Item.v is a bare str; write {'S': 'ada'}"),
        (True, "Item.v is a bare bool; write {'BOOL': True}"),
        (None, "Item.v is a bare NoneType; write {'NULL': True}"),
        (b"x", "Item.v is a bare bytes; write {'B': b'...'}"),
    ],
)
def test_a_value_that_is_not(value, expected):
    """Its place, its type, and what to write."""
    assert of(value) == expected


@pytest.mark.parametrize("value", [{}, {"name": "Rush"}, {"S": "a", "N": "1"}])
def test_a_dict_without_a_type(value):
    """Or with two."""
    expected = "Item.v is a dict without one of DynamoDB's types; an attribute value has one type, as in "
    assert of(value).startswith(expected)


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"Key": {"id": "ada"}}, "Key.id"),
        ({"ExclusiveStartKey": {"id": "ada"}}, "ExclusiveStartKey.id"),
        ({"ExpressionAttributeValues": {":v": "ada"}}, "ExpressionAttributeValues.:v"),
        ({"RequestItems": {"Keys": {"Keys": [{"id": "ada"}]}}}, "RequestItems.Keys.Keys[0].id"),
        ({"RequestItems": {"t": [{"PutRequest": {"Item": {"id": "a"}}}]}}, "RequestItems.t[0].PutRequest.Item.id"),
        ({"TransactItems": [{"Put": {"Item": {"id": "ada"}}}]}, "TransactItems[0].Put.Item.id"),
    ],
)
def test_the_place_is_named(parameters, place):
    """As it is written in Python."""
    assert misshapen_value(parameters) == f"{place} is a bare str; write {{'S': 'ada'}}"


def test_the_deepest_value_that_can_be_sent():
    """It is found without exhausting the stack."""
    value = {"N": 5}
    for _ in range(120):
        value = {"L": [value]}
    encode_object({"Item": {"v": value}})
    assert of(value).endswith(".N is a value of type int; numbers are text, as in {'N': '1.5'}")

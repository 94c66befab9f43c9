"""Bodies: JSON out and in, with DynamoDB's binary values as bytes; what cannot be written is refused with its place."""

from __future__ import annotations

import base64
import collections
import contextlib
import datetime as dt
import decimal
import json
import math
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._wire.json_body import decode_object, encode_object
from alternator_trio.errors import EncodingError

# Out.


@pytest.mark.parametrize("value", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_binary_values_are_written_as_base64(value):
    """Bytes and their kin, wherever they stand: in B, in BS, in a blob."""
    body = encode_object({"Key": {"id": {"B": value}}, "Set": {"BS": [value, value]}, "Blob": value})
    assert json.loads(body) == {"Key": {"id": {"B": "YWJj"}}, "Set": {"BS": ["YWJj", "YWJj"]}, "Blob": "YWJj"}


def test_any_mapping_is_an_object():
    """Also one that is no dict, at the top and below."""
    inner = collections.ChainMap({"S": "x"})
    assert json.loads(encode_object(types.MappingProxyType({"Item": inner}))) == {"Item": {"S": "x"}}


def test_text_is_written_as_it_is():
    """UTF-8, unescaped and not normalised; a composed and a decomposed letter stay two."""
    assert encode_object({"S": "é e\u0301 \U0001f600"}) == '{"S":"é e\u0301 \U0001f600"}'.encode()


class Binary:
    """As boto3 wraps the bytes that it reads."""


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"Item": {"n": {"N": decimal.Decimal(1)}}}, "Item.n.N: Decimal is no JSON value; numbers are text"),
        ({"Item": {"b": {"B": Binary()}}}, r"Item.b.B: Binary is no JSON value; write bytes\(\.\.\.\) of it"),
        ({"Item": {"s": {"SS": {"a"}}}}, "Item.s.SS: set is no JSON value; write a list"),
        ({"Item": {"l": {"L": [{"S": "x"}, {"S": object()}]}}}, r"Item.l.L\[1\].S: .*object"),
        ({"When": dt.datetime(2026, 1, 1)}, "When: datetime is no JSON value; write its isoformat"),  # noqa: DTZ001  # any will do
        ({"Item": {("a", "b"): 1}}, r"key \('a', 'b'\) of Item"),
        ({"Item": {1: {"S": "x"}}}, "key 1 of Item is no string"),
        ({"S": "\ud800"}, "S: .*surrogates"),
        ({"N": 2**64}, "N: .*64-bit"),
    ],
)
def test_what_json_does_not_have_is_refused_with_its_place(parameters, place):
    """Before anything is sent, naming the way to the value."""
    with pytest.raises(EncodingError, match=place):
        encode_object(parameters)


def test_a_key_that_is_no_text_is_refused():
    """JSON would turn 1 into "1", and the item would have another key than its writer thinks."""
    with pytest.raises(EncodingError, match="str"):
        encode_object({"Item": {1: {"S": "x"}}})


@pytest.mark.parametrize("value", [b"x", bytearray(b"x"), memoryview(b"x")])
@pytest.mark.parametrize(
    ("item", "where"),
    [
        (lambda value: {"a": {"S": value}}, "Item.a.S"),
        (lambda value: {"a": {"N": value}}, "Item.a.N"),
        (lambda value: {"a": {"SS": ["y", value]}}, r"Item.a.SS\[1\]"),
        (lambda value: {"a": {"L": [{"M": {"b": {"S": value}}}]}}, r"Item.a.L\[0\].M.b.S"),
        (lambda value: {"ok": {"B": b"ok"}, "a": {"S": value}}, "Item.a.S"),
    ],
)
def test_binary_data_under_a_type_of_text_are_refused(item, where, value):
    """They would be stored as the text of their base64, and read back as that."""
    with pytest.raises(EncodingError, match=f"{where}: .* under '(S|N|SS)'; binary values stand under 'B'"):
        encode_object({"TableName": "users", "Item": item(value)})


def test_binary_data_are_written_beside_attributes_called_like_types():
    """An attribute may be called S."""
    item = {"S": {"B": b"abc"}, "SS": {"BS": [b"a"]}, "m": {"M": {"N": {"B": b""}}}}
    assert json.loads(encode_object({"Item": item}))["Item"] == {
        "S": {"B": "YWJj"},
        "SS": {"BS": ["YQ=="]},
        "m": {"M": {"N": {"B": ""}}},
    }


def test_what_is_nested_too_deeply_is_refused():
    """As well as what contains itself."""
    deep = {}
    for _ in range(400):
        deep = {"M": deep}
    itself = {}
    itself["M"] = itself
    for value in (deep, itself):
        with pytest.raises(EncodingError, match="nested deeper"):
            encode_object({"Item": value})


# In.


def test_binary_attribute_values_come_back_as_bytes():
    """B and BS, at any depth of documents, lists and answers."""
    body = {
        "Items": [{"id": {"B": "YWJj"}, "doc": {"M": {"l": {"L": [{"BS": ["YQ==", ""]}]}}}}],
        "LastEvaluatedKey": {"id": {"B": ""}},
    }
    assert decode_object(json.dumps(body).encode()) == {
        "Items": [{"id": {"B": b"abc"}, "doc": {"M": {"l": {"L": [{"BS": [b"a", b""]}]}}}}],
        "LastEvaluatedKey": {"id": {"B": b""}},
    }


@pytest.mark.parametrize(
    "body",
    [
        {"Item": {"B": {"S": "YWJj"}}},
        {"Item": {"BS": {"L": [{"S": "YWJj"}]}}},
        {"Item": {"m": {"M": {"B": {"BOOL": True}}}}},
        {"Item": {"s": {"S": '"B"'}}},
        {"AttributeDefinitions": [{"AttributeName": "B", "AttributeType": "B"}]},
        {"Item": {"b": {"B": None}}},
        {"Item": {"b": {"BS": "YWJj"}}},
        {"Item": {"b": {"BS": [7]}}},
        {"x": {"B": "YWJj", "S": "other"}},
    ],
)
def test_what_only_looks_like_a_binary_value_is_left_alone(body):
    """Attributes called B or BS, types called B, and shapes that are no attribute value."""
    assert decode_object(json.dumps(body).encode()) == body


def test_an_item_with_attributes_called_b_and_bs_has_its_values_decoded():
    """The name is not the type: B's value of type B is still bytes."""
    body = b'{"Item":{"B":{"B":"YWJj"}}}'
    assert decode_object(body) == {"Item": {"B": {"B": b"abc"}}}


@pytest.mark.parametrize("text", ["***", "YWJ", "YWJj\n", "YW Jj", "é"])
def test_base64_that_is_none_is_refused(text):
    """A value is not guessed."""
    with pytest.raises(ValueError, match=r"base64|ASCII"):
        decode_object(json.dumps({"Item": {"b": {"B": text}}}, ensure_ascii=False).encode())


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7", b'"x"', b"{", b'{"a":1}}', b"{'a':1}", b'{"a":NaN}'])
def test_what_is_no_object_is_refused(body):
    """ValueError, whatever else it is."""
    with pytest.raises(ValueError):  # noqa: PT011  # the messages are partly the JSON parser's
        decode_object(body)


def test_an_answer_may_be_nested_deeper_than_python_recurses():
    """The walk over it has a stack of its own."""
    depth = 900
    body = b'{"M":' * depth + b'{"B":"YWJj"}' + b"}" * depth
    value = decode_object(body)
    for _ in range(depth):
        value = value["M"]
    assert value == {"B": b"abc"}


def test_numbers_of_the_wire_stay_text():
    """DynamoDB's numbers are strings, of 38 digits at times: nothing touches them."""
    body = {"Item": {"n": {"N": "3.1400000000000000000000000000000000001"}}}
    assert decode_object(json.dumps(body).encode()) == body


ATTRIBUTE = st.recursive(
    st.fixed_dictionaries({"S": st.text(max_size=5)})
    | st.fixed_dictionaries({"B": st.binary(max_size=6)})
    | st.fixed_dictionaries({"BS": st.lists(st.binary(max_size=4), min_size=1, max_size=3)})
    | st.fixed_dictionaries({"BOOL": st.booleans()})
    | st.just({"NULL": True}),
    lambda inner: (
        st.fixed_dictionaries({"L": st.lists(inner, max_size=3)})
        | st.fixed_dictionaries(
            {"M": st.dictionaries(st.sampled_from(["B", "BS", "M", "a"]) | st.text(max_size=3), inner)}
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["B", "BS", "id"]) | st.text(max_size=4), ATTRIBUTE, max_size=4))
def test_an_item_comes_back_as_it_was_sent(item):
    """Every item survives the way out and in, whatever its attributes are called."""
    assert decode_object(encode_object({"Item": item})) == {"Item": item}


@given(st.dictionaries(st.text(max_size=4), ATTRIBUTE, max_size=3))
def test_the_body_is_what_the_standard_library_writes(item):
    """The same document, with base64 where there were bytes."""
    assert json.loads(encode_object({"Item": item})) == {"Item": as_text(item)}


def as_text(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: as_text(member) for name, member in value.items()}
    return [as_text(member) for member in value] if isinstance(value, list) else value


@given(st.binary(max_size=60))
def test_whatever_the_bytes_are_it_is_an_object_or_a_value_error(body):
    """Nothing else is raised."""
    with contextlib.suppress(ValueError):
        assert isinstance(decode_object(body), dict)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_is_refused(number):
    """It must not become null on its way."""
    with pytest.raises(EncodingError, match="Limit"):
        encode_object({"Limit": number})

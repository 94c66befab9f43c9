"""What is wrong with the attribute values of a request, for the error of a server that refused it.

Rules: it is looked for only then, so that a request that is right pays nothing; what it says names the place and the
type of a value, never the value itself. Values that become text on the way, such as enums and UUIDs, are left alone,
and so are the legacy parameters, which expressions have replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias, cast

__all__ = ["misshapen_value"]

_Members: TypeAlias = Mapping[str, object]

_OF_ATTRIBUTES: Final = frozenset({"Item", "Key", "ExpressionAttributeValues", "ExclusiveStartKey"})
_LEGACY: Final = frozenset({"AttributeUpdates", "Expected", "KeyConditions", "QueryFilter", "ScanFilter"})
_BINARY: Final = (bytes, bytearray, memoryview)
_PLAIN: Final = (str, int, float, type(None), Mapping, list, tuple, *_BINARY)
_BARE: Final[Mapping[type, str]] = {  # what stands for a Python value on the wire
    str: "{'S': 'ada'}",
    bool: "{'BOOL': True}",
    int: "{'N': '1815'}",
    float: "{'N': '1.5'}",
    bytes: "{'B': b'...'}",
    bytearray: "{'B': b'...'}",
    list: "{'L': [...]}",
    tuple: "{'L': [...]}",
    type(None): "{'NULL': True}",
}
_NUMBER: Final = "numbers are text, as in {'N': '1.5'}"
_TEXT: Final = "S is for text, numbers are {'N': '1.5'}"
_ATTRIBUTE: Final = "an attribute value has one type, as in {'S': 'ada'}; a map is {'M': {...}}"


def misshapen_value(parameters: Mapping[str, object]) -> str | None:
    """Where the first attribute value stands that is none, and what to write instead; None when all are well.

    Example:
        >>> misshapen_value({"TableName": "films", "Item": {"title": {"S": "Rush"}, "year": {"N": 2013}}})
        "Item.year.N is a value of type int; numbers are text, as in {'N': '1.5'}"
    """
    return next(_mistakes_in(parameters, ""), None)


def _mistakes_in(members: _Members, path: str) -> Iterator[str]:
    """The mistakes below a part of the parameters that is no attribute value itself."""
    for name, member in members.items():
        place = f"{path}{name}"
        if name in _OF_ATTRIBUTES and isinstance(member, Mapping):
            yield from _of_map(cast("_Members", member), place)
        elif name == "Keys" and isinstance(member, (list, tuple)):
            for index, key in enumerate(cast("list[object]", member)):
                if isinstance(key, Mapping):
                    yield from _of_map(cast("_Members", key), f"{place}[{index}]")
        elif name == "RequestItems" and isinstance(member, Mapping):
            for table, asked in cast("_Members", member).items():  # a table may be called Item or Keys
                yield from _mistakes_below(asked, f"{place}.{table}")
        elif name not in _LEGACY:  # in these an attribute may be called so
            yield from _mistakes_below(member, place)


def _mistakes_below(value: object, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _mistakes_in(cast("_Members", value), f"{path}.")
    elif isinstance(value, (list, tuple)):
        for index, member in enumerate(cast("list[object]", value)):
            yield from _mistakes_below(member, f"{path}[{index}]")


def _of_map(attributes: _Members, path: str) -> Iterator[str]:
    for name, value in attributes.items():
        yield from _of_value(value, f"{path}.{name}")


def _of_value(value: object, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        written = _BARE.get(type(value))
        yield f"{path} is a bare {_kind(value)}; {_ATTRIBUTE if written is None else f'write {written}'}"
        return
    typed = cast("_Members", value)
    kind, held = next(iter(typed.items())) if len(typed) == 1 else ("", None)
    check = _TYPES.get(kind)
    if check is None:
        yield f"{path} is a {_kind(typed)} without one of DynamoDB's types; {_ATTRIBUTE}"
        return
    yield from check(held, f"{path}.{kind}")


def _of_list(held: object, path: str) -> Iterator[str]:
    if not isinstance(held, (list, tuple)):
        yield f"{path} is a value of type {_kind(held)}; L holds a list of attribute values"
        return
    for index, member in enumerate(cast("list[object]", held)):
        yield from _of_value(member, f"{path}[{index}]")


def _of_members(held: object, path: str) -> Iterator[str]:
    if not isinstance(held, Mapping):
        yield f"{path} is a value of type {_kind(held)}; M holds a dict from names to attribute values"
        return
    yield from _of_map(cast("_Members", held), path)


_Check: TypeAlias = Callable[[object, str], Iterator[str]]


def _one(types: tuple[type, ...], remedy: str) -> _Check:
    def check(held: object, path: str) -> Iterator[str]:
        if not isinstance(held, types) and isinstance(held, _PLAIN):
            yield f"{path} is a value of type {_kind(cast('object', held))}; {remedy}"

    return check


def _set_of(types: tuple[type, ...], remedy: str) -> _Check:
    member = _one(types, remedy)

    def check(held: object, path: str) -> Iterator[str]:
        if not isinstance(held, (list, tuple)):
            yield f"{path} is a value of type {_kind(held)}; a set is a list on the wire"
            return
        for index, each in enumerate(cast("list[object]", held)):
            yield from member(each, f"{path}[{index}]")

    return check


_TYPES: Final[Mapping[str, _Check]] = {
    "S": _one((str,), _TEXT),
    "N": _one((str,), _NUMBER),
    "B": _one((*_BINARY, str), "B is for bytes"),
    "SS": _set_of((str,), "SS is for text, numbers are in {'NS': ['1.5']}"),
    "NS": _set_of((str,), "numbers are text, as in {'NS': ['1.5']}"),
    "BS": _set_of((*_BINARY, str), "BS is for bytes"),
    "BOOL": _one((bool,), "BOOL is True or False"),
    "NULL": _one((bool,), "NULL is True"),
    "L": _of_list,
    "M": _of_members,
    "FLOAT32VECTOR": lambda _held, _path: iter(()),  # numbers for once; Alternator does not have it
}


def _kind(value: object) -> str:
    return type(value).__name__

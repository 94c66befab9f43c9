"""The few condition and update expressions that the register engine knows.

Rules: conditions are comparisons joined by AND; updates are SET, REMOVE and ADD of whole attributes. Whatever else
comes is a `ValidationError`, never a guess. It shares no code with the client.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, cast

import orjson

__all__ = ["Expressions", "ValidationError"]

_CALL: Final = re.compile(r"(attribute_exists|attribute_not_exists)\s*\(\s*(#?\w+)\s*\)")
_COMPARISON: Final = re.compile(r"(#?\w+)\s*(=|<>|<=|>=|<|>)\s*(:\w+)")
_CLAUSE: Final = re.compile(r"\b(SET|REMOVE|ADD|DELETE)\b")
_SUM: Final = re.compile(r"(#?\w+)\s*([+-])\s*(:\w+)")
_DEFAULT: Final = re.compile(r"if_not_exists\s*\(\s*(#?\w+)\s*,\s*(:\w+)\s*\)")

Item = Mapping[str, str]


class ValidationError(Exception):
    """The request is wrong, or beyond this engine."""


class Expressions:
    """The expressions of one request.

    Args:
        request: The request.
    """

    def __init__(self, request: Mapping[str, object]) -> None:
        self._names = cast("Mapping[str, str]", request.get("ExpressionAttributeNames") or {})
        self._values = cast("Mapping[str, object]", request.get("ExpressionAttributeValues") or {})

    def holds(self, condition: str, item: Item | None) -> bool:
        """Whether a condition holds for an item, or for none."""
        return all(self._holds(term.strip(), item or {}) for term in re.split(r"\bAND\b", condition))

    def apply(self, update: str, item: Item | None) -> tuple[dict[str, str], list[str]]:
        """The attributes that an update writes and those that it removes."""
        parts = _CLAUSE.split(update)
        if parts[0].strip():
            raise ValidationError(f"not an update expression: {update!r}")
        written: dict[str, str] = {}
        removed: list[str] = []
        for clause, text in zip(parts[1::2], parts[2::2], strict=True):
            for action in re.split(r",(?![^(]*\))", text):
                self._act(clause, action.strip(), item or {}, written, removed)
        return written, removed

    def reads_first(self, update: str) -> bool:
        """Whether an update needs the item as it is."""
        return bool(re.search(r"\bADD\b|\bDELETE\b|if_not_exists", update) or _SUM.search(update))

    def _holds(self, term: str, item: Item) -> bool:
        if call := _CALL.fullmatch(term):
            return (self._name(call[2]) in item) == (call[1] == "attribute_exists")
        comparison = _COMPARISON.fullmatch(term)
        if comparison is None:
            raise ValidationError(f"not a condition that this engine knows: {term!r}")
        have, want = item.get(self._name(comparison[1])), self._value(comparison[3])
        match comparison[2]:
            case "=":
                return have == want
            case "<>":
                return have != want
            case operator:
                return have is not None and _is_ordered(_number(have), operator, _number(want))

    def _act(self, clause: str, action: str, item: Item, written: dict[str, str], removed: list[str]) -> None:
        match clause:
            case "REMOVE":
                removed.append(self._name(action))
            case "ADD":
                name, _, value = action.partition(" ")
                self._add(self._name(name), self._value(value.strip()), 1, self._name(name), item, written)
            case "SET":
                name, _, value = action.partition("=")
                self._set(self._name(name.strip()), value.strip(), item, written)
            case _:
                raise ValidationError(f"{clause} is beyond this engine")

    def _set(self, name: str, value: str, item: Item, written: dict[str, str]) -> None:
        if total := _SUM.fullmatch(value):
            self._add(self._name(total[1]), self._value(total[3]), -1 if total[2] == "-" else 1, name, item, written)
        elif default := _DEFAULT.fullmatch(value):
            written[name] = item.get(self._name(default[1])) or self._value(default[2])
        else:
            written[name] = self._value(value)

    @staticmethod
    def _add(source: str, value: str, sign: int, name: str, item: Item, written: dict[str, str]) -> None:
        before = item.get(source)
        total = (Decimal(0) if before is None else _number(before)) + sign * _number(value)
        written[name] = orjson.dumps({"N": f"{total:f}"}).decode()

    def _name(self, text: str) -> str:
        if not re.fullmatch(r"#?\w+", text):
            raise ValidationError(f"not a path that this engine knows: {text!r}")
        return self._names.get(text, text)

    def _value(self, text: str) -> str:
        if text not in self._values:
            raise ValidationError(f"no value {text!r}")
        return orjson.dumps(self._values[text], option=orjson.OPT_SORT_KEYS).decode()


def _number(text: str) -> Decimal:
    value = cast("dict[str, str]", orjson.loads(text))
    if "N" not in value:
        raise ValidationError(f"not a number: {text}")
    return Decimal(value["N"])


def _is_ordered(have: Decimal, operator: str, want: Decimal) -> bool:
    match operator:
        case "<":
            return have < want
        case "<=":
            return have <= want
        case ">":
            return have > want
        case _:
            return have >= want

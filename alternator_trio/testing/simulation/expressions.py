"""The few condition and update expressions that the register engine knows.

Rules: conditions are comparisons joined by AND; updates are SET, REMOVE and ADD of whole attributes. Whatever else
comes is a `ValidationError`, never a guess; where a real server may know more, it says so. It shares no code with the
client.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, cast

import orjson

__all__ = ["Expressions", "ValidationError", "unknown"]

_CALL: Final = re.compile(r"(attribute_exists|attribute_not_exists)\s*\(\s*(#?\w+)\s*\)")
_COMPARISON: Final = re.compile(r"(#?\w+)\s*(=|<>|<=|>=|<|>)\s*(:\w+)")
_VALUE: Final = re.compile(r":\w+")
_CLAUSE: Final = re.compile(r"\b(SET|REMOVE|ADD|DELETE)\b")
_SUM: Final = re.compile(r"(#?\w+)\s*([+-])\s*(:\w+)")
_DEFAULT: Final = re.compile(r"if_not_exists\s*\(\s*(#?\w+)\s*,\s*(:\w+)\s*\)")

_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Item = Mapping[str, str]


class ValidationError(Exception):
    """The request is wrong, or the engine does not know what it asks for."""


def unknown(what: str) -> ValidationError:
    """What is refused not because it is wrong, but because this engine is small."""
    return ValidationError(f"RegisterEngine does not know {what}; MinistackEngine, the default, may")


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
        actions = 0
        for clause, text in zip(parts[1::2], parts[2::2], strict=True):
            for action in re.split(r",(?![^(]*\))", text):
                self._act(clause, action.strip(), item or {}, written, removed)
                actions += 1
        if len({*written, *removed}) < actions:
            raise ValidationError(f"an attribute is updated twice: {update!r}")
        return written, removed

    def equality(self, condition: str) -> tuple[str, str]:
        """The name and the value of ``name = :value``, which is all that a condition on a key may be here."""
        comparison = _COMPARISON.fullmatch(condition.strip())
        if comparison is None or comparison[2] != "=":
            raise unknown(f"the condition on a key {condition!r}")
        return self._name(comparison[1]), self._value(comparison[3])

    def reads_first(self, update: str) -> bool:
        """Whether an update needs the item as it is."""
        return bool(re.search(r"\bADD\b|\bDELETE\b|if_not_exists", update) or _SUM.search(update))

    def _holds(self, term: str, item: Item) -> bool:
        if call := _CALL.fullmatch(term):
            return (self._name(call[2]) in item) == (call[1] == "attribute_exists")
        comparison = _COMPARISON.fullmatch(term)
        if comparison is None:
            raise unknown(f"the condition {term!r}")
        have, want = item.get(self._name(comparison[1])), self._value(comparison[3])
        match comparison[2]:
            case "=":
                return have is not None and _same(have, want)
            case "<>":
                return have is None or not _same(have, want)
            case order:
                return have is not None and _is_ordered(have, order, want)

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
                raise unknown(f"the clause {clause}")

    def _set(self, name: str, value: str, item: Item, written: dict[str, str]) -> None:
        if total := _SUM.fullmatch(value):
            if self._name(total[1]) not in item:
                raise ValidationError(f"the item has no attribute {self._name(total[1])} to count from")
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
            raise unknown(f"the path {text!r}")
        return self._names.get(text, text)

    def _value(self, text: str) -> str:
        if not _VALUE.fullmatch(text):
            raise unknown(f"the operand {text!r}")
        if text not in self._values:
            raise ValidationError(f"no value {text!r}")
        return orjson.dumps(self._values[text], option=orjson.OPT_SORT_KEYS).decode()


def _same(one: str, other: str) -> bool:
    """Equality of values: of numbers, not of their digits."""
    if one == other:
        return True
    (kind, mine), (other_kind, theirs) = _typed(one), _typed(other)
    if kind != other_kind or kind in {"S", "B", "BOOL", "NULL"}:
        return False
    if kind == "N":
        return Decimal(mine) == Decimal(theirs)
    raise unknown(f"how to compare values of the type {kind}")


def _is_ordered(have: str, order: str, want: str) -> bool:
    """Order among values of one type; those of different types are in none."""
    (kind, mine), (other_kind, theirs) = _typed(have), _typed(want)
    if other_kind not in {"N", "S"}:
        raise unknown(f"the order of values of the type {other_kind}")
    if kind != other_kind:
        return False
    if kind == "N":
        return _ORDERS[order](Decimal(mine), Decimal(theirs))
    return _ORDERS[order](mine.encode(), theirs.encode())


def _number(text: str) -> Decimal:
    kind, value = _typed(text)
    if kind in {"SS", "NS", "BS"}:
        raise unknown(f"how to add to values of the type {kind}")
    if kind != "N":
        raise ValidationError(f"not a number: {text}")
    return Decimal(value)


def _typed(text: str) -> tuple[str, str]:
    """The type of a value, and what it is of it."""
    ((kind, value),) = cast("dict[str, str]", orjson.loads(text)).items()
    return kind, value

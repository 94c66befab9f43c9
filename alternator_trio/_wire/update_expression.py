"""DynamoDB's UpdateExpression: its grammar, read into values, and whether doing one twice is doing it once.

    expression = clause { clause }                     each of the four at most once, in any order
    clause     = SET assign { "," assign } | REMOVE path { "," path } | (ADD | DELETE) path :v { "," path :v }
    assign     = path "=" value
    value      = operand [ ("+" | "-") operand ]
    operand    = :v | path | function "(" value "," value ")" | "(" value ")"
    path       = name { "." name | "[" index "]" }      a name being attribute or #placeholder

The keywords are case-insensitive and reserved, the two functions are neither. The time is linear in the text and the
recursion bounded, so a hostile text costs an error and nothing else. What the judge of repeatability cannot read is not
repeatable: an update that is repeated without need is worse than one that is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH: Final = 32
"""Parentheses within parentheses; also the deepest nesting that DynamoDB allows in a document."""

MAX_INDEX_DIGITS: Final = 9
"""Digits of a list index; none can be longer, for no item is that large."""

SET_TYPES: Final = ("SS", "NS", "BS")
"""The types whose ADD and DELETE are union and difference."""


class UpdateExpressionError(ValueError):
    """The text is no UpdateExpression; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Where an attribute is: names (``"#n"`` where a placeholder stands) and list indexes."""

    parts: tuple[str | int, ...]

    @property
    def has_index(self) -> bool:
        """Whether the path goes through a list: what stands at an index changes when elements before it go."""
        return any(isinstance(part, int) for part in self.parts)

    def resolve(self, names: Mapping[str, object]) -> tuple[object, ...]:
        """Return the parts with every placeholder replaced.

        Raises:
            KeyError: A placeholder is not among the names.
        """
        return tuple(names[part] if isinstance(part, str) and part[0] == "#" else part for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueReference:
    """A value of ExpressionAttributeValues."""

    name: str
    """With its colon: ``":v"``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """One of the two functions of a SET clause."""

    name: Literal["if_not_exists", "list_append"]
    first: Value
    second: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """A sum or a difference."""

    operator: Literal["+", "-"]
    left: Value
    right: Value


Value: TypeAlias = "Path | ValueReference | FunctionCall | Arithmetic"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAction:
    """``path = value``."""

    path: Path
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAction:
    """``REMOVE path``."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAction:
    """``ADD path :v``: a number is added, a set united."""

    path: Path
    value: ValueReference


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAction:
    """``DELETE path :v``: the elements of a set taken out."""

    path: Path
    value: ValueReference


Action: TypeAlias = SetAction | RemoveAction | AddAction | DeleteAction


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateExpression:
    """An expression read: its actions in the order of the text."""

    actions: tuple[Action, ...]


def parse_update_expression(text: str) -> UpdateExpression:
    """Read an UpdateExpression.

    Raises:
        UpdateExpressionError: The text is none.

    Example:
        >>> parse_update_expression("REMOVE a.#b").actions
        (RemoveAction(path=Path(parts=('a', '#b'))),)
    """
    return _Parser(text).expression()


def is_repeatable_update(
    expression_text: str, attribute_names: Mapping[str, object], attribute_values: Mapping[str, object]
) -> bool:
    """Whether executing the update twice leaves what executing it once leaves.

    Args:
        expression_text: The UpdateExpression.
        attribute_names: ExpressionAttributeNames, empty when the request has none.
        attribute_values: ExpressionAttributeValues in wire shape, likewise.

    Returns:
        True for an expression that only sets paths to values, also under if_not_exists of the same path, removes paths,
        and adds to or deletes from sets, none of it through a list index. False for every other one, also for one
        that cannot be read.

    Example:
        >>> is_repeatable_update("ADD tags :t", {}, {":t": {"SS": ["new"]}})
        True
        >>> is_repeatable_update("ADD visits :n", {}, {":n": {"N": "1"}})
        False
    """
    try:
        actions = parse_update_expression(expression_text).actions
        return all(_is_repeatable_action(action, attribute_names, attribute_values) for action in actions)
    except (UpdateExpressionError, KeyError):  # KeyError: a placeholder that the request does not define
        return False


def is_set_value(value: object) -> bool:
    """Whether a wire-shaped value is a set: ``{"SS": […]}``, NS or BS."""
    return (
        isinstance(value, Mapping)
        and len(cast("Mapping[object, object]", value)) == 1
        and any(kind in value for kind in SET_TYPES)
    )


def _is_repeatable_action(action: Action, names: Mapping[str, object], values: Mapping[str, object]) -> bool:
    target = action.path.resolve(names)
    if action.path.has_index:
        return False
    match action:
        case RemoveAction():
            return True
        case AddAction() | DeleteAction():
            return is_set_value(values[action.value.name])
        case SetAction(value=ValueReference()):
            return True
        case SetAction(value=FunctionCall(name="if_not_exists", first=Path() as read, second=ValueReference())):
            return read.resolve(names) == target
        case SetAction():
            return False


_TOKEN: Final = re.compile(
    r"[ \t\r\n]*(?:"
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<placeholder>#[A-Za-z0-9_]+)|(?P<value>:[A-Za-z0-9_]+)"
    r"|(?P<index>[0-9]+)|(?P<mark>[-+=,.()\[\]])|(?P<end>\Z))"
)
_KEYWORDS: Final = frozenset({"SET", "REMOVE", "ADD", "DELETE"})


class _Token(NamedTuple):  # a tuple and no dataclass: it is made for every word, in a third of the time
    kind: str
    """A group of the pattern, or ``"keyword"``."""
    text: str
    """As written; a keyword in capitals."""
    position: int


def _tokens(text: str) -> list[_Token]:
    """Split the text; the last token is the end."""
    tokens: list[_Token] = []
    position = 0
    while not tokens or tokens[-1].kind != "end":
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            rest = text[position : position + 20].lstrip()
            raise UpdateExpressionError(f"{rest!r} is no part of an UpdateExpression (position {position})")
        position = found.end()
        kind, token = found.lastgroup, found[found.lastgroup]
        if kind == "name" and token.upper() in _KEYWORDS:
            kind, token = "keyword", token.upper()
        tokens.append(_Token(kind, token, found.start(found.lastgroup)))
    return tokens


class _Parser:
    """Reads tokens from left to right, looking one ahead, one method per rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._index = 0
        self._depth = 0

    def expression(self) -> UpdateExpression:
        clauses: dict[str, Callable[[], Action]] = {
            "SET": self._set_action,
            "REMOVE": lambda: RemoveAction(path=self._path()),
            "ADD": lambda: AddAction(path=self._path(), value=self._value_reference()),
            "DELETE": lambda: DeleteAction(path=self._path(), value=self._value_reference()),
        }
        actions: list[Action] = []
        while True:
            keyword = self._take("keyword", "SET, REMOVE, ADD or DELETE")
            if keyword.text not in clauses:
                raise UpdateExpressionError(f"a second {keyword.text} clause (position {keyword.position})")
            action = clauses.pop(keyword.text)
            actions.append(action())
            while self._accept(","):
                actions.append(action())
            if self._next.kind == "end":
                return UpdateExpression(actions=tuple(actions))

    def _set_action(self) -> SetAction:
        path = self._path()
        self._expect("=")
        return SetAction(path=path, value=self._value())

    def _value(self) -> Value:
        left = self._operand()
        if self._accept("+"):
            return Arithmetic(operator="+", left=left, right=self._operand())
        if self._accept("-"):
            return Arithmetic(operator="-", left=left, right=self._operand())
        return left

    def _operand(self) -> Value:
        if self._next.kind == "value":
            return self._value_reference()
        if self._accept("("):
            return self._within_parentheses(self._value)
        token = self._next
        path = self._path()
        if len(path.parts) == 1 and self._accept("("):
            return self._within_parentheses(lambda: self._function_call(token))
        return path

    def _within_parentheses(self, inside: Callable[[], Value]) -> Value:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UpdateExpressionError(f"more than {MAX_DEPTH} parentheses within one another")
        value = inside()
        self._expect(")")
        self._depth -= 1
        return value

    def _function_call(self, name: _Token) -> FunctionCall:
        first = self._value()
        self._expect(",")
        second = self._value()
        match name.text:
            case "if_not_exists" if isinstance(first, Path):
                return FunctionCall(name="if_not_exists", first=first, second=second)
            case "if_not_exists":
                raise UpdateExpressionError(f"if_not_exists asks for a path (position {name.position})")
            case "list_append":
                return FunctionCall(name="list_append", first=first, second=second)
            case unknown:
                raise UpdateExpressionError(f"{unknown[:40]} is no function of a SET clause (position {name.position})")

    def _path(self) -> Path:
        parts: list[str | int] = [self._path_name()]
        while True:
            if self._accept("."):
                parts.append(self._path_name())
            elif self._accept("["):
                parts.append(self._path_index())
                self._expect("]")
            else:
                return Path(parts=tuple(parts))

    def _path_name(self) -> str:
        if self._next.kind == "placeholder":
            return self._take("placeholder", "a name").text
        return self._take("name", "a name").text

    def _path_index(self) -> int:
        digits = self._take("index", "an index").text
        if len(digits) > MAX_INDEX_DIGITS:
            raise UpdateExpressionError(f"a list index of {len(digits)} digits")
        return int(digits)

    def _value_reference(self) -> ValueReference:
        return ValueReference(name=self._take("value", "a :value").text)

    @property
    def _next(self) -> _Token:
        return self._tokens[self._index]

    def _take(self, kind: str, wanted: str) -> _Token:
        token = self._next
        if token.kind != kind:
            raise self._expected(wanted)
        self._index += 1
        return token

    def _accept(self, mark: str) -> bool:
        accepted = self._next.kind == "mark" and self._next.text == mark
        self._index += accepted
        return accepted

    def _expect(self, mark: str) -> None:
        if not self._accept(mark):
            raise self._expected(repr(mark))

    def _expected(self, wanted: str) -> UpdateExpressionError:
        token = self._next
        found = repr(token.text[:40]) if token.text else "the end"
        return UpdateExpressionError(f"{wanted} expected, not {found} (position {token.position})")

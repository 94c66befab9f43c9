"""Writes ``alternator_trio/types.py``: a TypedDict for every request, answer and structure inside them."""

from __future__ import annotations

from string import Template
from typing import Final

from operations.model import Model, Operation, Side
from operations.words import ALWAYS_ANSWERED, FURTHER_MEMBERS, OPEN_STRUCTURES, STRUCTURES

SCALARS: Final = {
    "blob": "bytes",
    "boolean": "bool",
    "double": "float",
    "integer": "int",
    "long": "int",
    "string": "str",
    "timestamp": "float",  # in the JSON protocol: seconds since 1970
}
LISTED_USERS = 3  # so many operations are named where a structure says where it belongs

MODULE = Template('''\
"""What the operations take and answer, wire-shaped, as boto3 spells it: for annotations and type checkers.

Rules: an operation's parameters are ``…Input`` and its answer ``…Output``; what goes in may be any mapping or
sequence, what only comes out is a dict or a list; binary values are bytes; numbers inside attribute values are
strings; times are floats, seconds since 1970. A member that is not ``Required`` may be missing.
"""

$header
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Required, TypeAlias, TypedDict

__all__ = $exported

$enums


class ResponseMetadata(TypedDict, total=False):
    """How an answer came about: HTTP status, attempts after the first, and the node, as its canonical endpoint."""

    HTTPStatusCode: Required[int]
    RetryAttempts: Required[int]
    RequestId: str
    Node: Required[str]


$structures
''')


def types_source(model: Model, header: str) -> str:
    """The text of the file, not yet formatted."""
    exported = [*model.enums, *model.nested_structures, "ResponseMetadata"]
    exported += [f"{operation.name}{suffix}" for operation in model.operations for suffix in ("Input", "Output")]
    if repeated := sorted({name for name in exported if exported.count(name) > 1}):
        raise SystemExit(f"types that would be written twice: {', '.join(repeated)}")
    structures = [nested_structure(model, name) for name in model.nested_structures]
    for operation in model.operations:
        structures += [input_structure(model, operation), output_structure(model, operation)]
    return MODULE.substitute(
        header=header,
        exported=sorted(exported),
        enums="\n".join(f"{name}: TypeAlias = Literal{model.shapes[name]['enum']!r}" for name in model.enums),
        structures="\n\n\n".join(structures),
    )


def nested_structure(model: Model, name: str) -> str:
    sides: list[Side] = [side for side, users in model.users.items() if name in users]
    users = sorted({user for side in sides for user in model.users[side][name]})
    sentence = STRUCTURES.get(name, f"Part of {listed(users)}.")
    return structure(model, name, name, "input" if "input" in sides else "output", sentence)


def listed(names: list[str]) -> str:
    """Some names as prose: ``CreateTable, DeleteTable, DescribeTable and 2 more``."""
    shown, rest = names[:LISTED_USERS], len(names) - LISTED_USERS
    last = f"{rest} more" if rest > 0 else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last


def input_structure(model: Model, operation: Operation) -> str:
    sentence = f"What ``{operation.method}`` takes."
    return structure(model, f"{operation.name}Input", operation.shapes["input"], "input", sentence)


def output_structure(model: Model, operation: Operation) -> str:
    sentence = f"What ``{operation.method}`` answers."
    text = structure(model, f"{operation.name}Output", operation.shapes["output"], "output", sentence)
    return f"{text}\n    ResponseMetadata: Required[ResponseMetadata]"


def structure(model: Model, name: str, shape: str | None, side: Side, sentence: str) -> str:
    """A structure of the model as a TypedDict; what is built by callers and answered too is built by callers."""
    required = {*model.required(shape), *ALWAYS_ANSWERED.get(name, ())}
    members = {key: annotation(model, reference["shape"], side) for key, reference in model.members(shape).items()}
    members |= FURTHER_MEMBERS.get(name, {})
    if unknown := required - members.keys():
        raise SystemExit(f"{name} has no {', '.join(sorted(unknown))}")
    lines = [f"{key}: {f'Required[{text}]' if key in required else text}" for key, text in members.items()]
    return "\n    ".join((f"class {name}(TypedDict, total=False):", f'"""{sentence}"""\n', *lines))


def annotation(model: Model, name: str, side: Side) -> str:
    """The Python type of a shape: containers are abstract where callers build them and concrete where we do."""
    shape = model.shapes[name]
    if name in OPEN_STRUCTURES:
        return "Mapping[str, object]"
    if "enum" in shape or shape["type"] == "structure":
        return name
    if shape["type"] == "list":
        return f"{'Sequence' if side == 'input' else 'list'}[{annotation(model, shape['member']['shape'], side)}]"
    if shape["type"] == "map":
        value = annotation(model, shape["value"]["shape"], side)
        return f"{'Mapping' if side == 'input' else 'dict'}[str, {value}]"
    return SCALARS[shape["type"]]

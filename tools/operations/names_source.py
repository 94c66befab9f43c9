"""Writes ``alternator_trio/_wire/operation_names.py``: what the wire must know of each operation."""

from __future__ import annotations

from string import Template

from operations.model import Model, Operation
from operations.words import FURTHER_MEMBERS, SUPPORTED_BY_ALTERNATOR

MODULE = Template('''\
"""The operations by name: their x-amz-target, their parameters, and which of them Alternator has.

Rules: plain data, nothing to compute at import; the names are DynamoDB's.
"""

$header
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alternator_trio.errors import EncodingError

__all__ = ["MEMBERS", "REQUIRED", "SUPPORTED_BY_ALTERNATOR", "TARGETS", "target"]


def target(operation: str) -> str:
    """The value of the x-amz-target header.

    An operation that the service model does not have goes to the DynamoDB API under its own name.

    Args:
        operation: The operation as DynamoDB spells it, such as ``"GetItem"``.

    Raises:
        EncodingError: The name has characters that no operation's name has (and that a header must not carry).

    Example:
        >>> target("GetRecords")
        'DynamoDBStreams_20120810.GetRecords'
    """
    known = TARGETS.get(operation)
    if known is not None:
        return known
    if not (operation.isascii() and operation.isalnum()):
        raise EncodingError(f"{operation!r} is no operation's name: letters and digits only, as in 'GetItem'")
    return f"$prefix.{operation}"


TARGETS: Final[Mapping[str, str]] = $targets
"""The x-amz-target of each operation."""

MEMBERS: Final[Mapping[str, frozenset[str]]] = {$members}
"""The parameters that each operation takes."""

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = $required
"""The parameters that each operation cannot do without."""

SUPPORTED_BY_ALTERNATOR: Final = frozenset($supported)
"""The operations that Alternator has; it answers the others with UnknownOperationException."""
''')


def names_source(model: Model, header: str) -> str:
    """The text of the file, not yet formatted."""
    return MODULE.substitute(
        header=header,
        prefix=model.prefix,
        targets={each.name: each.target for each in model.operations},
        members=", ".join(f"{each.name!r}: frozenset({parameters(model, each)!r})" for each in model.operations),
        required={each.name: model.required(each.shapes["input"]) for each in model.operations},
        supported=tuple(sorted(SUPPORTED_BY_ALTERNATOR)),
    )


def parameters(model: Model, operation: Operation) -> tuple[str, ...]:
    further = FURTHER_MEMBERS.get(f"{operation.name}Input", {})
    return tuple(sorted({*model.members(operation.shapes["input"]), *further}))

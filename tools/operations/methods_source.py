"""Writes ``alternator_trio/_operations.py``: one method per operation."""

from __future__ import annotations

from string import Template

from operations.model import Model, Operation
from operations.words import OPERATIONS, SUPPORTED_BY_ALTERNATOR

MODULE = Template('''\
"""Every DynamoDB operation as a method, by boto3's name and with boto3's keyword arguments.

Rules: a method names its operation and hands its arguments on, nothing more; the class that derives from this one
performs the operation. The types are for type checkers and are not imported at run time.
"""

# mypy: disable-error-code="no-any-return"
# (One method performs every operation, so that only the generated signatures can say what is answered.)

$header
from __future__ import annotations

import abc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from typing import Any, Unpack

    from alternator_trio import types

__all__ = ["Operations"]


class Operations(abc.ABC):
    """The operations of DynamoDB and DynamoDB Streams.

    Arguments and answers are wire-shaped dicts (see ``alternator_trio.types``): attribute values are typed, as in
    ``{"S": "ada"}``; binary values are bytes; times are floats, seconds since 1970. Every answer has
    ``ResponseMetadata``.

    Every method raises a subclass of ``ServiceError`` when the service answers with an error, and another
    ``AlternatorError`` when no answer came, or none that says what became of a write. ``may_have_happened`` of any of
    them tells whether a write may have taken effect; ``IndeterminateWriteError`` is only one that says so.

    Example:
        >>> await client.put_item(TableName="users", Item={"id": {"S": "ada"}, "born": {"N": "1815"}})
        >>> answer = await client.get_item(TableName="users", Key={"id": {"S": "ada"}})
        >>> answer["Item"]["born"]
        {'N': '1815'}
    """

    __slots__ = ()

    @abc.abstractmethod
    def _perform(self, operation: str, parameters: Mapping[str, object]) -> Coroutine[Any, Any, Any]:
        """Send the operation and return its answer, shaped as the operation's ``…Output``."""

$methods
''')

# A coroutine of its own costs 0.07 to 0.15 µs more than a plain method that returns _perform's: two to four
# thousandths of a request. It buys a warning that names the operation when an await is forgotten, and
# inspect.iscoroutinefunction, by which test doubles and documentation tools know what must be awaited.
METHOD = Template('''\
    async def $method(self, **parameters: Unpack[types.${name}Input]) -> types.${name}Output:
        """$name: $sentence$note"""
        return await self._perform("$name", parameters)
''')

UNSUPPORTED = """

        Alternator does not support it; other servers do.
        """


def methods_source(model: Model, header: str) -> str:
    """The text of the file, not yet formatted."""
    return MODULE.substitute(header=header, methods="\n".join(method(each) for each in model.operations))


def method(operation: Operation) -> str:
    return METHOD.substitute(
        name=operation.name,
        method=operation.method,
        sentence=OPERATIONS[operation.name],
        note="" if operation.name in SUPPORTED_BY_ALTERNATOR else UNSUPPORTED,
    )

"""Writes ``alternator_trio/_service_errors.py``: one exception class per error of the service."""

from __future__ import annotations

from string import Template

from operations.model import Model

MODULE = Template('''\
"""One exception class per error that the service can send, under DynamoDB's own name.

Rules: a class adds nothing to ``ServiceError`` but its name; what the server said is in ``code``, ``message`` and
``response``; a name that is not here becomes ``UnknownServiceError``.
"""

# ruff: noqa: N818 -- the names are DynamoDB's

$header
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alternator_trio.errors import ServiceError, UnknownServiceError

__all__ = $exported


def error_class(code: str) -> type[ServiceError]:
    """The exception class of a service error.

    Args:
        code: The error's name without its namespace, such as ``"ValidationException"``.

    Example:
        >>> error_class("ValidationException").__name__, error_class("Unheard").__name__
        ('ValidationException', 'UnknownServiceError')
    """
    return BY_CODE.get(code, UnknownServiceError)


$classes


BY_CODE: Final[Mapping[str, type[ServiceError]]] = {$by_code}
"""The class of each error, by the name that the service sends."""

for _class in BY_CODE.values():
    _class.__module__ = "alternator_trio"  # where users import it from: tracebacks and pickles say so
''')


def errors_source(model: Model, header: str) -> str:
    """The text of the file, not yet formatted."""
    return MODULE.substitute(
        header=header,
        exported=list(model.errors),
        classes="\n\n\n".join(
            f'class {name}(ServiceError):\n    """{sentence}"""' for name, sentence in model.errors.items()
        ),
        by_code=", ".join(f"{name!r}: {name}" for name in model.errors),
    )

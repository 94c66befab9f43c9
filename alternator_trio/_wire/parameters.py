"""The parameters of an operation by name: those that it has, and those that it must have.

Rules: a misspelt or missing parameter is refused before anything is sent, with the nearest name; what a parameter holds
is left to the server. Operations that the service model does not have are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping

from alternator_trio._wire.operation_names import MEMBERS, REQUIRED
from alternator_trio.errors import EncodingError

__all__ = ["check_parameters"]


def check_parameters(operation: str, parameters: Mapping[str, object]) -> None:
    """Refuse parameters that the operation does not have, and the lack of those that it needs.

    Raises:
        EncodingError: The message names the parameter.

    Example:
        >>> check_parameters("GetItem", {"Tablename": "users", "Key": {}})
        Traceback (most recent call last):
        ...
        alternator_trio.errors.EncodingError: GetItem has no parameter 'Tablename'; did you mean 'TableName'? (GetItem)
    """
    members = MEMBERS.get(operation)
    if members is None:
        return
    if not members.issuperset(parameters):
        raise EncodingError(_unknown(operation, parameters, members), operation=operation)
    for name in REQUIRED[operation]:
        if name not in parameters:
            raise EncodingError(f"{operation} needs the parameter {name!r}", operation=operation)


def _unknown(operation: str, parameters: Mapping[str, object], members: frozenset[str]) -> str:
    import difflib  # noqa: PLC0415  # only for an error message

    name = next(name for name in parameters if name not in members)
    near = difflib.get_close_matches(name, sorted(members), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(sorted(members)) or 'none'}"
    return f"{operation} has no parameter {name!r}{hint}"

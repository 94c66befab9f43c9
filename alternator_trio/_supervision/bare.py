"""An error out of the groups that nurseries wrap around it.

Rules: a nursery wraps even a single error; the reader is shown the error itself. Several errors stay a group.
"""

from __future__ import annotations

from typing import cast, overload

__all__ = ["bare"]


@overload
def bare(error: Exception) -> Exception: ...
@overload
def bare(error: BaseException) -> BaseException: ...
def bare(error: BaseException) -> BaseException:
    """The only error of a group, of whatever depth; else ``error`` as it is."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return group if len(group.exceptions) > 1 else bare(next(iter(group.exceptions)))

"""The block that `open_alternator` returns, before it is entered: whatever else it is taken for says how it is entered.

Rules: it is entered once; what the block does and raises is left as it is.
"""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

__all__ = ["HOW_TO_OPEN", "ClientBlock"]

HOW_TO_OPEN: Final = "write 'async with open_alternator(...) as client:'"

T = TypeVar("T")


class ClientBlock(contextlib.AbstractAsyncContextManager[T]):
    """A client's block.

    Args:
        manager: What is entered in truth.
    """

    __slots__ = ("_is_entered", "_manager")

    def __init__(self, manager: contextlib.AbstractAsyncContextManager[T]) -> None:
        self._manager = manager
        self._is_entered = False

    async def __aenter__(self) -> T:
        if self._is_entered:
            raise RuntimeError("this block has been entered already; call open_alternator again for another client")
        self._is_entered = True
        return await self._manager.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, traceback)

    def __repr__(self) -> str:
        return f"<open_alternator(...): a client's block{'' if self._is_entered else ', not entered'}>"

    if not TYPE_CHECKING:  # type checkers know that none of these is there

        def __enter__(self) -> NoReturn:
            raise TypeError(f"a client's block is asynchronous; {HOW_TO_OPEN}")

        def __exit__(self, *_: object) -> NoReturn:
            raise AssertionError  # for `with` looks whether it is there, too

        def __await__(self) -> NoReturn:
            raise TypeError(f"a client is not awaited; {HOW_TO_OPEN}")

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"{name!r}: this is the block, not the client in it; {HOW_TO_OPEN}")

"""What is shown while a demo runs, and where notes on it go.

Rules: `Snapshot` is a value; a `Progress` is a context manager that gets notes and snapshots; the plain one shows the
notes, a line each, and no snapshots, so that a log of it is short. Nothing here needs rich.
"""

from __future__ import annotations

import dataclasses
from types import TracebackType
from typing import Protocol, Self, TextIO

__all__ = ["NodeState", "PlainProgress", "Progress", "Snapshot"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """One node at one moment.

    Attributes:
        name: Its host and port.
        is_up: Whether it runs, as far as the demo knows.
        operations_per_second: Answers it gave lately.
    """

    name: str
    is_up: bool
    operations_per_second: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        stage: What it is doing.
        elapsed: Seconds since the load began.
        seconds: How long the load is to run.
        operations: Answers so far.
        operations_per_second: Answers lately.
        retries: Attempts beyond the first so far.
        errors: Errors that the application saw.
        nodes: The nodes.
    """

    stage: str
    elapsed: float
    seconds: float
    operations: int
    operations_per_second: float
    retries: int
    errors: int
    nodes: tuple[NodeState, ...]


class Progress(Protocol):
    """Shows how a run comes along."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def note(self, text: str) -> None:
        """Something happened."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """This is how it stands."""
        ...


class PlainProgress:
    """Notes, a line each: for logs, and for terminals without the ``cli`` extra.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def note(self, text: str) -> None:
        """Write a line."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def show(self, snapshot: Snapshot) -> None:
        """Nothing: a log is no place for a progress bar."""

"""A lease without a wire of its own: the right to one exchange over httpx, which has the connections.

Rules: it is a slot of the same pools as a native connection, so that the same bounds, waiting line and deadlines hold;
it is never idle; closing it, synchronously, ends its exchange. httpx is not imported here.
"""

from __future__ import annotations

from typing import Protocol

from alternator_trio._transport.connection import Connection, Ending
from alternator_trio.nodes import Node

__all__ = ["HttpxLease"]


class _Ends(Protocol):
    def end(self) -> None: ...


class HttpxLease(Connection):
    """The right to one exchange.

    Attributes:
        carried: The exchange, which is to end when the lease is closed by another than its lessee.
        is_fresh: Whether a connection was made for the exchange.
        answer_status: The status of the answer, once its head has come; else 0.
    """

    __slots__ = ("answer_status", "carried", "is_fresh")

    def __init__(self, node: Node, retire_at: float) -> None:
        super().__init__(node, retire_at)
        self.carried: _Ends | None = None
        self.is_fresh = False
        self.answer_status = 0

    @property
    def is_reusable(self) -> bool:
        """Never: httpx keeps the connections, and the next exchange takes a slot of its own."""
        return False

    @property
    def was_dialled(self) -> bool:
        """Whether the exchange found a connection."""
        return self.sent

    @property
    def status(self) -> int:
        """Of an exchange that failed: the status of the answer, if its head had come; else 0."""
        return self.answer_status

    @property
    def was_stale(self) -> bool:
        """Of an exchange that failed: whether its connection had served before, and bore no answer now."""
        return self.sent and not self.is_fresh and not self.answer_status

    def close(self, ending: Ending | None = None) -> None:
        """End the exchange, where another than its lessee asks for it."""
        super().close(ending)
        if ending is not None and self.carried is not None:
            self.carried.end()

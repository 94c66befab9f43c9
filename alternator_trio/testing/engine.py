"""What the embedded cluster asks of a DynamoDB implementation behind its nodes.

An engine knows operations and JSON and nothing of HTTP, nodes or Alternator: the front in front of it makes its answers
Alternator's. One engine is one store; all nodes of a cluster share it.
"""

from __future__ import annotations

from typing import Protocol


class Engine(Protocol):
    """One DynamoDB store."""

    async def execute(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Run one operation.

        Args:
            operation: its name without prefix, for example ``"GetItem"``.
            body: the request as a JSON document, decompressed.

        Returns:
            The HTTP status (200, or that of the error) and the JSON body. An error's body has ``__type``, with or
            without a prefix, and ``message`` or ``Message``.

        Raises:
            Exception: whatever the engine fails with; the node answers InternalServerError.
        """
        ...

    async def reset(self) -> None:
        """Drop all data of this store."""
        ...

    async def aclose(self) -> None:
        """Give back what the store holds. A cluster closes the engine that it made, never one that it was given."""
        ...

"""The block that services live in: they outlive the body, stop in reverse, and their nursery does not show.

Rules: each service's own scope is shielded, not the nursery, so that an outer cancellation reaches the body first and
services last. The body's own exception leaves bare, its own group unflattened; it wins over the failure of a service,
which becomes a note on it. Stopping waits for tasks to end, never for the network.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

import trio

__all__ = ["Block", "open_block"]


class _Service:
    __slots__ = ("name", "scope", "stopped")

    def __init__(self, name: str) -> None:
        self.name = name
        # Made before the task starts: a service that never ran can be stopped as well.
        self.scope = trio.CancelScope(shield=True)
        self.stopped = trio.Event()


class Block:
    """An open block: starts services, and can be made to fail."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._services: list[_Service] = []
        self._stopping = False
        self.body_scope = trio.CancelScope()
        self.failure: BaseException | None = None

    def start_service(
        self, name: str, run: Callable[[], Awaitable[None]], *, on_stopped: Callable[[], None] | None = None
    ) -> None:
        """Start a service; it runs until the block stops it.

        Args:
            name: The task's name.
            run: The service; an exception that leaves it fails the block.
            on_stopped: Called when it has ended, whatever ended it; this is where its inbox is closed.
        """
        service = _Service(name)
        self._services.append(service)
        self._nursery.start_soon(self._run, service, run, on_stopped, name=name)

    def fail(self, error: BaseException) -> None:
        """End the block: cancel its body and raise ``error`` where the body's own exception does not win."""
        if self.failure is None:
            self.failure = error
        self.body_scope.cancel()

    async def stop(self) -> None:
        """Stop all services, the last started first, each before the one before it. Cannot be cancelled."""
        with trio.CancelScope(shield=True):
            while self._services:
                service = self._services.pop()
                service.scope.cancel()
                await service.stopped.wait()

    # A KeyboardInterrupt belongs to the body, not to whichever service happens to run (Trio's rule for system tasks).
    @trio.lowlevel.enable_ki_protection
    async def _run(
        self, service: _Service, run: Callable[[], Awaitable[None]], on_stopped: Callable[[], None] | None
    ) -> None:
        try:
            with service.scope:
                await run()
        except Exception as error:  # noqa: BLE001  # whatever it is, it ends the block
            self.fail(error)
        finally:
            if on_stopped is not None:
                on_stopped()
            service.stopped.set()


@contextlib.asynccontextmanager
async def open_block(on_closing: Callable[[], None]) -> AsyncGenerator[Block, None]:
    """Open a block for services.

    Args:
        on_closing: Called once, synchronously, when the body has ended and before any service is stopped.

    Raises:
        BaseException: What the body raised, bare; else what `Block.fail` was given.
    """
    body_error: BaseException | None = None
    async with trio.open_nursery() as nursery:
        block = Block(nursery)
        try:
            with block.body_scope:
                yield block
        except BaseException as error:  # noqa: BLE001  # raised again below, outside the nursery, which would wrap it
            body_error = error
        try:
            on_closing()
        finally:
            await block.stop()
    try:
        if body_error is not None:
            if block.failure is not None and block.failure is not body_error:
                body_error.add_note(f"the client had failed as well: {block.failure!r}")
            raise body_error
        if block.failure is not None:
            raise block.failure
    finally:
        del body_error  # its traceback holds this frame

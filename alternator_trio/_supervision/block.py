"""The block that services live in: they outlive the body, stop in reverse, and their nursery does not show.

Rules: each service's own scope is shielded, not the nursery, so that an outer cancellation reaches the body first and
services last. The body's own exception leaves bare, its own group unflattened; it wins over the failure of a service,
which becomes a note on it. Stopping waits for tasks to end, never for the network; nothing can interrupt it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

import trio

from alternator_trio._supervision.bare import bare

__all__ = ["Block", "open_block"]


class _Service:
    __slots__ = ("name", "scope", "stopped")

    def __init__(self, name: str) -> None:
        self.name = name
        # Made before the task starts: a service that never ran can be stopped as well.
        self.scope = trio.CancelScope(shield=True)
        self.stopped = trio.Event()


class Block:
    """An open block: starts services, and can be made to fail.

    Attributes:
        body_scope: The body runs in it.
        failure: What the block failed with; None while it has not. It is here even when something else was raised.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._services: list[_Service] = []
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
        """End the block: cancel its body and raise ``error`` where the body's own exception does not win.

        The first failure is the one that is raised; those after it become notes on it.
        """
        if self.failure is None:
            self.failure = error
        elif error is not self.failure:
            self.failure.add_note(f"something else failed as well: {error!r}")
        self.body_scope.cancel()

    async def stop(self) -> None:
        """Stop all services, the last started first, each before the one before it. Cannot be cancelled."""
        with trio.CancelScope(shield=True):
            while self._services:
                service = self._services[-1]
                service.scope.cancel()
                try:
                    await service.stopped.wait()
                except KeyboardInterrupt as interrupt:
                    # A shield keeps no Ctrl-C out. Leaving here would leave shielded services to wait for, for ever.
                    self.fail(interrupt)
                else:
                    self._services.remove(service)

    def outcome(self, body_error: BaseException | None) -> BaseException | None:
        """What the block raises after its body has raised ``body_error``."""
        failure = self.failure
        if failure is None or failure is body_error:
            return body_error
        if body_error is None or not isinstance(failure, Exception):  # Ctrl-C is more than a note
            return failure
        body_error.add_note(f"the client had failed as well: {failure!r}")
        return body_error

    # A KeyboardInterrupt belongs to the body, not to whichever service happens to run (Trio's rule for system tasks).
    @trio.lowlevel.enable_ki_protection
    async def _run(
        self, service: _Service, run: Callable[[], Awaitable[None]], on_stopped: Callable[[], None] | None
    ) -> None:
        try:
            with service.scope:
                await run()
        except BaseException as error:  # noqa: BLE001  # whatever it is, it ends the block
            self.fail(bare(error))
        try:
            if on_stopped is not None:
                on_stopped()
        except BaseException as error:  # noqa: BLE001  # the same
            self.fail(error)
        finally:
            service.stopped.set()


@contextlib.asynccontextmanager
@trio.lowlevel.enable_ki_protection  # from the body's end to the last service's: see Block.stop
async def open_block(on_closing: Callable[[], None]) -> AsyncGenerator[Block, None]:
    """Open a block for services.

    Args:
        on_closing: Called once, synchronously, when the body has ended and before any service is stopped; what it
            raises fails the block.

    Raises:
        BaseException: What the body raised, bare; else what `Block.fail` was given first.
    """
    body_error: BaseException | None = None
    async with trio.open_nursery() as nursery:
        block = Block(nursery)
        try:
            with block.body_scope:
                try:
                    yield block
                except BaseExceptionGroup as group:
                    if group.subgroup(trio.Cancelled) is None:
                        body_error = group  # a cancelled scope rebuilds even those groups that it need not change
                    raise
        except BaseException as error:  # noqa: BLE001  # raised below, outside the nursery, which would wrap it
            body_error = error if body_error is None else body_error
        try:
            on_closing()
        except BaseException as error:  # noqa: BLE001  # the services are stopped first
            block.fail(error)
        await block.stop()
    outcome = block.outcome(body_error)
    try:
        if outcome is not None:
            raise outcome
    finally:
        del body_error, outcome  # their tracebacks hold this frame

"""One run of one node, from its start to its stop or its death: the listener and the connections it accepted.

Rules:

* The listener listens before anything is awaited, so that a start has taken effect when it returns.
* Ending is synchronous: every socket is closed when it returns; the tasks that used them are cancelled.
* Whatever goes wrong on one connection ends that connection, never the process.
"""

from __future__ import annotations

import errno
import itertools
import logging
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

from alternator_trio.testing._stream import Gate, NodeStream
from alternator_trio.testing._tls import accept_tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alternator_trio.testing._connection import Connection

MakeConnection = Callable[[int, NodeStream, trio.abc.Stream], "Connection"]

_CONNECTION_ENDED: Final = (trio.BrokenResourceError, trio.ClosedResourceError)
_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_RETRY_ACCEPT_SECONDS: Final = 0.05

_logger = logging.getLogger(__name__)


class NodeProcess:
    """A running node."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        numbers: Iterator[int] | None = None,
        tls: ssl.SSLContext | None,
        make_connection: MakeConnection,
    ) -> None:
        self._listener = listener
        self._numbers = numbers if numbers is not None else itertools.count(1)
        self._tls = tls
        self._make_connection = make_connection
        self._streams: set[NodeStream] = set()
        self._scope = trio.CancelScope()
        self.gate = Gate()

    async def run(self) -> None:
        """Accept and serve until `end`."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                while True:
                    accepted = await self._accept()
                    stream = NodeStream(accepted, self.gate)
                    self._streams.add(stream)
                    nursery.start_soon(self._serve, next(self._numbers), stream)

    def end(self, *, reset: bool) -> None:
        """Close the listener and every connection, with RST or in order."""
        self._scope.cancel()  # first: tasks that wait on these sockets then end as cancelled, not with an error
        self._listener.close()
        for stream in list(self._streams):
            stream.cut(reset=reset)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._streams)

    async def _accept(self) -> socket.socket:
        while True:
            await trio.lowlevel.checkpoint_if_cancelled()  # an ended process's listener can no longer be waited for
            await trio.lowlevel.wait_readable(self._listener)
            await self.gate.passed()
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    await trio.sleep(_RETRY_ACCEPT_SECONDS)
                continue
            return accepted

    async def _serve(self, number: int, stream: NodeStream) -> None:
        try:
            carrier: trio.abc.Stream = stream
            if self._tls is not None:
                carrier = await accept_tls(stream, self._tls)
            await self._make_connection(number, stream, carrier).serve()
        except _CONNECTION_ENDED:
            pass
        except Exception:
            _logger.exception("connection %d ended by an error", number)
        finally:
            self._streams.discard(stream)
            stream.cut(reset=False)

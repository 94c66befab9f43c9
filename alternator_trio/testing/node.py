"""One node of an embedded cluster, as a test drives it.

All of it is synchronous and has taken effect when it returns. Starting, stopping and killing are of the node's process;
its record, its delay and its pending faults stay with the node.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from alternator_trio.testing._addresses import listen
from alternator_trio.testing._checks import check_seconds
from alternator_trio.testing._script import Script, Scripted

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from alternator_trio.testing._process import NodeProcess


class LocalNode(Scripted):
    """One node of a `LocalCluster`; the cluster makes it.

    Attributes:
        address: its address, ``"127.0.0.1"``, as ``/localnodes`` lists it.
        port: the port, the same for all nodes.
        url: the endpoint, ``"http://127.0.0.1:19042"``.
        datacenter: the datacenter it is in.
        rack: the rack it is in.
    """

    def __init__(
        self,
        *,
        address: str,
        port: int,
        scheme: str,
        datacenter: str,
        rack: str,
        script: Script,
        run_process: Callable[[LocalNode, Script, socket.socket], NodeProcess],
    ) -> None:
        self.address = address
        self.port = port
        self.url = f"{scheme}://{address}:{port}"
        self.datacenter = datacenter
        self.rack = rack
        super().__init__(script)
        self._run_process = run_process
        self._process: NodeProcess | None = None
        self._listed_until = -math.inf

    def __repr__(self) -> str:
        state = "running" if self.is_running else "down"
        return f"<LocalNode {self.url} {self.datacenter}/{self.rack} {state}>"

    @property
    def is_running(self) -> bool:
        """Whether it listens; a paused node does."""
        return self._process is not None

    @property
    def is_listed(self) -> bool:
        """Whether the nodes' ``/localnodes`` answers name it: while it runs, and for a time after it was killed."""
        return self.is_running or trio.current_time() < self._listed_until

    @property
    def open_connections(self) -> int:
        """How many connections it holds open now."""
        return self._process.connections if self._process is not None else 0

    def start(self) -> None:
        """Start it again: it listens on its address, and is listed, when this returns.

        Raises:
            OSError: the address was taken in the meantime.
            RuntimeError: the cluster's block is over.
        """
        if self._process is None:
            self.adopt(listen(self.address, self.port))

    def stop(self) -> None:
        """Stop it in order: it leaves the list at once, its listener and its connections are closed (FIN)."""
        self._listed_until = -math.inf
        self._end_process(reset=False)

    def kill(self, *, listed_for: float = 20.0) -> None:
        """Crash it: listener and connections end abruptly (RST), the other nodes go on listing it.

        Args:
            listed_for: seconds on Trio's clock until it leaves the list; ScyllaDB takes about 20.

        Raises:
            ValueError: `listed_for` is negative.
        """
        check_seconds("listed_for", listed_for)
        if self.is_running:
            self._listed_until = trio.current_time() + listed_for
        self._end_process(reset=True)

    def pause(self) -> None:
        """Freeze it: connections are still accepted, by the kernel; nothing is read and nothing is answered.

        Raises:
            RuntimeError: it is not running.
        """
        self._running_process().gate.shut()

    def resume(self) -> None:
        """Go on after `pause`, with what came in the meantime.

        Raises:
            RuntimeError: it is not running.
        """
        self._running_process().gate.open()

    def adopt(self, listener: socket.socket) -> None:
        """Run on a listener that is listening already; the cluster's own entrance."""
        try:
            self._process = self._run_process(self, self._script, listener)
        except BaseException:
            listener.close()
            raise

    def _end_process(self, *, reset: bool) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(reset=reset)

    def _running_process(self) -> NodeProcess:
        if self._process is None:
            raise RuntimeError(f"{self.url} is not running")
        return self._process

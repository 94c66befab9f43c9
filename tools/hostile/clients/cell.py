"""What a client's process reports of one hostile server: a line of JSON for each step, as soon as it is done.

Rules: the standard library alone, since it runs in the environment of every client. An adapter opens its client, calls
`ready`, asks within `first`, lets a moment pass, calls `calm`, and asks within `second`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import resource
import socket
import time
import warnings
from collections.abc import Iterator, Sequence

SECONDS = 2.0
"""Every timeout that a client has is set to this."""
MEMORY = 3 * 2**30
"""Bytes of address space for a client's process."""
MOMENT = 0.1
"""Seconds between the requests: for bytes that come late."""
REPEATS = 30
"""Requests, with a moment after each, while a node list is asked for in the background."""
POLLS = 0.5
"""Seconds from one node list to the next."""
NO_ITEM = "no item"


def key_in(answer: object) -> object:
    """The key in the answer to GetItem; an answer without an item says that there is none."""
    return answer["Item"]["id"]["S"] if "Item" in answer else NO_ITEM


@dataclasses.dataclass(kw_only=True)
class Cell:
    """One client at one hostile server.

    Attributes:
        scheme: Of the server.
        port: On 127.0.0.1.
        control: The port on which it is told to be calm.
        ca: A file with its CA.
        kind: What to ask of it, as in the rows.
    """

    scheme: str
    port: int
    control: int
    ca: str
    kind: str

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def ready(self, *versions: str) -> None:
        """The client is open: time and memory count from now on."""
        warnings.simplefilter("ignore")
        self._before = _peak()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        report(step="ready", versions=versions)

    @contextlib.contextmanager
    def first(self) -> Iterator[list[object]]:
        """The hostile request; the body puts what it got into the list."""
        yield from self._asking("first")

    @contextlib.contextmanager
    def second(self) -> Iterator[list[object]]:
        """The request after it."""
        yield from self._asking("second")

    def calm(self) -> None:
        """Make the server a good one."""
        with socket.create_connection(("127.0.0.1", self.control)) as control:
            control.recv(1)

    def nodes(self, nodes: Sequence[str]) -> None:
        """The node list, of clients that have one."""
        report(step="nodes", nodes=list(nodes)[:50], count=len(nodes))

    def _asking(self, step: str) -> Iterator[list[object]]:
        got: list[object] = []
        error: Exception | None = None
        began = time.monotonic()
        try:
            yield got
        except Exception as caught:  # noqa: BLE001  # which one, is the question
            error = caught
        seconds = time.monotonic() - began
        failed: dict[str, object] = {}
        if error is not None:
            text = f"{error} {getattr(error, 'node', '')}"
            root = type(error).__module__.partition(".")[0]
            failed = {"error": type(error).__name__, "root": root, "named": f"127.0.0.1:{self.port}" in text}
        value = repr(got[0])[:80] if got else ""
        report(step=step, seconds=seconds, mebibytes=(_peak() - self._before) / 1024, got=value, **failed)


def report(**fields: object) -> None:
    """Write a line."""
    os.write(1, json.dumps(fields).encode() + b"\n")  # at once: a parent and its child share the pipe


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

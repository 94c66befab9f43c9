"""A server of fixed answers for machines without nginx: ``builtin_server.py PORT ADDRESS…``.

One thread, one selector, no parsing beyond what keeps a connection in step. In Python it costs about as much per
request as the bare exchange does, so its own core can become the limit: the harness says how busy it was.
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING

from payloads import OPERATIONS
from servers import localnodes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RECEIVE_BYTES = 65536


def response(body: str) -> bytes:
    """Put the headers before a body that ScyllaDB puts there."""
    content = body.encode("utf-8")
    head = (
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: application/x-amz-json-1.0\r\n"
        "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: builtin\r\n\r\n"
    )
    return head.format(len(content)).encode("ascii") + content


class Connection:
    """Reads requests from one client and answers each as soon as it is whole."""

    def __init__(
        self, client: socket.socket, answers: Sequence[tuple[bytes, bytes]], close: Callable[[], None]
    ) -> None:
        self._client = client
        self._answers = answers
        self._close = close
        self._received = b""

    def on_readable(self) -> None:
        """Take what has arrived; an end or an error ends the connection."""
        try:
            data = self._client.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        self._received += data
        while self._answer_one():
            pass

    def _answer_one(self) -> bool:
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        head = self._received[:head_end]
        length = CONTENT_LENGTH.search(head)
        request_end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < request_end:
            return False
        self._received = self._received[request_end:]
        self._client.send(next(answer for mark, answer in self._answers if mark in head))
        return True


def main(port: int, addresses: Sequence[str]) -> None:
    """Serve until the process is terminated."""
    answers = [
        (b"GET /localnodes", response(localnodes(addresses))),
        *((f".{name}".encode(), response(operation.answer_text)) for name, operation in OPERATIONS.items()),
        (b"", response("{}")),
    ]
    selector = selectors.DefaultSelector()

    def accept(listener: socket.socket) -> None:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(client, answers, partial(close, client))
        selector.register(client, selectors.EVENT_READ, connection.on_readable)

    def close(client: socket.socket) -> None:
        selector.unregister(client)
        client.close()

    for address in addresses:
        listener = socket.create_server((address, port), backlog=1024)
        selector.register(listener, selectors.EVENT_READ, partial(accept, listener))
    while True:
        for key, _ in selector.select():
            key.data()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

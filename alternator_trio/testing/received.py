"""What one node of the embedded cluster received: one request, exactly as it came over the wire.

Nothing is normalised: header names keep their case and their order, the target keeps its query, the body stays
compressed when it came compressed. Tests of bytes assert on this record and on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """One request that a node of a `LocalCluster` or a `SimulatedCluster` received.

    Attributes:
        method: the HTTP method, for example ``"POST"``.
        path: the request target as sent, with its query: ``"/localnodes?dc=dc1"``.
        headers: name and value of each header, in wire order and in the case of the wire.
        body: the body as it was sent, not decompressed; chunked transfer coding is taken off.
        connection_id: the connection it came on; no two connections of a cluster share a number.
        operation: ``"GetItem"`` from ``x-amz-target`` without its prefix; None without that header.
    """

    method: str
    path: str
    headers: Headers
    body: bytes
    connection_id: int
    operation: str | None

    def header(self, name: str) -> str | None:
        """The value of the first header called `name` in any case, or None.

        Example:
            ``request.header("content-encoding") == "gzip"``
        """
        wanted = name.lower().encode("ascii")
        for key, value in self.headers:
            if key.lower() == wanted:
                return value.decode("latin-1")
        return None

"""Requests as bytes: a lean head (host, user-agent, x-amz-target, content-type, content-length) and the body.

Rules: Content-Length is always sent, because without it the server reserves its maximum; parts that do not change from
request to request are built once; nothing that a caller names reaches a head unchecked.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection

from alternator_trio._wire.compression import accept_encoding
from alternator_trio._wire.operation_names import target
from alternator_trio.config import AlternatorConfig
from alternator_trio.content import Encoding, ResponseEncodings
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

__all__ = ["RequestWriter", "sdk_lines"]


class RequestWriter:
    """Writes requests of one client.

    Args:
        user_agent: The User-Agent header's value; None: there is no such header.

    Example:
        >>> writer = RequestWriter("demo/1")
        >>> writer.localnodes(Node("http", "10.0.0.1", 8000), RoutingScope.datacenter("dc1")).splitlines()[0]
        b'GET /localnodes?dc=dc1 HTTP/1.1'
    """

    __slots__ = ("_agent", "_by_node", "_by_operation")

    def __init__(self, user_agent: str | None) -> None:
        self._agent = b"" if user_agent is None else b"user-agent: %b\r\n" % user_agent.encode("ascii")
        self._by_node: dict[Node, bytes] = {}
        self._by_operation: dict[tuple[str, Encoding | None, ResponseEncodings], bytes] = {}

    def fields(self, operation: str, coding: Encoding | None = None, accepted: ResponseEncodings = ()) -> bytes:
        """The part of a head that an operation has to itself, for `post`.

        Args:
            operation: Its name.
            coding: How the body is compressed; None: not at all.
            accepted: The encodings that the answer may come in.

        Raises:
            EncodingError: The name is no operation's.
        """
        key = operation, coding, accepted
        fields = self._by_operation.get(key)
        if fields is None:
            fields = self._by_operation[key] = _fields(operation, coding, accepted)
        return fields

    def post(self, node: Node, fields: bytes, body: bytes, lines: bytes = b"") -> bytes:
        """An operation's request to ``node``.

        Args:
            node: Where it goes.
            fields: From `fields`.
            body: As it goes over the wire.
            lines: The header lines of this one attempt: its signature, and what AWS's SDKs say.
        """
        opening = self._by_node.get(node)
        if opening is None:
            opening = self._by_node[node] = self._opening(b"POST / HTTP/1.1\r\n", node)
        return b"%b%b%b%d\r\n\r\n%b" % (opening, lines, fields, len(body), body)

    def localnodes(self, node: Node, scope: RoutingScope) -> bytes:
        """The question for the node list of a scope; in cluster scope for that of the asked node's datacenter."""
        names = {"dc": scope.datacenter_name, "rack": scope.rack_name}
        given = {key: name for key, name in names.items() if name is not None}
        query = urllib.parse.urlencode(given, quote_via=urllib.parse.quote)
        path = f"/localnodes?{query}" if query else "/localnodes"
        return self._opening(b"GET %b HTTP/1.1\r\n" % path.encode("ascii"), node) + b"\r\n"

    def keep_only(self, nodes: Collection[Node]) -> None:
        """Drop what was built for nodes that left."""
        for node in [node for node in self._by_node if node not in nodes]:
            del self._by_node[node]

    def _opening(self, request_line: bytes, node: Node) -> bytes:
        return b"%bhost: %b\r\n%b" % (request_line, node.authority.encode("ascii"), self._agent)


def sdk_lines(identity: str, attempt: int, config: AlternatorConfig) -> bytes:
    """What AWS's SDKs send beside: for servers and tools that look for it (``optimize_headers=False``).

    Args:
        identity: The same for all attempts of a request.
        attempt: 1 for the first.
        config: How many there may be, and whether an encoding is asked for anyhow.
    """
    encoding = "" if config.response_compression else "accept-encoding: identity\r\n"
    most = max(attempt, config.retry.max_attempts)  # refused connections do not always count
    return (
        f"amz-sdk-invocation-id: {identity}\r\namz-sdk-request: attempt={attempt}; max={most}\r\n"
        f"{encoding}connection: keep-alive\r\n"
    ).encode("ascii")


def _fields(operation: str, coding: Encoding | None, accepted: ResponseEncodings) -> bytes:
    encoding = b"" if coding is None else b"content-encoding: %b\r\n" % coding.encode("ascii")
    accept = accept_encoding(accepted)
    asked = b"" if accept is None else b"accept-encoding: %b\r\n" % accept
    return b"x-amz-target: %b\r\ncontent-type: application/x-amz-json-1.0\r\n%b%bcontent-length: " % (
        target(operation).encode("ascii"),
        asked,
        encoding,
    )

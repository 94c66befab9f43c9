"""What a client asks one node on its own account: which nodes there are, and whether it is well.

Rules: over the same connections as everything else, and in the same line for them; one attempt, whose failure is the
asker's; nothing is remembered, and nobody is told.
"""

from __future__ import annotations

from typing import Final

import trio

from alternator_trio._transport.transport import Transport
from alternator_trio._wire.http_request import RequestWriter
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio._wire.localnodes import MAX_LOCALNODES_BYTES, LocalNodes, parse_localnodes
from alternator_trio.errors import DecodingError, ProtocolError
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

__all__ = ["NodeQuestions"]

_OK: Final = 200


class NodeQuestions:
    """Asks ``/localnodes`` of one node at a time.

    Args:
        transport: What the questions go over.
        writer: Writes them.
    """

    def __init__(self, transport: Transport, writer: RequestWriter) -> None:
        self._transport = transport
        self._pools = transport.pools
        self._writer = writer

    async def ask_localnodes(self, node: Node, scope: RoutingScope, seconds: float) -> LocalNodes:
        """Ask for the node list of a scope.

        Raises:
            AlternatorError: There is no usable answer.
        """
        response = await self._get_localnodes(node, scope, seconds)
        try:
            return parse_localnodes(response.body)
        except ValueError as error:
            raise DecodingError(f"not a node list: {error}", node=node.endpoint) from error

    async def probe(self, node: Node, seconds: float) -> None:
        """Ask whether it is well: whether it answers with 200, whatever it lists.

        Raises:
            PoolTimeoutError: There was no connection to ask on.
            TransportError: It does not answer so.
        """
        await self._get_localnodes(node, RoutingScope.cluster(), seconds)

    async def _get_localnodes(self, node: Node, scope: RoutingScope, seconds: float) -> HttpResponse:
        now = trio.current_time()
        lease = self._pools.take(node, now)
        if lease is None:
            lease = await self._pools.wait(node)
            now = trio.current_time()
        wire_request = self._writer.localnodes(node, scope)
        response = await self._transport.attempt(lease, wire_request, now, seconds, MAX_LOCALNODES_BYTES)
        if response.status != _OK:
            raise ProtocolError(f"status {response.status}", node=node.endpoint)
        return response

"""The native transport: one attempt on one lease, over our own pools and our own HTTP/1.1 exchange.

Rules: an attempt ends with its lease given back or discarded, whatever ended it, and never waits for that. Errors say
which node and whether anything may have been sent; what happens next is decided by the caller.
"""

from __future__ import annotations

import trio

from alternator_trio._transport.connection import Connection, Ending
from alternator_trio._transport.dialing import Dial
from alternator_trio._transport.pools import Pools
from alternator_trio._wire.http_head import Heads
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio.errors import (
    AttemptTimeoutError,
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    TransportError,
)

__all__ = ["NativeTransport"]


class NativeTransport:
    """Carries out attempts.

    Args:
        pools: Where leases come from and return to.
        dial: Makes wires.
    """

    __slots__ = ("_dial", "_heads", "pools")

    def __init__(self, pools: Pools, dial: Dial) -> None:
        self.pools = pools
        self._dial = dial
        self._heads = Heads()

    async def attempt(
        self, lease: Connection, request: bytes, now: float, seconds: float, max_body_bytes: int
    ) -> HttpResponse:
        """Send ``request`` on ``lease`` and return the answer, whatever its status.

        Args:
            lease: Taken from the pools; it is theirs again afterwards.
            request: Head and body.
            now: Trio's clock.
            seconds: For dialling, sending and receiving together.
            max_body_bytes: The largest body to accept.

        Raises:
            TransportError: There is no complete answer; ``may_have_happened`` says whether anything may have been sent.
            ClientClosedError: The client was closed meanwhile.
        """
        pools = self.pools
        try:
            pools.begin(lease, now + seconds)
            if not lease.was_dialled:
                await lease.dial(self._dial)
            if lease.ending is not None:
                raise ConnectError("the connection was closed while it was being made", node=lease.node.endpoint)
            return await lease.exchange(request, max_body_bytes, self._heads)
        except TransportError as error:
            if isinstance(error, ConnectionLostError) and lease.ending is None:
                pools.doubt(lease.node)
            raise _as_seen_by_caller(error, lease, seconds) from error.__cause__
        finally:
            pools.give_back(lease, trio.current_time())


def _as_seen_by_caller(error: TransportError, lease: Connection, seconds: float) -> TransportError | ClientClosedError:
    if lease.ending is Ending.CLIENT_CLOSED:
        return ClientClosedError("the client was closed", node=lease.node.endpoint, may_have_happened=lease.sent)
    if lease.ending is Ending.TIMED_OUT:
        return AttemptTimeoutError(
            f"no complete answer within {seconds:g} s", node=lease.node.endpoint, may_have_happened=lease.sent
        )
    error.may_have_happened = lease.sent
    return error

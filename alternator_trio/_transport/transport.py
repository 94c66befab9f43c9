"""What the data path asks of a transport; there are two: the native one, and one over httpx.

Rules: the pools admit, whatever carries the requests, so that bounds, waiting line and deadlines are the same for both.
"""

from __future__ import annotations

from typing import Protocol

from alternator_trio._transport.connection import Connection
from alternator_trio._transport.pools import Pools
from alternator_trio._wire.http_response import HttpResponse

__all__ = ["Transport"]


class Transport(Protocol):
    """Carries out attempts."""

    @property
    def pools(self) -> Pools:
        """Where leases come from and return to."""
        ...

    async def attempt(
        self, lease: Connection, request: bytes, now: float, seconds: float, max_body_bytes: int
    ) -> HttpResponse:
        """Send ``request`` on ``lease`` and return the answer, whatever its status.

        Args:
            lease: Taken from the pools; it is theirs again afterwards.
            request: Head and body, as HTTP/1.1 has them.
            now: Trio's clock.
            seconds: For dialling, sending and receiving together.
            max_body_bytes: The largest body to accept.

        Raises:
            TransportError: There is no complete answer; ``may_have_happened`` says whether anything may have been sent.
            DecodingError: Its body is beyond the bound.
            ClientClosedError: The client was closed meanwhile.
        """
        ...

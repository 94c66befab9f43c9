"""TLS over a raw socket: OpenSSL works on buffers in memory, and this moves them to and from the kernel.

Rules: as with plain sockets, closing is synchronous, a send that the kernel takes at once is no checkpoint, and a
receive always is one. What OpenSSL has to say besides (an alert of ours, a reply to the peer) goes out when the kernel
takes it at once, or with the next send; nobody waits for it. (Trio's own `trio.SSLStream` has two locks and four
schedule points per exchange, no sessions, and never sends an alert.)
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Final

import trio

from alternator_trio._transport.tls_errors import alert_of
from alternator_trio._transport.wires import RECEIVE_BYTES, AlertError, NothingSentError, Peek, peek_at, poll_of

__all__ = ["KeepSession", "TlsWire"]

KeepSession = Callable[[ssl.SSLSession], None]

_RECORD_BYTES: Final = 2**14  # the most that one record holds, and one read returns
_CHUNK_BYTES: Final = 2**18  # of a large request: so much is encrypted before it is sent
_UNJUDGED: Final = " before any answer, which under TLS 1.3 may mean that it refuses, or misses, a client certificate"


class TlsWire:
    """TLS over a connected TCP socket, as the client. Takes the socket over: the wire closes it.

    Args:
        sock: The socket.
        context: How to verify, and what to prove.
        server_name: What to verify the certificate for.
        session: The session to resume; None: a new one.
        keep: Told the session of this connection, once the peer has answered for the first time: under TLS 1.3 tickets
            come after the handshake. None: nobody wants it.

    Raises:
        ValueError: OpenSSL does not take the name.
    """

    __slots__ = (
        "_failure",
        "_has_ended",
        "_has_news",
        "_incoming",
        "_is_sending",
        "_is_unjudged",
        "_keep",
        "_outgoing",
        "_sock",
        "_tls",
        "_was_read",
    )

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        server_name: str,
        session: ssl.SSLSession | None = None,
        keep: KeepSession | None = None,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name, session=session)
        self._keep = keep
        self._has_news = poll_of(sock)
        self._has_ended = False
        self._failure: ssl.SSLError | None = None  # found behind what was read last, and not told yet
        self._was_read = False
        self._is_sending = False
        self._is_unjudged = False

    async def handshake(self) -> None:
        """Agree on keys and verify the peer; under TLS 1.3 it has not yet judged a client's certificate by then.

        Raises:
            OSError: It failed; `ssl.SSLError` is one.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send_pending()
                await self._fill()
            except ssl.SSLError:
                self._send_at_once()  # our alert: the peer's log then says why as well
                raise
            else:
                break
        self._is_unjudged = self._tls.version() == "TLSv1.3"
        await self._send_pending()

    async def send(self, data: bytes) -> None:
        """Send all of it; a checkpoint only when the kernel's buffer is full.

        Raises:
            AlertError: Nothing was sent, and the peer has said why.
        """
        rest, encrypted, sent = memoryview(data), b"", 0
        try:
            rest = rest[self._tls.write(rest[:_CHUNK_BYTES]) :]
            encrypted = self._outgoing.read()
            sent = self._sock.send(encrypted)
        except BlockingIOError:
            pass
        except OSError as error:
            # The kernel knew already. What the peer said before it ended is still there to be read.
            self._raise_alert()
            raise NothingSentError from self._explained(error)
        if rest or sent < len(encrypted):
            await self._send_rest(memoryview(encrypted)[sent:], rest)

    async def receive(self) -> bytes:
        """The next bytes; empty at the end of the stream. Always a checkpoint."""
        if self._has_ended or (self._incoming.pending and not self._was_read):
            # The end came with what was read last, or the data with the end of the handshake: no more need come.
            await trio.lowlevel.checkpoint()
            data = self._decrypted()
        else:
            data = None
        while data is None:
            try:
                await self._fill()
            except OSError as error:
                raise self._explained(error) from error
            data = self._decrypted()
        if not data and self._is_unjudged:
            raise trio.BrokenResourceError(f"the node ended the connection{_UNJUDGED}")
        return data

    def peek(self) -> Peek:
        """Look at the socket. What has come on a TLS 1.3 connection that was never read may be session tickets."""
        if self._has_ended:
            return Peek.ENDED
        if not self._incoming.pending and not self._has_news(0):
            return Peek.QUIET
        seen = Peek.STRAY if self._incoming.pending else peek_at(self._sock)
        return Peek.QUIET if seen is Peek.STRAY and self._is_unjudged else seen

    def close(self) -> None:
        """Close at once, waking whoever waits. The peer is not told: HTTP says where an answer ends."""
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()

    # Below: the parts of the above.

    def _decrypted(self) -> bytes | None:
        """All that can be read of what has come; empty at the end of the stream; None when it is not enough yet."""
        try:
            if self._failure is not None:
                raise self._failure
            data = self._tls.read(_RECORD_BYTES)
        except ssl.SSLWantReadError:
            self._send_at_once()
            return None
        except ssl.SSLEOFError:
            return b""
        except ssl.SSLError as error:
            self._send_at_once()
            if alert_of(error) is not None:
                raise AlertError from error
            raise
        if not self._was_read and data:
            self._begin_reading()
        return data + self._further_records() if self._incoming.pending else data

    def _begin_reading(self) -> None:
        self._was_read = True
        self._is_unjudged = False
        session = self._tls.session
        if self._keep is not None and session is not None:
            self._keep(session)

    def _further_records(self) -> bytes:
        """What else has come, so that nothing lies here unseen while the socket is waited for."""
        records = bytearray()
        try:
            # Behind the peer's good-bye OpenSSL reads nothing more: what lies there would be looked at for ever.
            while self._incoming.pending and not self._has_ended:
                record = self._tls.read(_RECORD_BYTES)
                records += record
                self._has_ended = not record
        except ssl.SSLWantReadError:
            pass  # a part of a record
        except ssl.SSLError as error:
            self._has_ended, self._failure = True, error  # for the next read: what came before it is good
        return bytes(records)

    def _explained(self, error: OSError) -> OSError:
        return OSError(error.errno, f"{error.strerror}{_UNJUDGED}") if self._is_unjudged else error

    async def _fill(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._sock)
            try:
                data = self._sock.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
            return

    async def _send_rest(self, encrypted: memoryview, data: memoryview) -> None:
        self._is_sending = True
        try:
            await self._push(encrypted)
            while data:
                data = data[self._tls.write(data[:_CHUNK_BYTES]) :]
                await self._push(memoryview(self._outgoing.read()))
        finally:
            self._is_sending = False

    async def _send_pending(self) -> None:
        await self._push(memoryview(self._outgoing.read()))

    async def _push(self, encrypted: memoryview) -> None:
        while encrypted:
            try:
                encrypted = encrypted[self._sock.send(encrypted) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sock)

    def _send_at_once(self) -> None:
        """Send what OpenSSL has to say besides, unless that would come between the parts of a record."""
        if self._is_sending or not self._outgoing.pending:
            return
        said = self._outgoing.read()
        try:
            sent = self._sock.send(said)
        except OSError:
            sent = 0
        if sent < len(said):
            self._outgoing.write(said[sent:])

    def _raise_alert(self) -> None:
        """Read what came before the end, without waiting: if it is an alert, raise it."""
        try:
            while data := self._sock.recv(RECEIVE_BYTES):
                self._incoming.write(data)
        except OSError:
            pass
        try:
            self._tls.read(_RECORD_BYTES)
        except ssl.SSLError as error:
            if alert_of(error) is not None:
                raise AlertError from error

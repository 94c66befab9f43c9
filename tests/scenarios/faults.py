"""Ways in which an attempt fails that another node may make good."""

from __future__ import annotations

from alternator_trio.testing import Answer, Close, Hang, Reset, Truncate
from tests.scripted_nodes import Raw

__all__ = ["FAULTS"]

FAULTS = {
    "reset": Reset(),
    "closed": Close(),
    "broken off": Truncate(body_bytes=1),
    "500": Answer(status=500, body=b'{"__type": "x#InternalServerError", "message": "no"}'),
    "503 without a body": Answer(status=503),
    "shed": Answer(status=400, body=b'{"__type": "x#RequestLimitExceeded", "message": "busy"}'),
    "not HTTP": Raw(data=b"* OK IMAP4rev1 ready\r\n", then="hang"),
    "timeout": Hang(),
}

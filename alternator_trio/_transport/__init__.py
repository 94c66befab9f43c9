"""Connections: sockets and streams, dialling, pools, and the HTTP/1.1 exchange over them.

Rules: foreign exceptions are translated here, once, into this package's errors; discarding a connection is synchronous;
nothing here knows an actor or an operation.
"""

from __future__ import annotations

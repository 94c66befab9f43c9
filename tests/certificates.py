"""Contexts for TLS between tests' clients and nodes, by a private authority's certificates."""

from __future__ import annotations

import ssl

import trustme

__all__ = ["client_context", "server_context"]


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    """What trusts the authority, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """What presents a certificate of the authority's for these names, by default for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
    return context

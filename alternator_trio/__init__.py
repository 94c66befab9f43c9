"""A concurrent client runtime for ScyllaDB Alternator (the DynamoDB API on ScyllaDB), built on Trio."""

from __future__ import annotations

from alternator_trio._version import __version__

__all__ = ["__version__"]

"""Bytes, sans-I/O: what goes over the wire and what comes back. No await, no clock, no socket, no randomness."""

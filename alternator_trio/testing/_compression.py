"""Answers compressed as Alternator does it: with what Accept-Encoding prefers, from a size on, at level 6.

Rules:

* Answers of a certain size and more, and streamed ones always; errors, health checks and ``/localnodes`` never. What
  compression makes larger is sent all the same.
* The highest weight wins, of equals the first; a weight of 0 forbids. ``identity`` is passed over, whatever its weight.
* ``*`` is any encoding that is not named, gzip first. Of equals, one that is named after it wins over it.
* A weight that is no number counts as 1, one beyond 0 and 1 as the nearer of them; of an encoding that is named
  several times the first weight above 0 counts.
"""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections.abc import Iterable
from typing import Final

from alternator_trio.testing._http import Reply

DEFAULT_COMPRESS_FROM: Final = 4096
"""From this many bytes on an answer is compressed, if its client accepts that."""

_OK: Final = 200
_LEVEL: Final = 6
_ANY: Final = "*"
_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}  # in the order of `*`
_NAMED: Final = frozenset({*_WINDOW_BITS, _ANY})
_WEIGHT: Final = re.compile(r"\s*q\s*=\s*(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*", re.ASCII | re.IGNORECASE)


def compressed(reply: Reply, accept_encoding: bytes | None, compress_from: int | None) -> Reply:
    """The answer to an operation, compressed when its size and its client allow it.

    Args:
        reply: The answer.
        accept_encoding: The request's header, if it has one.
        compress_from: The smallest body to compress, in bytes; None compresses nothing.
    """
    if accept_encoding is None or compress_from is None or reply.status != _OK:
        return reply
    if not reply.streamed and len(reply.body) < compress_from:
        return reply
    encoding = preferred(accept_encoding.decode("latin-1"))
    if encoding is None:
        return reply
    return dataclasses.replace(
        reply,
        body=zlib.compress(reply.body, _LEVEL, _WINDOW_BITS[encoding]),
        headers=(*reply.headers, ("Content-Encoding", encoding)),
    )


def preferred(accept_encoding: str) -> str | None:
    """The encoding that the header prefers; None for none."""
    weights: dict[str, float] = {}
    best, best_weight = None, 0.0
    for entry in accept_encoding.split(","):
        name, *parameters = entry.split(";")
        name = name.strip().lower()
        if name not in _NAMED or weights.get(name):
            continue
        weight = weights[name] = _weight(parameters, weights.get(name, 1.0))
        if weight > best_weight or (best == _ANY and weight == best_weight):
            best, best_weight = name, weight
    return _any_but(weights) if best == _ANY else best


def _any_but(weights: dict[str, float]) -> str | None:
    """What ``*`` stands for: what is not named, or when all are, the one with the highest weight."""
    for encoding in _WINDOW_BITS:
        if encoding not in weights:
            return encoding
    best = max(_WINDOW_BITS, key=lambda encoding: weights[encoding])
    return best if weights[best] else None


def _weight(parameters: Iterable[str], otherwise: float) -> float:
    for parameter in parameters:
        found = _WEIGHT.fullmatch(parameter)
        if found is not None:
            return min(max(float(found[1]), 0.0), 1.0)
    return otherwise

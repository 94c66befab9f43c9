"""Crashes of actors: a message that none of them knows."""

from __future__ import annotations

import dataclasses

from alternator_trio._supervision import Message

__all__ = ["Nonsense"]


@dataclasses.dataclass(frozen=True, slots=True)
class Nonsense(Message):
    """A message that no actor knows: whoever reads it crashes."""

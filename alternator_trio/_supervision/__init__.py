"""The actor kit: inboxes, replies, published values, services and their supervisor. It knows nothing of Alternator.

Rules: an actor owns a value, decides synchronously and publishes; a tell never waits; nothing that a service does
outlives the block that opened it. ``BaseException`` is caught here and nowhere else.
"""

from __future__ import annotations

from alternator_trio._supervision.actor import Actor, Children
from alternator_trio._supervision.block import Block, open_block
from alternator_trio._supervision.inbox import Inbox, InboxStatistics, Message, MessageDroppedError
from alternator_trio._supervision.published import Published
from alternator_trio._supervision.reply import Reply, ask, joined
from alternator_trio._supervision.supervisor import (
    CrashReport,
    IntensityExceededError,
    RestartForever,
    RestartLimited,
    RestartPolicy,
    supervise,
)

__all__ = [
    "Actor",
    "Block",
    "Children",
    "CrashReport",
    "Inbox",
    "InboxStatistics",
    "IntensityExceededError",
    "Message",
    "MessageDroppedError",
    "Published",
    "Reply",
    "RestartForever",
    "RestartLimited",
    "RestartPolicy",
    "ask",
    "joined",
    "open_block",
    "supervise",
]

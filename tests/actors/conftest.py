"""Actors in their places: the whole client over scripted nodes in memory, under the virtual clock.

Tests that take ``nodes`` take ``autojump_clock`` as well: pytest-trio looks for a clock in the test's own arguments.
"""

from __future__ import annotations

import dataclasses
import logging

import pytest

from alternator_trio._supervision import Inbox, Message
from tests.scripted_nodes import ScriptedNodes


@dataclasses.dataclass(frozen=True, slots=True)
class Nonsense(Message):
    """A message that no actor knows: whoever reads it crashes."""


@pytest.fixture
async def nodes():
    async with ScriptedNodes(3) as scripted:
        yield scripted


@pytest.fixture
def crash(caplog):
    """Crashes the reader of an inbox, as soon as it reads."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")

    def crash_reader(inbox: Inbox) -> None:
        inbox.deliver(Nonsense())

    return crash_reader

"""Scripted nodes for the tests of routing; tests that take them take ``autojump_clock`` as well."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from alternator_trio._supervision import Inbox, Message
from tests.routing.world import TOPOLOGY
from tests.scripted_nodes import ScriptedNodes


@dataclasses.dataclass(frozen=True, slots=True)
class Nonsense(Message):
    """A message that no actor knows: whoever reads it crashes."""


@pytest.fixture
async def nodes():
    """Two datacenters, 10.0.0.1 to 10.0.0.5."""
    async with ScriptedNodes(topology=TOPOLOGY) as scripted:
        yield scripted


@pytest.fixture
async def three():
    """Three nodes of one datacenter, whatever is asked for."""
    async with ScriptedNodes(3) as scripted:
        yield scripted


@pytest.fixture
def crash(caplog):
    """Crashes the reader of an inbox, as soon as it reads."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")

    def crash_reader(inbox: Inbox) -> None:
        inbox.deliver(Nonsense())

    return crash_reader

"""What tests of many folders take."""

from __future__ import annotations

import logging

import pytest

from alternator_trio._supervision import Inbox
from tests.crashing import Nonsense


@pytest.fixture
def crash(caplog):
    """Crashes the reader of an inbox, as soon as it reads; crashes are meant then, and need no log."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")

    def crash_reader(inbox: Inbox) -> None:
        inbox.deliver(Nonsense())

    return crash_reader

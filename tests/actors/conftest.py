"""Actors in their places: the whole client over scripted nodes in memory; and a registry by itself.

Tests that take ``nodes`` take ``autojump_clock`` as well: pytest-trio looks for a clock in the test's own arguments.
"""

from __future__ import annotations

import pytest

from tests.actors.registry import CHAIN, HEALTH, Setting
from tests.scripted_nodes import ScriptedNodes


@pytest.fixture
async def nodes():
    async with ScriptedNodes(3) as scripted:
        yield scripted


@pytest.fixture
async def chained(nursery):
    """A registry whose preferred scope is a rack, with its datacenter and another one as fallbacks."""
    setting = Setting(chain=CHAIN, health=HEALTH)
    nursery.start_soon(setting.registry.run)
    return setting

"""Scripted nodes for the tests of routing; tests that take them take ``autojump_clock`` as well."""

from __future__ import annotations

import pytest

from tests.routing.world import TOPOLOGY
from tests.scripted_nodes import ScriptedNodes


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

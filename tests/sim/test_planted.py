"""The planted bugs (``tools/simulate/planted.py``) apply to the package as it is."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path

import pytest

PLANTED = runpy.run_path(str(Path(__file__).parents[2] / "tools/simulate/planted.py"))["PLANTED"]


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_a_planted_bug_applies(bug):
    """Its text is in its module once, and what is put there is Python."""
    source = Path(importlib.util.find_spec(bug.module).origin).read_text()
    assert source.count(bug.old) == 1
    compile(source.replace(bug.old, bug.new), bug.module, "exec")

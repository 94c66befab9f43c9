"""The chaos tool's modules stand beside its program, and what tools have in common beside them."""

from __future__ import annotations

import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools"
sys.path[:0] = [str(TOOLS / "chaos"), str(TOOLS)]

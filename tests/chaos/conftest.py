"""The chaos tool's modules stand beside its program, as for ``python tools/chaos``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "chaos"))

"""``python -m alternator_trio``: the ``alternator-trio`` command."""

from __future__ import annotations

import sys

from alternator_trio.cli import main

if __name__ == "__main__":
    sys.exit(main())

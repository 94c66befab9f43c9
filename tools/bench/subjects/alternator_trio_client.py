"""This client as an application opens it: one seed, every option at its default, discovery included."""

from __future__ import annotations

from _client import open_calls
from _on_trio import main

if __name__ == "__main__":
    main(open_calls, distributions=("alternator-trio", "httptools", "orjson"))

"""The same with credentials: every attempt is signed. The server does not check."""

from __future__ import annotations

from functools import partial

from _client import open_calls
from _on_trio import main

from alternator_trio import Credentials

if __name__ == "__main__":
    role = Credentials("bench", "a-salted-hash-of-ordinary-length")
    main(partial(open_calls, credentials=role), distributions=("alternator-trio", "httptools", "orjson"))

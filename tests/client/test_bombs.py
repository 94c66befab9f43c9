"""Answers that unpack to far more than they are cost bounded memory, an error that says so, and nothing afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAP = 8 * 2**20
EXPECTED = {
    "one_to_a_thousand": "unpacks to more than 8388608 bytes",
    "nested": "the body cannot be read",
    "nested_and_said_so": "encoded more than once",
    "endless": "AttemptTimeoutError",
    "endless_and_plain": "too large (max_response_bytes)",
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_bomb_costs_no_more_memory_than_the_bound_asks_for(kind):
    """Peak RSS of a process that does nothing else grows by at most twice ``max_response_bytes`` and a little."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-m", "tests.client.bombs", kind, str(CAP)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert EXPECTED[kind] in seen["error"]
    assert "127.0.0.1" in seen["error"]
    assert seen["growth"] <= 2 * CAP / 2**20 + 8
    assert seen["left"] == 0  # the answer after it was read

"""The table of scenarios in the documentation: what it says is shown is there."""

from __future__ import annotations

import pathlib
import re

import pytest

HERE = pathlib.Path(__file__).parent
TABLE = HERE.parent.parent / "docs" / "scenarios.md"
ROWS = re.findall(r"^\| ([A-Z]\d) \|.*\| `(test_\w+\.py)` \|.*\| shown \|$", TABLE.read_text(), re.MULTILINE)


def test_the_table_has_all_rows():
    """All scenarios are in it, and the pattern above fits each of them."""
    assert len({scenario for scenario, _ in ROWS}) == len(ROWS) == 26


@pytest.mark.parametrize(("scenario", "file"), ROWS)
def test_a_row_names_a_file_with_tests_of_its_id(scenario, file):
    """`pytest -k test_c1` shows what the row of C1 says."""
    text = (HERE / file).read_text()
    assert re.search(rf"^(async )?def test_{scenario.lower()}_", text, re.MULTILINE)

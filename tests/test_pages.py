"""The pages for users: their examples run, and the page of errors knows all of them."""

from __future__ import annotations

import importlib.util
import inspect
import pathlib
import re

import botocore.exceptions
import pytest
import trio

import alternator_trio
from alternator_trio import Instrument, NodeStateChanged, ServiceError, errors, open_alternator
from alternator_trio.testing import LocalCluster
from tests.client.conftest import create_table

DOCS = pathlib.Path(__file__).parent.parent / "docs"
ERRORS = (DOCS / "errors.md").read_text(encoding="utf-8")
NAMES = {**vars(alternator_trio), "trio": trio}


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def run(block):
    names = dict(NAMES)
    exec(compile(block, "<page>", "exec"), names)  # noqa: S102  # our own pages
    return names


PAGES = ("errors.md", "usage.md", "coming-from-boto3.md")
EXAMPLES = [block for page in PAGES for block in blocks(page) if "async def example" in block]


@pytest.mark.parametrize("block", EXAMPLES, ids=range(len(EXAMPLES)))
async def test_an_example_runs(block):
    """Against a cluster with the table, empty and then with an item."""
    example = run(block)["example"]
    async with LocalCluster(nodes=1) as cluster, open_alternator(*cluster.seeds) as client:
        await create_table(client)
        await example(client)
        await client.put_item(TableName="users", Item={"id": {"S": "ada"}, "born": {"N": "1815"}})
        found = await example(client)
    assert found in (None, [{"id": {"S": "ada"}, "born": {"N": "1815"}}])


def test_the_example_of_an_instrument_works():
    """It follows nodes down and up."""
    (block,) = [block for block in blocks("usage.md") if "class Recorder" in block]
    recorder = run(block)["Recorder"]()
    assert isinstance(recorder, Instrument)
    recorder.node_state_changed(NodeStateChanged(node="a", old="ACTIVE", new="DOWN"))
    assert recorder.down == {"a"}
    recorder.node_state_changed(NodeStateChanged(node="a", old="DOWN", new="QUARANTINED"))
    assert recorder.down == set()


def test_the_tree_on_the_page_is_the_tree():
    """Each error below its base."""
    tree = re.search(r"```text\n(.*?)```", ERRORS, re.DOTALL)[1]
    lines = re.findall(r"^([│├└─ ]*)(\w+Error)\b", tree, re.MULTILINE)
    path, bases = [], {}
    for indent, name in lines:
        path = [*path[: len(indent) // 4], name]
        bases[name] = path[-2] if len(path) > 1 else "Exception"
    assert bases == {name: getattr(errors, name).__mro__[1].__name__ for name in errors.__all__}


def test_every_error_has_a_row():
    """What it means and what to do."""
    rows = re.findall(r"^\| `(\w+Error)` \|", ERRORS.partition("## Has")[0], re.MULTILINE)
    assert {*rows, "AlternatorError"} == set(errors.__all__)


def test_the_service_errors_on_the_page_exist():
    """Under the names that the page gives them."""
    table = ERRORS.partition("## What the service says")[2]
    names = [
        name for name in re.findall(r"`([A-Z]\w+)`", table.partition("|---")[2]) if name.endswith(("n", "d", "e", "r"))
    ]
    named = [getattr(alternator_trio, name, None) for name in names if name != "ReturnValuesOnConditionCheckFailure"]
    assert len(named) > 10
    assert all(inspect.isclass(each) and issubclass(each, ServiceError) for each in named)


def test_the_errors_beside_botocores_exist():
    """On both sides of the table."""
    text = (DOCS / "coming-from-boto3.md").read_text(encoding="utf-8").partition("\n## Errors")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| (.*?) \|$", text.partition("|---|---|\n")[2], re.MULTILINE)
    theirs = {name for left, _ in rows for name in re.findall(r"`(\w+Error)`", left)}
    ours = {name for _, right in rows for name in re.findall(r"`(\w+(?:Error|Exception))`", right)}
    assert {"ClientError", "ReadTimeoutError"} <= theirs
    assert [name for name in theirs if not hasattr(botocore.exceptions, name)] == []
    assert "AttemptTimeoutError" in ours
    assert [name for name in ours if not hasattr(alternator_trio, name)] == []


def test_every_example_is_type_checked_or_says_why_not():
    """None is passed over without a word, and a message's line is the page's."""
    path = DOCS.parent / "tools" / "check_examples.py"
    spec = importlib.util.spec_from_file_location("check_examples", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for page in tool.pages():
        text = page.read_text(encoding="utf-8")
        examples = list(tool.examples(text))
        assert len(examples) == text.count("```python") - text.count("<!-- not type-checked: ")
        for line, example in examples:
            module = tool.module_of(line, example).splitlines()
            first = example.splitlines()[0]
            assert module[line - 1].strip() == first == text.splitlines()[line - 1]

"""The examples of all docstrings run and show what they say; those that await run against a local cluster."""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import inspect
import io
import pkgutil

import pytest

import alternator_trio
from alternator_trio import open_alternator
from alternator_trio.testing import LocalCluster
from tests.users import USERS

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(alternator_trio.__path__, "alternator_trio.")
    if not module.name.endswith("__main__")
)
# An exception is compared by its class's own name: where the class is defined may be private.
OPTIONS = doctest.IGNORE_EXCEPTION_DETAIL | doctest.ELLIPSIS


def compiled(example: doctest.Example):
    return compile(example.source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def awaits(test: doctest.DocTest) -> bool:
    return any(compiled(example).co_flags & inspect.CO_COROUTINE for example in test.examples)


def examples_of(module_name: str) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(importlib.import_module(module_name)) if test.examples]


AWAITING = [test for name in ["alternator_trio", *MODULES] for test in examples_of(name) if awaits(test)]


@pytest.mark.parametrize("name", ["alternator_trio", *MODULES])
def test_the_examples_of_a_module_hold(name: str) -> None:
    """What stands in a docstring is true."""
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in examples_of(name):
        if not awaits(test):
            runner.run(test)
    assert runner.summarize().failed == 0


@pytest.mark.parametrize("test", AWAITING, ids=lambda test: test.name)
async def test_an_example_that_awaits_holds(test: doctest.DocTest) -> None:
    """As it stands, with a client and a cluster at hand, and the cluster where the example says 10.0.0.x."""
    async with LocalCluster(nodes=1) as cluster, open_alternator(*cluster.seeds) as client:
        await client.create_table(**USERS)

        def open_here(*seeds: str, **options: object):
            return open_alternator(*(cluster.seeds if seeds[0].startswith("http://10.0.0.") else seeds), **options)

        names = {**test.globs, "cluster": cluster, "client": client, "open_alternator": open_here}
        for example in test.examples:
            shown = io.StringIO()
            with contextlib.redirect_stdout(shown):
                result = eval(compiled(example), names)  # noqa: S307  # our own examples
                if inspect.iscoroutine(result):
                    await result
            if example.want:
                assert doctest.OutputChecker().check_output(example.want, shown.getvalue(), OPTIONS), shown.getvalue()


def test_every_module_is_found() -> None:
    """A walk that found nothing would test nothing."""
    assert "alternator_trio.nodes" in MODULES
    assert "alternator_trio._supervision.published" in MODULES
    assert AWAITING

"""Hooks that would never be called are refused when a configuration is built; other methods are nobody's business."""

from __future__ import annotations

import re
from unittest.mock import create_autospec

import pytest

from alternator_trio import AlternatorConfig, ConfigurationError, Instrument


def configured(**members: object) -> AlternatorConfig:
    instrument = type("Recorder", (Instrument,), members)()
    return AlternatorConfig(seeds=["http://10.0.0.1:8000"], instruments=[instrument])


def method(self, event: object = None) -> None:
    """Does nothing."""


async def coroutine(self, event: object) -> None:
    """Does nothing, once it is awaited."""


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("scope_change", "scope_changed"),
        ("on_scope_changed", "scope_changed"),
        ("nodes_state_changed", "node_state_changed"),
        ("scopeChanged", "scope_changed"),
        ("clock_scew_corrected", "clock_skew_corrected"),
    ],
)
def test_a_misspelt_hook_is_named_with_the_nearest(written, meant):
    """It would be passed over without a word."""
    expected = f"instruments: Recorder.{written} is no hook and would never be called; did you mean '{meant}'?"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(expected)}$"):
        configured(**{written: method})


def test_an_async_hook_is_refused():
    """Nobody would await it."""
    with pytest.raises(ConfigurationError, match=r"^instruments: Recorder\.scope_changed is async"):
        configured(scope_changed=coroutine)


@pytest.mark.parametrize(
    "members",
    [
        {"scope_changed": method, "on_scope_changed": method},
        {"report": method, "close": coroutine, "nodes": method, "scopes": method, "changed": method},
        {"_scope_change": method},
        {"scope_changes": ()},
    ],
    ids=["beside its hook", "other names", "private", "no method"],
)
def test_methods_of_its_own_are_an_instruments_business(members):
    """Nothing says that they were meant to be hooks."""
    assert configured(**members).instruments


def test_a_hook_may_be_the_objects_own():
    """Given to one instrument, not to its class: a method beside it is no slip."""
    instrument = type("Recorder", (Instrument,), {"on_scope_changed": method})()
    instrument.scope_changed = print
    assert AlternatorConfig(seeds=["http://10.0.0.1:8000"], instruments=[instrument]).instruments == (instrument,)


def test_a_mock_that_has_the_hooks_is_taken():
    """Of a specified mock Python says that its methods are async; they are called synchronously all the same."""
    mock = create_autospec(Instrument, instance=True)
    assert AlternatorConfig(seeds=["http://10.0.0.1:8000"], instruments=[mock]).instruments == (mock,)

"""Settings: what is refused, and when the outage comes."""

from __future__ import annotations

import pytest

from alternator_trio.cli.settings import Settings
from alternator_trio.errors import ConfigurationError


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"seconds": 0}, "--seconds"),
        ({"seconds": -1}, "--seconds"),
        ({"seconds": float("nan")}, "--seconds"),
        ({"seconds": float("inf")}, "--seconds"),
        ({"concurrency": 1}, "--concurrency"),
        ({"nodes": 1}, "--nodes"),
        ({"nodes": 255}, "--nodes"),
        ({"seeds": ("127.0.0.1:8000",)}, "127.0.0.1:8000"),
        ({"seeds": ("http://a:1", "http://b:2")}, "http://b:2"),
    ],
)
def test_a_bad_value_is_named(options, named):
    """The message names the option, or the seed."""
    with pytest.raises(ConfigurationError, match=named):
        Settings(**options)


@pytest.mark.parametrize("concurrency", [2, 3, 8, 32, 1000])
def test_all_tasks_together_are_the_concurrency(concurrency):
    """There is at least one of each kind of task, and no more than asked for."""
    settings = Settings(concurrency=concurrency)
    assert settings.workers >= 1
    assert settings.guarded_writers >= 1
    assert settings.workers + settings.guarded_writers == concurrency


@pytest.mark.parametrize("seconds", [0.1, 1, 15, 3600])
def test_the_outage_lies_within_the_load(seconds):
    """The kill comes after the beginning, the return before the end."""
    settings = Settings(seconds=seconds)
    assert 0 < settings.kill_at < settings.restart_at < seconds


def test_a_long_run_has_a_short_outage():
    """A node comes back long before the others drop it from their lists, after 20 seconds."""
    settings = Settings(seconds=3600)
    assert settings.restart_at - settings.kill_at <= 5

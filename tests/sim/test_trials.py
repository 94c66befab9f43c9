"""Some seeds of the simulation, as ``nox -s simulate`` runs a thousand of, and their exact replay."""

from __future__ import annotations

import logging

import pytest

from tests.sim.trial import run_trial


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """That nodes go down is no news here."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")


@pytest.mark.parametrize("seed", range(16))
def test_a_seed_finds_nothing(seed):
    """Safety with faults on, then liveness after healing."""
    assert run_trial(seed).violations == ()


def test_a_trial_repeats_exactly():
    """Twice the same seed: the same events at the same times."""
    one, other = run_trial(5), run_trial(5)
    assert (one.digest, one.events) == (other.digest, other.events)


def test_looking_on_changes_nothing():
    """A trace shows the run that was, not another."""
    events = []
    assert run_trial(6, events.append).digest == run_trial(6).digest
    assert events

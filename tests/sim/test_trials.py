"""Some seeds of the simulation, as ``nox -s simulate`` runs a thousand of; their exact replay; bugs that they find."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from alternator_trio import _request
from alternator_trio._core.health import NodeState
from alternator_trio._router import Router
from alternator_trio._transport.connection import Connection
from tests.sim.trial import run_trial


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """That nodes go down is no news here."""
    caplog.set_level(logging.CRITICAL, logger="alternator_trio")


@pytest.mark.parametrize("seed", range(12))
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


def test_a_plan_that_hands_out_a_node_that_is_down_is_found(monkeypatch):
    """A router that takes every node for active: the checker asks the snapshot, not the router."""
    monkeypatch.setattr(Router, "_state_of", lambda router, node: NodeState.ACTIVE)
    assert any("which is down" in violation for violation in run_trial(1).violations)


def test_a_connection_that_is_used_again_in_the_middle_is_found(monkeypatch):
    """A connection goes back to the pool whatever became of its exchange: answers come to the wrong requests."""
    monkeypatch.setattr(Connection, "is_reusable", property(lambda lease: lease._wire is not None))
    assert run_trial(0).violations


def test_an_unknown_outcome_that_is_called_a_failure_is_found(monkeypatch):
    """An error that says that nothing happened, of a write that did."""
    monkeypatch.setattr(_request, "has_unknown_outcome", lambda failure: False)
    assert any("failed for certain" in violation for violation in run_trial(1).violations)


def test_a_key_that_moves_with_health_is_found(monkeypatch):
    """A coordinator that is drawn from the healthy nodes: another one as soon as any of them is down."""
    monkeypatch.setattr(Router, "_affine_plan", moving_with_health(Router._affine_plan))
    assert any("over the same ring" in violation for violation in run_trial(1).violations)


def moving_with_health(original):
    def affine_plan(router, request, affinity, live):
        return original(router, request, affinity, dataclasses.replace(live, ring=live.eligible or live.ring))

    return affine_plan

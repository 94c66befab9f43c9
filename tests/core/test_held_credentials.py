"""How long credentials serve, when others are asked for, and how long a failure counts."""

from __future__ import annotations

import math

import pytest

from alternator_trio._core.held_credentials import HeldCredentials, cooldown, held_for
from alternator_trio.credentials import Credentials

ROLE = Credentials("role", "salted_hash")


@pytest.mark.parametrize(
    ("seconds", "ahead", "margin"),
    [(86400.0, 900.0, 60.0), (3600.0, 900.0, 60.0), (600.0, 150.0, 60.0), (60.0, 15.0, 6.0), (0.0, 0.0, 0.0)],
)
def test_the_margins_are_at_most_a_part_of_the_time(seconds, ahead, margin):
    """A quarter of an hour and a minute; a quarter and a tenth of what does not hold for so long."""
    end = 100.0 + seconds
    assert held_for(ROLE, seconds, 100.0) == HeldCredentials(ROLE, ask_at=end - ahead, usable_until=end - margin)


def test_credentials_without_an_end_are_not_asked_for_again():
    """Not before a node refuses them."""
    assert held_for(ROLE, math.inf, 100.0) == HeldCredentials(ROLE, ask_at=math.inf, usable_until=math.inf)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1.0), (2, 2.0), (6, 32.0), (7, 60.0), (10**6, 60.0)])
def test_cooldowns_double_to_a_minute(failures, seconds):
    """Also after very many failures, without overflow."""
    assert cooldown(failures) == seconds

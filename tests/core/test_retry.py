"""What follows a failed attempt, as a table; the arithmetic of backoff; the quota."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.retry import (
    QUOTA_TOKENS,
    RETRY_COST,
    THROTTLED_COST,
    Failure,
    Retry,
    RetryQuota,
    Situation,
    decide,
    failure_of,
    has_unknown_outcome,
)
from alternator_trio.config import RetryPolicy

POLICY = RetryPolicy()


class Greatest(random.Random):
    """Randomness that always draws the upper end, so that a delay shows its bound."""

    def random(self):
        return 1.0


def situation(failure, *, attempts=1, before=0, unknown=False, repeatable=True, asked=0.0):
    return Situation(
        failure=failure,
        attempts=attempts,
        retries_of_failure=before,
        unknown_outcome=unknown,
        repeatable=repeatable,
        asked_delay=asked,
    )


def verdict(failure, **how):
    return decide(situation(failure, **how), POLICY, Greatest())


# failure, failures of the kind before, greatest delay of the first retry, cost
TABLE = [
    (Failure.CONNECT, 0, 0.0, 0),
    (Failure.CONNECT, 1, 0.0, 0),
    (Failure.LOST, 0, 0.0, 0),
    (Failure.LOST, 1, 0.0, RETRY_COST),
    (Failure.TIMEOUT, 0, 0.025, RETRY_COST),
    (Failure.SERVER_ERROR, 0, 0.025, RETRY_COST),
    (Failure.SHED, 0, 0.0, THROTTLED_COST),
    (Failure.SHED, 1, 1.0, THROTTLED_COST),
    (Failure.THROTTLED, 0, 1.0, THROTTLED_COST),
]


@pytest.mark.parametrize(("failure", "before", "delay", "cost"), TABLE)
def test_the_table(failure, before, delay, cost):
    """At once where the node alone is to blame, with backoff otherwise; a first connection failure is free."""
    assert verdict(failure, before=before) == Retry(delay=delay, cost=cost)


@pytest.mark.parametrize("failure", Failure)
def test_the_last_attempt_is_the_last(failure):
    """At the policy's number of attempts it is over, whatever the failure."""
    assert verdict(failure, attempts=POLICY.max_attempts) == "give up"
    assert decide(situation(failure), RetryPolicy(max_attempts=1), Greatest()) == "give up"


@pytest.mark.parametrize("failure", [Failure.FINAL, Failure.UNCLEAR])
@pytest.mark.parametrize("attempts", range(1, 9))
def test_a_final_failure_is_not_tried_again(failure, attempts):
    """Another attempt would be told the same."""
    assert decide(situation(failure, attempts=attempts), RetryPolicy(max_attempts=9), Greatest()) == "give up"


@pytest.mark.parametrize(
    ("failure", "asked", "delay"),
    [
        (Failure.SERVER_ERROR, 3.0, 3.025),
        (Failure.THROTTLED, 3.0, 4.0),
        (Failure.SHED, 3.0, 4.0),
        (Failure.SERVER_ERROR, 19.99, 20.0),
        (Failure.SERVER_ERROR, 3600.0, 20.0),
    ],
)
def test_what_the_server_asks_for_is_waited(failure, asked, delay):
    """At least so long, with the usual pause on top, and never longer than the policy's longest pause."""
    assert verdict(failure, asked=asked).delay == pytest.approx(delay)


@given(st.integers(0, 2**32), st.floats(0.001, 1e9))
def test_a_wait_that_is_asked_for_is_no_shorter(seed, asked):
    """Whatever the jitter, unless the policy's ceiling is in the way."""
    after = decide(situation(Failure.SERVER_ERROR, asked=asked), POLICY, random.Random(seed))
    assert min(asked, POLICY.max_delay) <= after.delay <= POLICY.max_delay


@pytest.mark.parametrize("failure", [failure for failure in Failure if has_unknown_outcome(failure)])
@pytest.mark.parametrize("attempts", [1, 3, 4])
def test_an_unknown_outcome_that_must_not_be_repeated_is_indeterminate(failure, attempts):
    """At any attempt, the last included: it is not a plain failure. A repeatable one goes on."""
    assert verdict(failure, attempts=attempts, unknown=True, repeatable=False) == "indeterminate"
    assert verdict(failure, attempts=1, unknown=True, repeatable=True) != "indeterminate"


def test_what_was_not_executed_is_retried_repeatable_or_not():
    """A known outcome, that nothing happened, needs no repeatability."""
    for failure in (Failure.CONNECT, Failure.SHED, Failure.THROTTLED):
        assert isinstance(verdict(failure, unknown=False, repeatable=False), Retry)


def test_which_outcomes_are_unknown():
    """Those after which bytes may have been sent and no word came back, the server's own failures, and odd answers."""
    unknown = {failure for failure in Failure if has_unknown_outcome(failure)}
    assert unknown == {Failure.LOST, Failure.TIMEOUT, Failure.SERVER_ERROR, Failure.UNCLEAR}


@pytest.mark.parametrize(("attempts", "bound"), [(1, 0.025), (2, 0.05), (3, 0.1), (10, 12.8), (11, 20.0), (5000, 20.0)])
def test_backoff_doubles_up_to_its_ceiling(attempts, bound):
    """Also after very many attempts, without overflow."""
    policy = RetryPolicy(max_attempts=10_000)
    after = decide(situation(Failure.SERVER_ERROR, attempts=attempts), policy, Greatest())
    assert after == Retry(delay=pytest.approx(bound), cost=RETRY_COST)


@pytest.mark.parametrize(("attempts", "bound"), [(1, 1.0), (2, 2.0), (5, 16.0), (6, 20.0)])
def test_throttling_backs_off_from_a_second(attempts, bound):
    """The base is another, the ceiling the same."""
    policy = RetryPolicy(max_attempts=100)
    after = decide(situation(Failure.THROTTLED, attempts=attempts), policy, Greatest())
    assert after == Retry(delay=pytest.approx(bound), cost=THROTTLED_COST)


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_jitter_is_full(seed, attempts):
    """A delay lies anywhere from zero to its bound."""
    policy = RetryPolicy(max_attempts=100, base_delay=0.5, max_delay=8.0)
    after = decide(situation(Failure.TIMEOUT, attempts=attempts), policy, random.Random(seed))
    assert 0.0 <= after.delay <= min(0.5 * 2 ** (attempts - 1), 8.0)


def test_delays_spread():
    """Of many delays some are in the lowest and some in the highest tenth of the range."""
    rng = random.Random(5)
    delays = [decide(situation(Failure.TIMEOUT), RetryPolicy(base_delay=1.0), rng).delay for _ in range(200)]
    assert min(delays) < 0.1
    assert max(delays) > 0.9


@pytest.mark.parametrize(
    ("code", "status", "failure"),
    [
        ("RequestLimitExceeded", 400, Failure.SHED),
        ("ProvisionedThroughputExceededException", 400, Failure.THROTTLED),
        ("ThrottlingException", 400, Failure.THROTTLED),
        ("Throttling", 500, Failure.THROTTLED),
        ("SlowDown", 503, Failure.THROTTLED),
        ("InternalServerError", 500, Failure.SERVER_ERROR),
        ("HTTP502", 502, Failure.SERVER_ERROR),
        ("HTTP503", 503, Failure.SERVER_ERROR),
        ("HTTP504", 504, Failure.SERVER_ERROR),
        ("HTTP429", 429, Failure.THROTTLED),
        ("HTTP501", 501, Failure.UNCLEAR),
        ("HTTP599", 599, Failure.UNCLEAR),
        ("HTTP204", 204, Failure.UNCLEAR),
        ("HTTP408", 408, Failure.FINAL),
        ("ValidationException", 400, Failure.FINAL),
        ("ConditionalCheckFailedException", 400, Failure.FINAL),
        ("ResourceNotFoundException", 400, Failure.FINAL),
        ("HTTP404", 404, Failure.FINAL),
        ("PayloadTooLarge", 413, Failure.FINAL),
        ("HTTP300", 300, Failure.FINAL),
        ("HTTP301", 301, Failure.FINAL),
    ],
)
def test_which_failure_an_answer_is(code, status, failure):
    """The code decides where it is one of throttling, else the status."""
    assert failure_of(code, status) is failure


def test_the_quota_runs_out():
    """Five hundred tokens are thirty-five retries at fourteen; the ten left do not make another."""
    quota = RetryQuota()
    assert sum(quota.take(RETRY_COST) for _ in range(100)) == QUOTA_TOKENS // RETRY_COST == 35
    assert quota.tokens == 10
    assert quota.take(THROTTLED_COST)


def test_what_is_free_costs_nothing_even_without_tokens():
    """The first retry after a connection failure is not the quota's affair."""
    quota = RetryQuota(tokens=0)
    assert quota.take(0)
    assert not quota.take(1)


def test_what_failed_requests_took_comes_back_with_successes():
    """One token with each success that needed no retry: else a quota that was used up once would stay so."""
    quota = RetryQuota(tokens=0)
    for _ in range(RETRY_COST):
        assert not quota.take(RETRY_COST)
        quota.refund(0)
    assert quota.take(RETRY_COST)


def test_a_refund_does_not_make_tokens():
    """The quota is never fuller than at first."""
    quota = RetryQuota()
    quota.take(RETRY_COST)
    quota.refund(5 * RETRY_COST)
    assert quota.tokens == QUOTA_TOKENS


@given(st.lists(st.sampled_from([0, THROTTLED_COST, RETRY_COST]) | st.integers(-40, -1), max_size=80))
def test_the_quota_stays_within_its_bounds(steps):
    """Whatever is taken (positive) and refunded (negative), in whatever order."""
    quota = RetryQuota()
    for step in steps:
        quota.take(step) if step >= 0 else quota.refund(-step)
        assert 0 <= quota.tokens <= QUOTA_TOKENS

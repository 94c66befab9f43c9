"""Go's math/rand, made word by word as needed, against one that fills its whole state as Go does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.go_rand import GoRand, first_intn
from alternator_trio._core.go_rand_words import COOKED

seeds = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 2**31 - 1, -(2**31) + 1, 89482311, -1, 1])


class Eager:
    """The algorithm as it is published: Schrage's step, 607 words at once, two pointers that go down."""

    def __init__(self, seed):
        x = abs(seed) % (2**31 - 1) * (-1 if seed < 0 else 1)
        if x < 0:
            x += 2**31 - 1
        self._x = x or 89482311
        for _ in range(20):
            self._step()
        self._state = [self._word(cooked) for cooked in COOKED]
        self._tap, self._feed = 0, 334

    def _step(self):
        high, low = divmod(self._x, 44488)
        self._x = 48271 * low - 3399 * high
        if self._x < 0:
            self._x += 2**31 - 1
        return self._x

    def _word(self, cooked):
        return (self._step() << 40 ^ self._step() << 20 ^ self._step() ^ cooked) % 2**64

    def int63(self):
        self._tap = (self._tap - 1) % 607
        self._feed = (self._feed - 1) % 607
        self._state[self._feed] = (self._state[self._feed] + self._state[self._tap]) % 2**64
        return self._state[self._feed] % 2**63

    def intn(self, n):
        value = self.int63() >> 32
        if n & (n - 1) == 0:
            return value & (n - 1)
        while value > 2**31 - 1 - 2**31 % n:
            value = self.int63() >> 32
        return value % n


@given(seeds)
def test_every_number_is_gos(seed):
    """Also beyond 607, where each word has been replaced by a sum at least once, and 1214, where twice."""
    lazy, eager = GoRand(seed), Eager(seed)
    assert [lazy.int63() for _ in range(1300)] == [eager.int63() for _ in range(1300)]


@given(seeds, st.lists(st.integers(1, 2**31 - 1) | st.integers(1, 1000), max_size=40))
def test_every_bounded_number_is_gos(seed, bounds):
    """Large bounds reject often: what is drawn in their place comes from the same sequence."""
    lazy, eager = GoRand(seed), Eager(seed)
    assert [lazy.intn(bound) for bound in bounds] == [eager.intn(bound) for bound in bounds]


@given(seeds, st.integers(1, 2**31 - 1) | st.integers(1, 1000) | st.sampled_from([2**30 + 1, 2**30, 2**31 - 1]))
def test_the_first_bounded_number_is_gos_without_the_state_too(seed, bound):
    """Also where the first draw is rejected, which it is every other time just above 2^30."""
    assert first_intn(seed, bound) == Eager(seed).intn(bound)


def test_a_rejected_number_is_drawn_again():
    """Just above 2^30 every other number is too large: a hundred bounds of that kind take more draws than bounds."""
    lazy, eager = GoRand(7), Eager(7)
    bound = 2**30 + 1
    assert [lazy.intn(bound) for _ in range(100)] == [eager.intn(bound) for _ in range(100)]
    drawn = GoRand(7)
    following = lazy.int63()
    assert following not in {drawn.int63() for _ in range(101)}


@pytest.mark.parametrize("seed", range(20))
def test_a_number_at_the_bound_is_drawn_again(seed):
    """One that equals a bound above 2^30 is just too large; with the next bound it is the largest there is."""
    drawn = GoRand(seed).int31()
    bound = max(drawn, 2**30 + 1)
    assert GoRand(seed).intn(bound) == first_intn(seed, bound) == Eager(seed).intn(bound)
    assert GoRand(seed).intn(bound + 1) == first_intn(seed, bound + 1) == Eager(seed).intn(bound + 1)


def test_int31_is_the_upper_half_of_int63():
    """They take one step each."""
    assert GoRand(5).int31() == GoRand(5).int63() >> 32


@pytest.mark.parametrize("bound", [0, -1, 2**31])
def test_a_bound_that_is_none_is_refused(bound):
    """Go panics, or takes another way: neither is what a ring asks for."""
    with pytest.raises(ValueError, match=r"not within 1 to 2\^31-1"):
        GoRand(1).intn(bound)

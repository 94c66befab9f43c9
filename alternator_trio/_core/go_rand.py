"""Go's `math/rand`: the additive lagged Fibonacci generator behind `rand.New(rand.NewSource(seed))`.

Rules (spec §3): equal to Go's, number for number. A state of 607 words; each output is the sum of the words at tap and
feed, which go down one place before, and stays at feed.

Go fills all 607 words when it is seeded, from a sequence in which each number is 48271 times the one before, modulo
2^31-1. With the powers of 48271 in a table any word can be had directly, so a word is made when it is first needed: the
first output takes two of them, which is all that most requests ask for: `first_intn` does without the state as well.
"""

from __future__ import annotations

from typing import Final

from alternator_trio._core.go_rand_words import COOKED

__all__ = ["GoRand", "first_intn"]

_LENGTH: Final = len(COOKED)
_FEED: Final = 334  # where feed begins; tap begins at 0
_MODULUS: Final = 2**31 - 1
_MULTIPLIER: Final = 48271
_ZERO_SEED: Final = 89482311  # stands in for a seed that is a multiple of the modulus
_THROWN_AWAY: Final = 20  # numbers of the seeding sequence before the first word
_WORD: Final = 2**64 - 1
_INT63: Final = 2**63 - 1
_INT31_SHIFT: Final = 32
_INT31_END: Final = 2**31

# A word takes three numbers in a row of the sequence: the power that leads from the seed to the first of them.
_POWERS: Final = tuple(pow(_MULTIPLIER, _THROWN_AWAY + 1 + 3 * place, _MODULUS) for place in range(_LENGTH))


def first_intn(seed: int, n: int) -> int:
    """What ``GoRand(seed).intn(n)`` gives first, at half its price.

    Args:
        seed: A signed 64-bit number.
        n: 1 to 2^31-1.

    Example:
        >>> first_intn(42, 10), GoRand(42).intn(10)
        (5, 5)
    """
    start = seed % _MODULUS or _ZERO_SEED
    value = (_word(start, _LENGTH - 1) + _word(start, _FEED - 1) & _INT63) >> _INT31_SHIFT
    return value % n if value < _INT31_END - _INT31_END % n else GoRand(seed).intn(n)


class GoRand:
    """A source of pseudo-random numbers.

    Args:
        seed: A signed 64-bit number.

    Example:
        >>> source = GoRand(42)
        >>> [source.intn(10) for _ in range(5)]
        [5, 7, 8, 0, 3]
    """

    __slots__ = ("_feed", "_seed", "_tap", "_words")

    def __init__(self, seed: int) -> None:
        # Go's remainder is truncated and made positive afterwards, which is Python's.
        self._seed = seed % _MODULUS or _ZERO_SEED
        self._tap = 0
        self._feed = _FEED
        self._words: dict[int, int] = {}

    def int63(self) -> int:
        """A number of 63 bits."""
        self._tap = tap = (self._tap or _LENGTH) - 1
        self._feed = feed = (self._feed or _LENGTH) - 1
        words = self._words
        low = words[tap] if tap in words else _word(self._seed, tap)
        high = words[feed] if feed in words else _word(self._seed, feed)
        words[feed] = total = (low + high) & _WORD
        return total & _INT63

    def int31(self) -> int:
        """A number of 31 bits."""
        return self.int63() >> _INT31_SHIFT

    def intn(self, n: int) -> int:
        """A number of [0, n).

        Raises:
            ValueError: ``n`` is not within 1 to 2^31-1; beyond it Go takes another way, which no ring needs.
        """
        if not 0 < n < _INT31_END:
            raise ValueError(f"{n} is not within 1 to 2^31-1")
        value = self.int63() >> _INT31_SHIFT
        highest = _INT31_END - 1 - _INT31_END % n
        while value > highest:
            value = self.int63() >> _INT31_SHIFT
        return value % n


def _word(seed: int, place: int) -> int:
    """The word that stands at a place when the state is new; with bits beyond the 64th, which no sum of words keeps."""
    first = _POWERS[place] * seed % _MODULUS
    second = _MULTIPLIER * first % _MODULUS
    third = _MULTIPLIER * second % _MODULUS
    return (first << 40) ^ (second << 20) ^ third ^ COOKED[place]

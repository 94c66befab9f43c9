"""Each target of the fuzzers on mutations of its seeds: the short form of ``nox -s fuzz``."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.h11_oracle import ONLY_H11, ONLY_OURS, read_with_h11, split, unexplained
from tests.fuzz.seeds import SEEDS, WORDS
from tests.fuzz.targets import TARGETS, read_ours


@st.composite
def mutations(draw, name: str) -> bytes:
    """A seed with pieces cut out of it, put into it, or said twice."""
    data = draw(st.sampled_from(SEEDS[name]))
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        piece = draw(st.one_of(st.sampled_from(WORDS[name]), st.binary(max_size=4), st.just(data[start:end] * 2)))
        data = data[:start] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_keeps_its_promises(name):
    """Whatever it is given."""

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(data=mutations(name))
    def check(data: bytes) -> None:
        TARGETS[name](data)

    check()


@pytest.mark.parametrize("data", [pytest.param(d, id=f"{n}-{i}") for n in SEEDS for i, d in enumerate(SEEDS[n])])
@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_passes_every_target(name, data):
    """Also those of others."""
    TARGETS[name](data)


@pytest.mark.parametrize("difference", ONLY_H11, ids=[difference.reason[:40] for difference in ONLY_H11])
def test_what_only_h11_accepts(difference):
    """The example of each entry is what the entry says."""
    assert difference.holds(*split(difference.example))
    assert isinstance(read_ours(difference.example), Exception)
    assert not isinstance(read_with_h11(difference.example), Exception)


@pytest.mark.parametrize("difference", ONLY_OURS, ids=[difference.reason[:40] for difference in ONLY_OURS])
def test_what_only_this_client_accepts(difference):
    """The example of each entry is what the entry says."""
    assert difference.holds(*split(difference.example))
    assert read_ours(difference.example) is not None
    assert not isinstance(read_ours(difference.example), Exception)
    assert isinstance(read_with_h11(difference.example), Exception)


def test_a_difference_that_is_on_no_list_is_told():
    """The oracle is no formality: an answer that is read otherwise is found out."""
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    assert unexplained(data, read_ours(data)) is None
    assert unexplained(data, read_ours(data.replace(b"{}", b"[]"))) is not None
    assert unexplained(data, ValueError("refused")) is not None

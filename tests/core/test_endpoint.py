"""Canonical endpoints of addresses in any spelling. The published cases are in test_vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.endpoint import canonical_endpoint, order_endpoints
from alternator_trio.nodes import Node


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("https://a:443/", "https://a"),
        ("https://a:80", "https://a:80"),
        ("http://a:443", "http://a:443"),
        ("http://a:0080", "http://a"),
        ("http://a:08000", "http://a:8000"),
        ("http://a:", "http://a"),
        ("http://user:pa@ss@a:8000", "http://a:8000"),
        ("http://a?x=//b:1/@c", "http://a"),
        ("http://a#@b", "http://a"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://u@[::1]:443", "https://[::1]"),
    ],
)
def test_what_a_spelling_amounts_to(spelled, canonical):
    """Only scheme, host and port are left, as they are written canonically."""
    assert canonical_endpoint(spelled) == canonical


@pytest.mark.parametrize(
    "text", ["", "a:8000", "http://", "http://:80", "http://a:b", "://a", "http://[::1", "http://a]"]
)
def test_what_is_no_address_is_refused(text):
    """Without a scheme and a host there is no endpoint to compare."""
    with pytest.raises(ValueError, match="is no address"):
        canonical_endpoint(text)


@given(st.sampled_from(["http", "https"]), st.sampled_from(["a", "10.0.0.1", "2001:db8::1"]), st.integers(1, 65535))
def test_a_nodes_endpoint_is_canonical(scheme, host, port):
    """A node and its address in the canonical spelling are one."""
    endpoint = Node(scheme, host, port).endpoint
    assert canonical_endpoint(endpoint) == endpoint


def test_a_ring_is_ordered_by_bytes():
    """The port's colon comes after the digits and before the letters of a longer name."""
    hosts = ["http://10.0.0.1:8000", "http://10.0.0.10:8000", "http://10.0.0.1:9", "http://10.0.0.1"]
    assert [endpoint for endpoint, _ in order_endpoints(hosts)] == [hosts[3], hosts[1], hosts[0], hosts[2]]

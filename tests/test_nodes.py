"""Nodes: values that compare by their canonical endpoint."""

from __future__ import annotations

import copy
import pickle

import pytest

from alternator_trio.nodes import Node, host_problem, parse_endpoint, without_user_info


@pytest.mark.parametrize(
    ("node", "endpoint", "authority"),
    [
        (Node("http", "a", 80), "http://a", "a"),
        (Node("http", "a", 443), "http://a:443", "a:443"),
        (Node("https", "a", 443), "https://a", "a"),
        (Node("https", "a", 80), "https://a:80", "a:80"),
        (Node("http", "10.0.0.1", 8000), "http://10.0.0.1:8000", "10.0.0.1:8000"),
        (Node("http", "2001:db8::1", 80), "http://[2001:db8::1]", "[2001:db8::1]"),
        (Node("https", "2001:db8::1", 8043), "https://[2001:db8::1]:8043", "[2001:db8::1]:8043"),
    ],
)
def test_the_canonical_endpoint_omits_the_default_port_and_brackets_ipv6(
    node: Node, endpoint: str, authority: str
) -> None:
    """The endpoint is the node's text, the authority its Host header."""
    assert (node.endpoint, str(node), node.authority) == (endpoint, endpoint, authority)


def test_nodes_with_one_endpoint_are_one_key() -> None:
    """Equal nodes hash alike, whichever spelling made them."""
    nodes = [parse_endpoint(text) for text in ("http://a:80", "HTTP://A", "http://a/")]
    assert len(set(nodes)) == 1


@pytest.mark.parametrize("other", [Node("https", "a", 80), Node("http", "a", 81), Node("http", "b", 80), "http://a"])
def test_anything_else_is_another_node(other: object) -> None:
    """Scheme, host and port all count, and a string is no node."""
    assert Node("http", "a", 80) != other


def test_the_ring_is_sorted_by_the_bytes_of_the_endpoint() -> None:
    """'0' comes before ':', so a longer address may come first; other clients sort the same way."""
    endpoints = ["http://10.0.0.1:8000", "http://10.0.0.10:8000", "http://10.0.0.2:8000", "http://10.0.0.1"]
    in_order = [str(node) for node in sorted(map(parse_endpoint, endpoints))]
    assert in_order == sorted(endpoints, key=str.encode)
    assert in_order.index("http://10.0.0.10:8000") < in_order.index("http://10.0.0.1:8000")


def test_at_keeps_scheme_and_port() -> None:
    """What a node lists is dialled as the node itself was."""
    assert str(Node("https", "a", 8043).at("2001:db8::2")) == "https://[2001:db8::2]:8043"


@pytest.mark.parametrize("name", ["host", "port", "scheme", "endpoint", "authority", "other"])
def test_a_node_cannot_be_changed(name: str) -> None:
    """Nodes are keys: one that changed would be lost in every table."""
    node = Node("http", "a", 80)
    with pytest.raises(AttributeError):
        setattr(node, name, "b")
    assert (node.host, node.endpoint) == ("a", "http://a")


@pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy, lambda node: pickle.loads(pickle.dumps(node))])
def test_nodes_copy_and_pickle(remake) -> None:
    """A copy is the same node, under the hash of its own process."""
    node = Node("https", "2001:db8::1", 8043)
    assert remake(node) == node
    assert hash(remake(node)) == hash(node)


def test_the_repr_shows_the_endpoint() -> None:
    """Enough to read, and to find in a log."""
    assert repr(Node("http", "a", 8000)) == "Node('http://a:8000')"


@pytest.mark.parametrize("host", ["a", "A.example", "10.0.0.1", "2001:DB8::1", "_x", "a."])
def test_hosts_that_can_be_dialled(host: str) -> None:
    """Names, IPv4 and IPv6 without brackets, in any case."""
    assert host_problem(host) is None


@pytest.mark.parametrize(
    "host", ["", "a b", "a:b", "1.2", "[::1]", "::1%lo", "\u212aelvin", "a\n", "-", "::ffff:1.2.3.4"]
)
def test_hosts_that_cannot_be_dialled(host: str) -> None:
    """Each with its reason; a node's own list is judged by this as well."""
    assert host_problem(host)


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ("http://node", "http://node"),
        ("http://u:p@node", "http://…@node"),
        ("http://u:p@ss@node", "http://…@node"),
        ("u:p@node", "…@node"),
        ("http://u:p/w@node", "http://…@node"),
    ],
)
def test_user_info_is_not_shown(entry: str, shown: str) -> None:
    """Whatever stands before the last '@' may be a secret."""
    assert without_user_info(entry) == shown

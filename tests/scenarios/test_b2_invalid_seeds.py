"""Scenario B2: an invalid seed is an error that names it, at construction; valid unusual seeds work."""

from __future__ import annotations

import ipaddress
import socket
import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from alternator_trio.config import AlternatorConfig
from alternator_trio.errors import ConfigurationError
from alternator_trio.nodes import Node, host_problem, parse_endpoint

LABEL_63 = "a" * 63
NAME_253 = ".".join([LABEL_63, LABEL_63, LABEL_63, "a" * 61])

# Entry, and what its error says about it.
INVALID: list[tuple[object, str]] = [
    # no text
    (None, "a seed is a string"),
    (8000, "a seed is a string"),
    (b"http://node:8000", "a seed is a string"),
    (["http://user:password@node:8000"], r"seed \['http://…@node:8000'\]: a seed is a string.*given as \*seeds"),
    ("http://a:8000,http://b:8000", "a comma; each seed is an argument of its own"),
    (("http://node", 8000), "a seed is a string"),
    # characters, which urlsplit would drop or getaddrinfo would take
    ("", "empty"),
    (" ", "character ' '"),
    (" http://node", "character ' '"),
    ("http://node ", "character ' '"),
    ("http://no de", "character ' '"),
    ("http://node\n", r"character '\\n'"),
    ("http://no\r\nde", r"character '\\r'"),
    ("ht\ttp://node", r"character '\\t'"),
    ("http://node\x00", r"character '\\x00'"),
    ("http://node\x7f", r"character '\\x7f'"),
    ("http://nöde", "xn--"),
    ("http://node:\uff18\uff10\uff10\uff10", "character '\uff18'"),
    ("http://node:٨٠", "character '٨'"),
    ("http://1。2。3。4", "character '。'"),
    ("http://\u212aelvin", "xn--"),
    ("http://[::\uff11]", "character '\uff11'"),
    # schemes
    ("node:8000", "no scheme"),
    ("node", "no scheme"),
    ("10.0.0.1:8000", "no scheme"),
    ("//node:8000", "no scheme"),
    ("http:node", "no scheme"),
    ("http:/node", "no scheme"),
    ("://node", "scheme ''"),
    ("ftp://node", "scheme 'ftp'"),
    ("httpx://node", "scheme 'httpx'"),
    ("http+unix://node", "scheme 'http.unix'"),
    ("dynamodb://node", "scheme 'dynamodb'"),
    ("http://http://node", "path"),
    # ports
    ("http://node:", "port after ':' is missing"),
    ("http://node:/", "port after ':' is missing"),
    ("http://[::1]:", "port after ':' is missing"),
    ("http://node:0", "port 0 is not within 1 to 65535"),
    ("http://node:65536", "port 65536 is not within"),
    ("http://node:99999999999999999999", "port 999999999999 is not within"),
    ("http://node:" + "9" * 5000, "is not within"),
    ("http://node:-1", "port '-1' is not a number"),
    ("http://node:+80", r"port '\+80' is not a number"),
    ("http://node:8_0", "port '8_0' is not a number"),
    ("http://node:80.0", "port '80.0' is not a number"),
    ("http://node:0x50", "port '0x50' is not a number"),
    ("http://node:port", "port 'port' is not a number"),
    ("http://node:080", "leading zero"),
    ("http://node:00", "leading zero"),
    ("http://node:8000:8000", "more than one ':'"),
    ("http://node::8000", "more than one ':'"),
    ("http://[::1]8000", "is no port"),
    ("http://[::1]x:8000", "is no port"),
    # hosts that getaddrinfo reads as numbers
    ("http://127.1", "no IPv4 address of four decimal parts"),
    ("http://2130706433", "no IPv4 address of four decimal parts"),
    ("http://2130706433:8000", "no IPv4 address of four decimal parts"),
    ("http://0", "no IPv4 address of four decimal parts"),
    ("http://0x7f.1", "no IPv4 address of four decimal parts"),
    ("http://0X7F000001", "no IPv4 address of four decimal parts"),
    ("http://0x", "no IPv4 address of four decimal parts"),
    ("http://127.0.0.0x1", "no IPv4 address of four decimal parts"),
    ("http://0177.0.0.1", "no IPv4 address of four decimal parts"),
    ("http://1.2.3.04", "no IPv4 address of four decimal parts"),
    ("http://1.2.3", "no IPv4 address of four decimal parts"),
    ("http://1.2.3.4.5", "no IPv4 address of four decimal parts"),
    ("http://256.1.1.1", "no IPv4 address of four decimal parts"),
    ("http://1.2.3.4.", "no IPv4 address of four decimal parts"),
    ("http://1..3.4", "no IPv4 address of four decimal parts"),
    ("http://node.42", "no IPv4 address of four decimal parts"),
    # parts that an endpoint does not have
    ("http://user@node", "user info"),
    ("http://user:pass@node:8000", "user info"),
    ("http://@node", "user info"),
    ("http://node?a=b", "a query"),
    ("http://node/?", "a query"),
    ("http://node#top", "a fragment"),
    ("http://node/path", "a path"),
    ("http://node:8000/path", "a path"),
    ("http://node//", "a path"),
    ("http://node\\path", "a backslash"),
    ("http:\\\\node", "a backslash"),
    # IPv6: the error shows how
    ("http://2001:db8::1", r"as in 'http://\[2001:db8::1\]'"),
    ("http://2001:db8::1:8000", r"as in 'http://\[2001:db8::1\]:8000'"),
    ("http://2001:db8::1:abcd", r"as in 'http://\[2001:db8::1:abcd\]'"),
    ("HTTPS://::1", r"as in 'HTTPS://\[::1\]'"),
    ("http://1:2:3:4:5:6:7:8", r"as in 'http://\[1:2:3:4:5:6:7:8\]'"),
    ("http://1:2:3:4:5:6:7:8:9000", r"as in 'http://\[1:2:3:4:5:6:7:8\]:9000'"),
    ("http://[::1", "not closed"),
    ("http://[::1:8000", "not closed"),
    ("http://::1]", "more than one ':'"),
    ("http://[]", "only an IPv6 address stands in brackets"),
    ("http://[node]", "only an IPv6 address stands in brackets"),
    ("http://[10.0.0.1]", "only an IPv6 address stands in brackets"),
    ("http://[[::1]]", "is no port"),
    ("http://[:]", "no IPv6 address"),
    ("http://[1::2::3]", "no IPv6 address"),
    ("http://[12345::]", "no IPv6 address"),
    ("http://[1:2:3:4:5:6:7]", "no IPv6 address"),
    ("http://[::1/64]", "a path"),
    ("http://[fe80::1%eth0]", "zone"),
    ("http://[fe80::1%25eth0]:8000", "zone"),
    ("http://[::ffff:1.2.3.4]", r"IPv4 address in disguise; write '1\.2\.3\.4'"),
    ("http://[::FFFF:102:304]:8000", r"IPv4 address in disguise; write '1\.2\.3\.4'"),
    # names
    ("http://", "the host is empty"),
    ("http:///", "the host is empty"),
    ("http://:8000", "the host is empty"),
    ("http://.", "is no label"),
    ("http://.node", "is no label"),
    ("http://node..example", "is no label"),
    ("http://node..", "is no label"),
    ("http://-node", "is no label"),
    ("http://node-", "is no label"),
    ("http://node.-a", "is no label"),
    ("http://no%64e", "is no label"),
    ("http://node,other", "a comma"),
    ("http://no*de", "is no label"),
    ("http://node;8000", "is no label"),
    (f"http://{LABEL_63}a", "is no label"),
    (f"http://{NAME_253}a", "longer than 253"),
    ("http://" + "a." * 200 + "a", "longer than 253"),
]

# Entry, and the canonical endpoint of the node that it names.
VALID: list[tuple[str, str]] = [
    ("http://node", "http://node"),
    ("http://node/", "http://node"),
    ("http://node:80", "http://node"),
    ("https://node:443/", "https://node"),
    ("http://node:443", "http://node:443"),
    ("https://node:80", "https://node:80"),
    ("http://node:1", "http://node:1"),
    ("http://node:65535", "http://node:65535"),
    ("HTTP://NODE.Example:8000/", "http://node.example:8000"),
    ("hTtPs://Node", "https://node"),
    ("http://localhost:8000", "http://localhost:8000"),
    ("http://my_node.my_cluster:8000", "http://my_node.my_cluster:8000"),
    ("http://_srv.node", "http://_srv.node"),
    ("http://xn--nde-sna.example", "http://xn--nde-sna.example"),
    ("http://a--b", "http://a--b"),
    ("http://1a", "http://1a"),
    ("http://3com.example", "http://3com.example"),
    ("http://10.node", "http://10.node"),
    ("http://0xg", "http://0xg"),
    ("http://1.2.3.4a", "http://1.2.3.4a"),
    ("http://ip-10-0-0-1.ec2.internal:8000", "http://ip-10-0-0-1.ec2.internal:8000"),
    ("http://node.example.:8000", "http://node.example.:8000"),
    (f"http://{LABEL_63}", f"http://{LABEL_63}"),
    (f"http://{NAME_253}", f"http://{NAME_253}"),
    (f"http://{NAME_253}.", f"http://{NAME_253}."),
    ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ("http://255.255.255.254", "http://255.255.255.254"),
    ("http://[::1]", "http://[::1]"),
    ("http://[::1]/", "http://[::1]"),
    ("http://[::1]:8000/", "http://[::1]:8000"),
    ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
    ("http://[2001:db8::192.0.2.1]", "http://[2001:db8::c000:201]"),
    ("http://[::]", "http://[::]"),
]


@pytest.mark.parametrize(("entry", "reason"), INVALID, ids=lambda value: repr(value)[:40])
def test_b2_an_invalid_seed_is_an_error_that_names_it(entry: object, reason: str) -> None:
    """The configuration is refused; the message has the entry as it was given, and the reason."""
    with pytest.raises(ConfigurationError, match=reason) as caught:
        AlternatorConfig(seeds=["http://good", entry])
    if "@" not in str(entry):
        assert f"seed {entry!r}: " in str(caught.value)


@pytest.mark.parametrize(("entry", "endpoint"), VALID, ids=lambda value: value[:40])
def test_b2_a_valid_unusual_seed_works(entry: str, endpoint: str) -> None:
    """It names the node that its canonical endpoint says."""
    (node,) = AlternatorConfig(seeds=[entry]).seed_nodes
    assert str(node) == endpoint


@pytest.mark.parametrize(
    "spelling",
    ["[2001:db8::1]", "[2001:DB8::1]", "[2001:db8:0:0:0:0:0:1]", "[2001:0db8:0000::0001]", "[2001:db8::0.0.0.1]"],
)
def test_b2_spellings_of_one_ipv6_address_are_one_node(spelling: str) -> None:
    """Case, leading zeros and compression do not make another node."""
    (node,) = AlternatorConfig(seeds=["http://[2001:db8::1]:8000", f"http://{spelling}:8000"]).seed_nodes
    assert node.host == "2001:db8::1"


def test_b2_a_name_with_a_trailing_dot_is_another_name() -> None:
    """``a.`` is absolute, ``a`` may be completed by the resolver's search list: they need not be one server."""
    assert len(AlternatorConfig(seeds=["http://a", "http://a."]).seed_nodes) == 2


@pytest.mark.parametrize("seeds", ["http://node:8000", b"http://node:8000"])
def test_b2_a_bare_string_instead_of_a_list_is_refused(seeds: object) -> None:
    """A string is not read as a list of its characters."""
    with pytest.raises(ConfigurationError, match=r"http://node:8000.* is one string; give a list"):
        AlternatorConfig(seeds=seeds)


@pytest.mark.parametrize("seeds", [None, 8000, parse_endpoint("http://node")])
def test_b2_seeds_that_are_no_list_are_refused(seeds: object) -> None:
    """What cannot be iterated over is an error of the configuration, not a TypeError."""
    with pytest.raises(ConfigurationError, match=r"seeds: .* is no list of strings"):
        AlternatorConfig(seeds=seeds)


@pytest.mark.parametrize("seeds", [[], (), iter([])])
def test_b2_no_seed_at_all_is_refused(seeds: object) -> None:
    """A client needs somebody to ask."""
    with pytest.raises(ConfigurationError, match="no seed given"):
        AlternatorConfig(seeds=seeds)


@pytest.mark.parametrize("other", ["HTTPS://B:8000", "http://B:8001", "http://B"])
def test_b2_seeds_of_different_scheme_or_port_are_refused(other: str) -> None:
    """Discovered nodes inherit one scheme and one port; the error names the entry that differs, as it was given."""
    with pytest.raises(ConfigurationError, match=f"seed '{other}': all seeds share one scheme and one port"):
        AlternatorConfig(seeds=["http://a:8000", "http://b:8000", other])


def test_b2_seeds_may_differ_without_discovery() -> None:
    """Nothing is inherited then."""
    assert len(AlternatorConfig(seeds=["http://a:8000", "https://b"], discovery=False).seed_nodes) == 2


def test_b2_an_omitted_port_and_the_default_port_go_together() -> None:
    """The scheme's default is a port like another."""
    assert len(AlternatorConfig(seeds=["http://a", "http://b:80"]).seed_nodes) == 2


def test_b2_the_error_does_not_show_a_password() -> None:
    """An error may end up in a log: user info is what a seed must not have, and what an error must not show."""
    with pytest.raises(ConfigurationError, match="node:8000") as caught:
        parse_endpoint("http://scylla:secret@node:8000")
    assert "secret" not in str(caught.value)


# Near misses are more telling than arbitrary text.
ENDPOINT_TEXT = st.text(
    st.sampled_from(string.ascii_letters + string.digits + ":/[]@?#%.-_\\ \t\r\nxX٣\uff18"), max_size=40
)
HOST_TEXT = st.one_of(
    st.lists(
        st.sampled_from(["0", "1", "127", "255", "256", "0x7f", "0X", "017", "a", "a1", "", "4294967295"]), max_size=6
    ).map(".".join),
    st.text(st.sampled_from("0123456789abcdefxX.:-_\u212a"), max_size=20),
)


@given(
    st.one_of(st.text(), ENDPOINT_TEXT, ENDPOINT_TEXT.map("http://{}".format), st.binary(), st.none(), st.integers())
)
def test_b2_no_text_makes_parsing_raise_anything_else(entry: object) -> None:
    """Whatever is given, it is a node or a ConfigurationError."""
    try:
        node = parse_endpoint(entry)
    except ConfigurationError:
        return
    assert isinstance(node, Node)


@given(st.one_of(ENDPOINT_TEXT, HOST_TEXT).map("http://{}".format))
@example("HTTP://[2001:DB8::1]:80/")
@example("https://A.b.:443")
def test_b2_the_canonical_endpoint_names_the_same_node(entry: str) -> None:
    """Parsing what a node says of itself gives the node back, letter by letter."""
    try:
        node = parse_endpoint(entry)
    except ConfigurationError:
        assume(False)
    again = parse_endpoint(node.endpoint)
    assert (again, again.endpoint, again.host) == (node, node.endpoint, node.host)


@given(HOST_TEXT)
@example("127.1")
@example("0x7f.1")
@example("1.2.3.4")
def test_b2_no_accepted_host_is_read_as_another_address(host: str) -> None:
    """Where the system's own parser sees an address, it is the one that is written there."""
    if host_problem(host) is not None or ":" in host:
        return
    assert host.isascii()
    try:
        packed = socket.inet_aton(host)
    except OSError:
        return
    assert packed == ipaddress.IPv4Address(host).packed


@given(st.ip_addresses(v=4))
def test_b2_every_ipv4_address_is_a_host(address: ipaddress.IPv4Address) -> None:
    """In its one canonical spelling."""
    assert parse_endpoint(f"http://{address}").host == str(address)


@given(st.ip_addresses(v=6))
def test_b2_every_spelling_of_an_ipv6_address_is_one_node(address: ipaddress.IPv6Address) -> None:
    """Exploded, compressed, upper case."""
    assume(address.ipv4_mapped is None)
    spellings = [address.exploded, address.compressed, address.exploded.upper()]
    assert len({parse_endpoint(f"http://[{spelling}]:8000") for spelling in spellings}) == 1

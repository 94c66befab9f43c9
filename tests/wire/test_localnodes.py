"""``/localnodes``: input from a network, of which the good entries are kept and the bad ones counted."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.provisional import domains

from alternator_trio._wire.localnodes import MAX_LOCALNODES_BYTES, LocalNodes, parse_localnodes
from alternator_trio.nodes import Node, host_problem

HOST_ID = "8d5ed9f4-7764-4dbd-bad8-43fddce94b7c"


def parsed(*entries):
    return parse_localnodes(json.dumps(entries).encode())


def test_the_usual_answer():
    """Bare addresses, in the order of the answer."""
    assert parsed("10.0.0.2", "10.0.0.1") == LocalNodes(hosts=("10.0.0.2", "10.0.0.1"), dropped=0)


def test_an_empty_answer_is_valid():
    """An unknown datacenter is answered with ``[]``; what that means is not decided here."""
    assert parsed() == LocalNodes(hosts=(), dropped=0)


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("192.168.0.7", "192.168.0.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:0DB8:0:0::0001", "2001:db8::1"),
        ("::1", "::1"),
        ("node-1.example", "node-1.example"),
        ("Node_1.EXAMPLE", "node_1.example"),
        ("localhost", "localhost"),
        ("xn--nde-sna.example", "xn--nde-sna.example"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_a_good_entry_is_kept_in_its_canonical_form(entry, host):
    """Addresses of either family and names; case and zeros do not tell nodes apart."""
    assert parsed(entry).hosts == (host,)


@pytest.mark.parametrize(
    "entry",
    [
        # addresses that nobody listens on, or that mean this machine to whoever dials them
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "::ffff:10.0.0.1",
        "224.0.0.1",
        "239.255.255.255",
        "ff02::1",
        "::ffff:224.0.0.1",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "255.255.255.255",
        # what getaddrinfo would read as an address and the list did not mean as one
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "010.0.0.1",
        "10.0.0.1.",
        "10.0.0.256",
        "1.2.3",
        # names that are none
        "",
        " ",
        "a b",
        " 10.0.0.1",
        "10.0.0.1\n",
        "a\r\nHost: evil",
        "a\x00b",
        "user@host",
        "host/path",
        "host?x",
        "host#x",
        "host:8000",
        "10.0.0.1:8000",
        "[::1]",
        "http://10.0.0.1",
        "a..b",
        ".a",
        "-a",
        "a-",
        "a" * 64,
        "a." * 127 + "bb",
        "nöde",
        "\u212aelvin",
        "\uff110.0.0.1",
        "\u0661.0.0.1",
        "2001:db8:::1",
        "2001:db8::1::2",
        HOST_ID,
        HOST_ID.upper(),
        # what is no string
        7,
        None,
        True,
        1.5,
        ["10.0.0.1"],
        {"host": "10.0.0.1"},
    ],
)
def test_a_bad_entry_is_dropped_and_counted_and_spoils_nothing(entry):
    """The good entries around it are kept."""
    assert parsed("10.0.0.1", entry, "10.0.0.2") == LocalNodes(hosts=("10.0.0.1", "10.0.0.2"), dropped=1)


def test_an_answer_of_nothing_but_bad_entries_is_malformed():
    """It is not an empty list: nobody said that there are no nodes."""
    with pytest.raises(ValueError, match="none of the 2 entries"):
        parsed("0.0.0.0", HOST_ID)


def test_a_node_named_twice_is_one():
    """In whatever spelling; a duplicate is not a bad entry."""
    assert parsed("10.0.0.1", "2001:DB8::1", "10.0.0.1", "2001:db8:0::1") == LocalNodes(
        hosts=("10.0.0.1", "2001:db8::1"), dropped=0
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'"10.0.0.1"', b"null", b"7", b"healthy", b'["10.0.0.1"', b'["10.0.0.1"] ]', b"\xff\xfe", b"[" * 5000],
)
def test_what_is_no_list_is_refused(body):
    """Text, other JSON and broken JSON are no node list; dynalite, for one, answers with text."""
    with pytest.raises(ValueError):  # noqa: PT011  # the messages are partly the JSON parser's
        parse_localnodes(body)


def test_the_body_is_bounded():
    """A mebibyte is read, a byte more is not."""
    body = b'["10.0.0.1"]'
    assert parse_localnodes(body + b" " * (MAX_LOCALNODES_BYTES - len(body))).hosts == ("10.0.0.1",)
    with pytest.raises(ValueError, match="1048577 bytes"):
        parse_localnodes(body + b" " * (MAX_LOCALNODES_BYTES - len(body) + 1))


def test_the_count_is_bounded():
    """4096 entries are taken, one more is not; the bad ones count."""
    entries = [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(4097)]
    assert len(parsed(*entries[:-1]).hosts) == 4096
    with pytest.raises(ValueError, match="4097 entries"):
        parsed(*entries)


@given(st.lists(st.text() | st.ip_addresses().map(str) | domains() | st.integers() | st.none(), max_size=6))
def test_whatever_is_listed_becomes_hosts_that_can_be_dialled(entries):
    """Each host that is kept makes a Host header of plain ASCII, and reads as itself again."""
    try:
        kept = parsed(*entries)
    except ValueError:
        return
    for host in kept.hosts:
        assert host_problem(host) is None
        node = Node("http", host, 8000)
        assert node.authority.isascii()
        assert node.authority.isprintable()
        assert not set(node.authority) & set(" /?#@\\")
        assert parsed(host).hosts == (host,)


@given(st.binary(max_size=60))
def test_whatever_the_bytes_are_it_is_a_list_or_a_value_error(body):
    """Nothing else is raised."""
    with contextlib.suppress(ValueError):
        parse_localnodes(body)

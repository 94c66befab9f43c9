"""What ``GET /localnodes`` answers: a JSON array of bare addresses, judged as input from a network.

Rules (spec: discovery): at most 1 MiB and 4096 entries; unspecified, multicast, link-local and broadcast addresses,
host-id UUIDs and names outside host syntax are dropped and counted; the good entries are kept; a non-empty answer
without a single good entry is malformed.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple, cast

from alternator_trio._wire.json_body import read_json
from alternator_trio.nodes import host_problem

__all__ = ["MAX_LOCALNODES_BYTES", "LocalNodes", "parse_localnodes"]

MAX_LOCALNODES_BYTES: Final = 2**20
MAX_LOCALNODES_ENTRIES: Final = 4096
_HOST_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class LocalNodes(NamedTuple):
    """A node list.

    Attributes:
        hosts: Canonical hosts in the order of the answer, each once; IPv6 without brackets.
        dropped: How many entries were refused.
    """

    hosts: tuple[str, ...]
    dropped: int


def parse_localnodes(body: bytes) -> LocalNodes:
    """Read the body of an answer with status 200.

    Raises:
        ValueError: It is no list of addresses.

    Example:
        >>> parse_localnodes(b'["10.0.0.2", "0.0.0.0", "2001:DB8::1"]')
        LocalNodes(hosts=('10.0.0.2', '2001:db8::1'), dropped=1)
    """
    if len(body) > MAX_LOCALNODES_BYTES:
        raise ValueError(f"a node list of {len(body)} bytes; at most {MAX_LOCALNODES_BYTES} are accepted")
    entries = read_json(body)
    if not isinstance(entries, list):
        raise ValueError(f"a JSON {type(entries).__name__} where a list of addresses was promised")  # noqa: TRY004  # what a server sent is a wrong value, not a wrong type of ours
    listed = cast("list[object]", entries)
    if len(listed) > MAX_LOCALNODES_ENTRIES:
        raise ValueError(f"a node list of {len(listed)} entries; at most {MAX_LOCALNODES_ENTRIES} are accepted")
    good = [host for host in map(_acceptable_host, listed) if host is not None]
    if listed and not good:
        raise ValueError(f"none of the {len(listed)} entries of the node list is an acceptable address")
    return LocalNodes(hosts=tuple(dict.fromkeys(good)), dropped=len(listed) - len(good))


def _acceptable_host(entry: object) -> str | None:
    if not isinstance(entry, str) or not entry.isascii() or host_problem(entry) is not None:
        return None
    try:
        address = ipaddress.ip_address(entry)
    except ValueError:
        return None if _HOST_ID.fullmatch(entry) else entry.lower()
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    judged = address if mapped is None else mapped
    if judged.is_unspecified or judged.is_multicast or judged.is_link_local:
        return None
    if judged == ipaddress.IPv4Address("255.255.255.255"):
        return None
    return address.compressed

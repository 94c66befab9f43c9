"""The name that a certificate is checked against."""

from __future__ import annotations

import socket

import trio

from alternator_trio import open_alternator
from alternator_trio.testing import LocalCluster
from tests.certificates import server_context


class OneAddress(trio.abc.HostnameResolver):
    """Resolves every name to 127.0.0.1: not every machine knows ``localhost.``"""

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):  # noqa: A002  # the resolver's own words
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


async def test_a_rooted_name_is_verified_without_its_dot(authority, trust) -> None:
    """``localhost.`` is ``localhost`` to a resolver, and certificates never have the dot."""
    trio.socket.set_custom_hostname_resolver(OneAddress())
    async with LocalCluster(nodes=1, tls=server_context(authority, "localhost")) as cluster:
        seed = f"https://localhost.:{cluster.nodes[0].port}"
        async with open_alternator(seed, discovery=False, tls=trust) as client:
            answer = await client.list_tables()
    assert answer["ResponseMetadata"]["Node"] == seed

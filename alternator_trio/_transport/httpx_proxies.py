"""Which proxy leads to a node: the user's own choice, else what the environment says, where it is trusted."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Mapping
from typing import Final

from alternator_trio.nodes import Node
from alternator_trio.transports import HttpxTransport

__all__ = ["Proxies"]

# What NO_PROXY means is the standard library's to say; its stubs leave this out.
_bypass: Final[Callable[[str, Mapping[str, str]], object]] = vars(urllib.request)["proxy_bypass_environment"]


class Proxies:
    """Which proxy leads to a node.

    Args:
        options: The user's choice.
        environment: Proxies by scheme, as `urllib.request.getproxies_environment` reads them.
    """

    def __init__(self, options: HttpxTransport, environment: Mapping[str, str]) -> None:
        self._given = options.proxy
        self._environment = dict(environment) if options.trust_env else {}

    def to(self, node: Node) -> str | None:
        """The URL of the proxy; None: there is none."""
        if self._given is not None:
            return self._given
        found = self._environment.get(node.scheme, self._environment.get("all"))
        if found is None or _bypass(node.host, self._environment):
            return None
        return found if "://" in found else f"http://{found}"

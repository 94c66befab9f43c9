"""A concurrent client runtime for ScyllaDB Alternator (the DynamoDB API on ScyllaDB), built on Trio.

    async with open_alternator("http://10.0.0.1:8000") as client:
        await client.put_item(TableName="users", Item={"id": {"S": "ada"}})

How it is layered, from the top; imports point down:

* ``cli``, ``testing``: the command, and what users test their own code with
* ``client``: `open_alternator` and the operations
* ``_runtime``: the composition root; ``_data_path``: one request's way over its attempts;
  ``_router``: its plan; ``_authentication``: its signature; ``_node_questions``: what the client itself asks nodes
* ``_actors``: NodeRegistry, Dispatcher, CredentialsKeeper, KeyResolver, Discovery; see ``_actors/messages.py``
* ``_transport``: connections, pools, the HTTP exchange; ``_supervision``: the actor kit
* ``_core``: decisions, ``_wire``: bytes; both without I/O, clock and randomness
* ``loading``: a configuration from a file and from the environment
* ``config``, ``routing``, ``content``, ``credentials``, ``tls``, ``nodes``, ``instruments``,
  ``transports``, ``errors``: values for everybody
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alternator_trio import _service_errors
from alternator_trio import errors as _errors
from alternator_trio._service_errors import *  # noqa: F403  # one class per error of the service model
from alternator_trio._version import __version__
from alternator_trio.client import Client, NodeStatus, RoutingCheck, Statistics, open_alternator
from alternator_trio.config import AlternatorConfig, RetryPolicy
from alternator_trio.content import RequestCompression
from alternator_trio.credentials import Credentials, CredentialsProvider
from alternator_trio.errors import *  # noqa: F403  # the whole tree: its __all__ is the list
from alternator_trio.instruments import ClockSkewCorrected, Instrument, NodeStateChanged, ScopeChanged
from alternator_trio.nodes import Node
from alternator_trio.routing import KeyRouteAffinity, NodeHealth, RoutingScope
from alternator_trio.tls import Tls
from alternator_trio.transports import HttpxTransport

if TYPE_CHECKING:
    from alternator_trio.loading import load_config

__all__ = [
    "AlternatorConfig",
    "Client",
    "ClockSkewCorrected",
    "Credentials",
    "CredentialsProvider",
    "HttpxTransport",
    "Instrument",
    "KeyRouteAffinity",
    "Node",
    "NodeHealth",
    "NodeStateChanged",
    "NodeStatus",
    "RequestCompression",
    "RetryPolicy",
    "RoutingCheck",
    "RoutingScope",
    "ScopeChanged",
    "Statistics",
    "Tls",
    "__version__",
    "load_config",
    "open_alternator",
]
__all__ += _service_errors.__all__  # pyright: ignore[reportUnsupportedDunderAll]
__all__ += _errors.__all__  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name == "load_config":  # 2 ms to import, for applications that load their configuration
        from alternator_trio.loading import load_config  # noqa: PLC0415

        return load_config
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

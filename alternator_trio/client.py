"""The client: `open_alternator` and every DynamoDB operation by its own name.

Rules: nothing outlives the block; a client is used in the Trio run and process that opened it; parameters and results
are wire-shaped dicts, as boto3's low-level client has them.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, Unpack

import trio

from alternator_trio._client_block import HOW_TO_OPEN, ClientBlock
from alternator_trio._operations import Operations
from alternator_trio._routing_check import RoutingCheck
from alternator_trio._runtime import Runtime, open_runtime
from alternator_trio._wire.operation_names import TARGETS
from alternator_trio._wire.parameters import check_parameters
from alternator_trio.config import AlternatorConfig, OperationOptions, Options
from alternator_trio.errors import EncodingError
from alternator_trio.nodes import Node
from alternator_trio.routing import RoutingScope

__all__ = ["Client", "NodeStatus", "RoutingCheck", "Statistics", "open_alternator"]


_CLOSING: Final = "leaving its block closes a client"
_ELSEWHERE: Final = {  # what clients of DynamoDB have elsewhere, and what there is here
    "aclose": _CLOSING,
    "close": _CLOSING,
    "exceptions": "errors are imported, as in 'from alternator_trio import ConditionalCheckFailedException'",
    "get_paginator": "pages are asked for one by one, with ExclusiveStartKey",
    "get_waiter": "CreateTable and DeleteTable are done when Alternator answers",
    "meta": "its nodes are client.nodes()",
    "table": "there is no resource layer; operations take TableName",
    "Table": "there is no resource layer; operations take TableName",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts since the client was opened, and connections now.

    Attributes:
        operations: Operations begun, those included with which the client looks up partition keys.
        retries: Attempts beyond the first of their operation.
        failed: Those of the operations that raised an `AlternatorError`; what the caller cancelled is not among them.
        connections_idle: Connections that wait for use.
        connections_leased: Connections in use, those being dialled included.
        waiting: Operations that wait for a connection.
        connections_by_node: Connections per canonical endpoint, of the nodes listed now.
        retry_tokens: What is left of the retry quota.
        crashes: Crashes of actors.
        dropped_messages: Messages that a full inbox turned away.
    """

    operations: int
    retries: int
    failed: int
    connections_idle: int
    connections_leased: int
    waiting: int
    connections_by_node: Mapping[str, int]
    retry_tokens: int
    crashes: int
    dropped_messages: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One node's health.

    Attributes:
        state: ``"ACTIVE"``, ``"QUARANTINED"`` (traffic only when no active node is left) or ``"DOWN"`` (none).
        failures: Failures in a row.
        successes: Successes in a row: of requests, or of probes while it is down.
        generation: How often it went down.
        is_listed: Whether it is one of the nodes that requests are spread over now.
    """

    state: str
    failures: int
    successes: int
    generation: int
    is_listed: bool


class Client(Operations):
    """A DynamoDB client for an Alternator cluster; made by `open_alternator`.

    Any number of tasks may use it at once. An operation runs in the task that calls it: the caller's cancel scopes and
    deadlines hold for it, and a cancelled one leaves no connection behind.
    """

    __slots__ = ("_config", "_runtime")

    def __init__(self, runtime: Runtime, config: AlternatorConfig | None = None) -> None:
        if not isinstance(runtime, Runtime):  # pyright: ignore[reportUnnecessaryIsInstance]  # seeds, most likely
            raise TypeError(f"a client is opened, not made; {HOW_TO_OPEN}")
        self._runtime = runtime
        self._config = runtime.config if config is None else config

    def with_options(self, **options: Unpack[OperationOptions]) -> Client:
        """A view of this client whose operations have options of their own, which win over the client's.

        A view shares everything else: connections, nodes, health. It costs some ten microseconds; keep it, or make one
        for a single operation.

        Args:
            options: See `AlternatorConfig`; those that can differ from operation to operation.

        Raises:
            ConfigurationError: An option is unknown, wrong, or holds for the whole client only.

        Example:
            >>> quick = client.with_options(attempt_timeout=0.5, request_compression=None)
            >>> await quick.put_item(TableName="users", Item={"id": {"S": "ada"}})
        """
        return Client(self._runtime, self._config.for_operations(options))

    async def call(
        self, operation: str, parameters: Mapping[str, object], **options: Unpack[OperationOptions]
    ) -> dict[str, Any]:
        """Perform any operation, also one that this version does not know by name; parameters go as they are given.

        Args:
            operation: Its name, such as ``"DescribeTimeToLive"``.
            parameters: Wire-shaped parameters.
            options: As `with_options` takes them, for this operation alone.

        Returns:
            The result, with ``ResponseMetadata``.

        Raises:
            AlternatorError: As the operations by name.

        Example:
            >>> answer = await client.call("DescribeTable", {"TableName": "users"})
        """
        if not isinstance(operation, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # what callers pass is not always what we ask for
            raise EncodingError(f"operation: {operation!r} is no string; write its name, as in 'GetItem'")
        if not isinstance(parameters, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # the same
            raise EncodingError(f"the parameters of {operation} are a {type(parameters).__name__}, no mapping")
        config = self._config.for_operations(options) if options else self._config
        return await self._runtime.data_path.perform(operation, parameters, config)

    def nodes(self) -> tuple[Node, ...]:
        """The nodes that requests are spread over now, sorted by canonical endpoint: the seeds until one answers."""
        return self._runtime.live.value.ring

    async def refresh(self) -> tuple[Node, ...]:
        """Refresh the node list, joining the refresh in flight if there is one, and return it.

        Raises:
            DiscoveryError: No node and no seed gave a usable list; the list in force stays.
            ClientClosedError: The client is closed.
        """
        return (await self._runtime.data_path.refresh()).ring

    def node_health(self) -> Mapping[str, NodeStatus]:
        """The health of every node that has been listed, by canonical endpoint; nothing where health is off."""
        live = self._runtime.live.value
        listed = frozenset(live.ring)
        return {
            node.endpoint: NodeStatus(
                state=standing.state.name,
                failures=standing.failures,
                successes=standing.successes,
                generation=standing.generation,
                is_listed=node in listed,
            )
            for node, standing in live.standings.items()
        }

    @property
    def routing_scope(self) -> RoutingScope:
        """The routing scope in force, without its fallbacks."""
        return self._runtime.live.value.scope

    async def check_routing(self) -> RoutingCheck:
        """Ask the cluster whether it knows the datacenter and rack of the preferred scope.

        An unknown name gives an empty node list, not an error, so that a misspelt one shows only here or in traffic
        that goes to a fallback. Asks one node, two or three times; nothing is remembered.

        Raises:
            DiscoveryError: No node answered.
            ClientClosedError: The client is closed.
        """
        return await self._runtime.check_routing()

    async def partition_key(self, table: str) -> str:
        """The name of a table's partition key; looked up once, however many ask.

        Raises:
            ResourceNotFoundException: There is no such table.
            AlternatorError: The cluster could not be asked.
        """
        _check_table(table)
        return await self._runtime.partition_key(table)

    def clear_partition_key(self, table: str) -> None:
        """Forget what was found out about a table's partition key, and end its cooldown after a failed lookup.

        A name given with `KeyRouteAffinity` stays.
        """
        _check_table(table)
        self._runtime.clear_partition_key(table)

    def statistics(self) -> Statistics:
        """Counts and connections."""
        runtime = self._runtime
        pools = runtime.pools.statistics()
        inboxes = (
            runtime.registry_inbox,
            runtime.dispatcher_inbox,
            runtime.credentials_inbox,
            runtime.keys_inbox,
            runtime.discovery_inbox,
        )
        return Statistics(
            operations=runtime.data_path.begun,
            retries=runtime.data_path.retries,
            failed=runtime.data_path.failed,
            connections_idle=pools.idle,
            connections_leased=pools.leased,
            waiting=pools.waiting,
            connections_by_node={node.endpoint: runtime.pools.connections_to(node) for node in self.nodes()},
            retry_tokens=runtime.quota.tokens,
            crashes=runtime.crashes,
            dropped_messages=sum(inbox.statistics().dropped for inbox in inboxes),
        )

    def _perform(self, operation: str, parameters: Mapping[str, object]) -> Coroutine[Any, Any, dict[str, Any]]:
        check_parameters(operation, parameters)
        return self._runtime.data_path.perform(operation, parameters, self._config)

    def __repr__(self) -> str:
        state = "closed" if self._runtime.lifetime.is_over else f"{self.routing_scope}, {len(self.nodes())} node(s)"
        return f"<alternator_trio.Client: {state}>"

    if not TYPE_CHECKING:  # type checkers are to see that these names are not there

        def __getattr__(self, name: str) -> NoReturn:
            hint = f"it is client.call({name!r}, {{...}})" if name in TARGETS else _ELSEWHERE.get(name)
            known = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(known if hint is None else f"{known}; {hint}", name=name, obj=self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client is neither pickled nor copied; its AlternatorConfig can be")


def open_alternator(
    *seeds: str, config: AlternatorConfig | None = None, **options: Unpack[Options]
) -> contextlib.AbstractAsyncContextManager[Client]:
    """Open a client for the length of a block.

    Entering starts the first refresh of the node list and does not wait for it: until a node has answered, requests
    go to the seeds. Leaving, however it comes about, ends every task and closes every connection without waiting for
    the network.

    Args:
        seeds: First contacts, ``scheme://host[:port]``.
        config: A whole configuration; seeds and options given beside it win.
        options: See `AlternatorConfig`.

    Returns:
        The block, to be entered once with ``async with``, which gives the client.

    Raises:
        ConfigurationError: A seed or an option is wrong; raised before anything is sent.
        ClientStoppedError: An actor crashed too often while the block ran.
        RuntimeError: There is no Trio run.

    Example:
        >>> async with open_alternator("http://10.0.0.1:8000") as client:
        ...     await client.put_item(TableName="users", Item={"id": {"S": "ada"}})
    """
    return ClientBlock(_open(seeds, config, options))


@contextlib.asynccontextmanager
async def _open(
    seeds: tuple[str, ...], config: AlternatorConfig | None, options: Options
) -> AsyncGenerator[Client, None]:
    if not trio.lowlevel.in_trio_run():
        raise RuntimeError(
            "open_alternator needs a Trio run: trio.run(main), or anyio.run(main, backend='trio'); "
            "asyncio is not supported"
        )
    async with open_runtime(AlternatorConfig.build(seeds, config, options)) as runtime:
        yield Client(runtime)


def _check_table(table: object) -> None:
    if not isinstance(table, str):
        raise EncodingError(f"table: {table!r} is no table's name")

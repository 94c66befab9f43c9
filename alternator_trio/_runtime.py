"""The composition root: makes inboxes, published values, pools and actors, and runs the actors under supervision.

Rules: start order NodeRegistry, Dispatcher, CredentialsKeeper, KeyResolver, Discovery; stop order the reverse. The last
three are restarted for ever: a client with a good node list lives on without them. NodeRegistry and Dispatcher have an
intensity; beyond it the client stops. The real clock, randomness and network are chosen here and nowhere else.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from alternator_trio._actors.credentials_keeper import CredentialsKeeper
from alternator_trio._actors.discovery import Discovery
from alternator_trio._actors.dispatcher import Dispatcher
from alternator_trio._actors.key_resolver import KeyResolver
from alternator_trio._actors.messages import (
    CredentialsByProvider,
    CredentialsMessage,
    DiscoveryMessage,
    DispatcherMessage,
    KeyNames,
    KeyResolverMessage,
    KeyWanted,
    NodeRegistryMessage,
    TableChanged,
)
from alternator_trio._actors.node_registry import NodeRegistry, first_snapshot
from alternator_trio._actors.refresher import Refresher
from alternator_trio._authentication import Authenticator
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._core.retry import RetryQuota
from alternator_trio._data_path import DataPath
from alternator_trio._lifetime import Lifetime
from alternator_trio._node_questions import NodeQuestions
from alternator_trio._router import Router
from alternator_trio._routing_check import RoutingCheck, check_routing
from alternator_trio._supervision import (
    Actor,
    Block,
    CrashReport,
    Inbox,
    IntensityExceededError,
    Message,
    MessageDroppedError,
    Published,
    Reply,
    RestartForever,
    RestartLimited,
    RestartPolicy,
    ask,
    open_block,
    supervise,
)
from alternator_trio._transport.connection import Connection
from alternator_trio._transport.dialing import NO_NETWORK, Dial, TcpDialer
from alternator_trio._transport.httpx_lease import HttpxLease
from alternator_trio._transport.native import NativeTransport
from alternator_trio._transport.pools import Pools
from alternator_trio._transport.tls_contexts import contexts_for
from alternator_trio._wire.http_request import RequestWriter
from alternator_trio.config import AlternatorConfig
from alternator_trio.errors import AlternatorError, ClientClosedError, ClientStoppedError
from alternator_trio.instruments import Notifier
from alternator_trio.user_agent import user_agent_text

if TYPE_CHECKING:
    from alternator_trio._transport.httpx_transport import OverHttpx

__all__ = ["Runtime", "open_runtime"]

_logger: Final = logging.getLogger("alternator_trio")

S = TypeVar("S")
M = TypeVar("M", bound=Message)
A = TypeVar("A")


class Runtime:
    """Everything that one client is made of.

    Args:
        config: The client's configuration.
        dial: Makes wires; None: over TCP.
        rng: Where all randomness comes from; None: a generator seeded by the system.
        wall_clock: Seconds since the epoch: what signatures say, and what credentials end by.
    """

    def __init__(
        self,
        config: AlternatorConfig,
        dial: Dial | None,
        rng: random.Random | None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        rng = random.Random() if rng is None else rng  # noqa: S311  # spreads load; guards nothing
        self.config = config
        self.crashes = 0
        # Without discovery nothing is probed, and what nobody probes must not go down.
        self.health = config.node_health if config.discovery else None
        self._chain = config.routing_scope.chain
        self._notifier = Notifier(config.instruments)
        first = first_snapshot(config.seed_nodes, self._chain, discovered=not config.discovery, health=self.health)
        self.live: Published[LiveNodes] = Published(first)
        affinity = config.key_route_affinity
        self.key_names = Published(KeyNames(names={} if affinity is None else affinity.partition_keys))
        # Without discovery nobody is to be told of activity.
        self._activity_from = Published(float("inf"))
        self.registry_inbox: Inbox[NodeRegistryMessage] = Inbox("NodeRegistry")
        self.dispatcher_inbox: Inbox[DispatcherMessage] = Inbox("Dispatcher")
        self.credentials: Published[CredentialsByProvider] = Published({})
        self.credentials_inbox: Inbox[CredentialsMessage] = Inbox("CredentialsKeeper")
        self.keys_inbox: Inbox[KeyResolverMessage] = Inbox("KeyResolver")
        self.discovery_inbox: Inbox[DiscoveryMessage] = Inbox("Discovery")
        self.pools = Pools(
            per_node=config.max_connections_per_node,
            total=config.max_connections,
            idle_lifetime=config.idle_connection_lifetime,
            max_age=config.max_connection_age,
            acquire_timeout=config.acquire_timeout,
            alarm=self.dispatcher_inbox.wake_by,
            connection=Connection if config.transport == "native" else HttpxLease,
        )
        self._over_httpx = None if config.transport == "native" else _over_httpx(config, self.pools)
        self.quota = RetryQuota()
        transport = self._over_httpx or NativeTransport(
            self.pools, dial or TcpDialer(config.connect_timeout, contexts_for(config))
        )
        self._writer = RequestWriter(user_agent_text(config.user_agent))
        self.questions = NodeQuestions(transport, self._writer)
        self._authenticator = Authenticator(
            config,
            held=self.credentials,
            keeper=self.credentials_inbox,
            notifier=self._notifier,
            wall_clock=wall_clock,
        )
        self.lifetime = Lifetime()
        self.data_path = DataPath(
            config,
            lifetime=self.lifetime,
            transport=transport,
            live=self.live,
            router=Router(
                config,
                live=self.live,
                key_names=self.key_names,
                registry=self.registry_inbox,
                keys=self.keys_inbox,
                rng=rng,
            ),
            authenticator=self._authenticator,
            activity_from=self._activity_from,
            discovery=self.discovery_inbox,
            writer=self._writer,
            quota=self.quota,
            rng=rng,
            wall_clock=wall_clock,
        )
        self._rng = rng
        self._wall_clock = wall_clock

    async def partition_key(self, table: str) -> str:
        """The name of a table's partition key: the user's own, one found out before, or one looked up now.

        The resolver is asked in any case: it has read then that the table has changed, if it was told so before.
        """
        self.lifetime.check()

        def wanted(reply: Reply[str]) -> KeyResolverMessage:
            return KeyWanted(table=table, replies=(reply,))

        try:
            return await ask(self.keys_inbox, wanted)
        except MessageDroppedError as error:
            raise AlternatorError(f"the key of {table!r} is not looked up: too many tables at once") from error

    def clear_partition_key(self, table: str) -> None:
        """Forget what was found out about a table's key, and end its cooldown. A name that the user gave stays."""
        self.lifetime.check()
        self.keys_inbox.tell(TableChanged(table=table))

    async def check_routing(self) -> RoutingCheck:
        """Whether the cluster knows the datacenter and rack of the preferred scope."""
        self.lifetime.check()
        live = self.live.value
        candidates = dict.fromkeys((*live.eligible, *live.ring, *self.config.seed_nodes))
        return await check_routing(self._chain[0], tuple(candidates), self.questions.ask_localnodes)

    def close(self) -> None:
        """End what goes on outside the block, at once and without waiting for the network."""
        self.lifetime.end()
        self.pools.close()
        if self._over_httpx is not None:
            self._over_httpx.close()

    def start(self, block: Block) -> None:
        """Start the actors, in order."""
        if self._over_httpx is not None:
            block.start_service("exchanges over httpx", self._over_httpx.run)
        # No actor needs to run before another: their inboxes are open and their snapshots published already.
        registry = NodeRegistry(
            self.registry_inbox,
            self.live,
            self.dispatcher_inbox,
            self.discovery_inbox,
            chain=self._chain,
            health=self.health,
            notifier=self._notifier,
        )
        self._start(block, registry, RestartLimited())
        dispatcher = Dispatcher(self.dispatcher_inbox, self.pools, self.config.seed_nodes, self._forget)
        self._start(block, dispatcher, RestartLimited())
        keeper = CredentialsKeeper(self.credentials_inbox, self.credentials, self._wall_clock)
        self._start(block, keeper, RestartForever())
        resolver = KeyResolver(self.keys_inbox, self.key_names, self._describe_table, self._rng)
        self._start(block, resolver, RestartForever())
        if self.config.discovery:
            self._start(block, self._make_discovery(), RestartForever())

    def _make_discovery(self) -> Discovery:
        refresher = Refresher(
            self.live,
            self.questions.ask_localnodes,
            seeds=self.config.seed_nodes,
            chain=self._chain,
            translator=self.config.address_translator,
            rng=self._rng,
        )
        return Discovery(
            self.discovery_inbox,
            self.registry_inbox,
            activity_from=self._activity_from,
            refresher=refresher,
            probe=self.questions.probe,
            active_interval=self.config.active_interval,
            idle_interval=self.config.idle_interval,
            chain=self._chain,
            probe_concurrency=self.health.probe_concurrency if self.health else 1,
            probe_timeout=self.health.probe_timeout if self.health else math.inf,
        )

    def _start(self, block: Block, actor: Actor[S, M, A], policy: RestartPolicy) -> None:
        async def run() -> None:
            try:
                await supervise(actor, policy, self._report)
            except IntensityExceededError as error:
                raise ClientStoppedError(f"the client gave up: {error}") from error.__cause__

        def stopped() -> None:
            error = ClientClosedError("the client's block has ended")
            actor.inbox.close(error)
            actor.abandon(error)

        block.start_service(actor.name, run, on_stopped=stopped)

    def _report(self, crash: CrashReport) -> None:
        self.crashes += 1
        again = "it is given up" if crash.restart_in is None else f"it runs again in {crash.restart_in:g} s"
        _logger.error(
            "%s crashed on %s; %s",
            crash.actor,
            "its own account" if crash.message is None else type(crash.message).__name__,
            again,
            exc_info=crash.error,
        )

    def _forget(self, live: LiveNodes) -> None:
        kept = {*live.known, *self.config.seed_nodes}
        self._writer.keep_only(kept)
        self._authenticator.keep_only(kept)

    async def _describe_table(self, table: str) -> Mapping[str, object]:
        return await self.data_path.perform_once("DescribeTable", {"TableName": table})


def _over_httpx(config: AlternatorConfig, pools: Pools) -> OverHttpx:
    from alternator_trio._transport.httpx_transport import over_httpx  # noqa: PLC0415  # httpx takes its time to import

    return over_httpx(config, pools)


@contextlib.asynccontextmanager
async def open_runtime(
    config: AlternatorConfig,
    *,
    dial: Dial | None = None,
    rng: random.Random | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> AsyncGenerator[Runtime, None]:
    """Open a runtime; its actors live as long as the block.

    Raises:
        ClientStoppedError: An actor crashed too often.
        RuntimeError: There is no network in this Trio run; the message says what to use.
    """
    if dial is None and (why := NO_NETWORK.get()):
        raise RuntimeError(why)
    runtime = Runtime(config, dial, rng, wall_clock)
    async with open_block(runtime.close) as block:
        runtime.start(block)
        yield runtime

"""The data path: an operation from wire-shaped parameters to a result, over as many attempts as it takes.

Rules: a request runs in its caller's task; it reads snapshots and waits for an actor only when no node is left to try;
the plan is taken lazily and kept over the attempts; each attempt is addressed to the node that it goes to; every await
leaves, when cancelled, nothing behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import Final

import trio

from alternator_trio._actors.messages import Activity, DiscoveryMessage, RefreshWanted
from alternator_trio._authentication import Authenticator
from alternator_trio._core.live_nodes import LiveNodes
from alternator_trio._core.query_plan import QueryPlan, RoundRobinPlan
from alternator_trio._core.retry import QUOTA_TOKENS, RetryQuota, decide
from alternator_trio._lifetime import Lifetime
from alternator_trio._request import Request
from alternator_trio._router import Router
from alternator_trio._supervision import Inbox, Published, Reply, ask
from alternator_trio._transport.connection import Connection
from alternator_trio._transport.transport import Transport
from alternator_trio._wire.compression import compress
from alternator_trio._wire.http_request import RequestWriter, sdk_lines
from alternator_trio._wire.http_response import HttpResponse
from alternator_trio._wire.json_body import encode_object
from alternator_trio._wire.replies import UnreadableReplyError, read_result
from alternator_trio.config import AlternatorConfig, RetryPolicy
from alternator_trio.errors import (
    AlternatorError,
    ClientClosedError,
    DecodingError,
    DiscoveryError,
    NoLiveNodesError,
    OperationTimeoutError,
    TransportError,
)
from alternator_trio.nodes import Node

__all__ = ["DataPath"]

_OK: Final = 200
_REFRESH_SPACING: Final = 0.1  # seconds between refreshes that consumed plans ask for
_REFRESH_PATIENCE: Final = 5.0  # seconds that a request waits for one; as long as a refresh may take


class DataPath:
    """The data path of one client.

    Attributes:
        begun: Requests begun.
        retries: Attempts beyond the first of their request.
        failed: Requests that raised an error of ours; cancelled ones are not among them.
    """

    def __init__(
        self,
        config: AlternatorConfig,
        *,
        lifetime: Lifetime,
        transport: Transport,
        live: Published[LiveNodes],
        router: Router,
        authenticator: Authenticator,
        activity_from: Published[float],
        discovery: Inbox[DiscoveryMessage],
        writer: RequestWriter,
        quota: RetryQuota,
        rng: random.Random,
        wall_clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._lifetime = lifetime
        self._transport = transport
        self._pools = transport.pools
        self._live = live
        self._router = router
        self._authenticator = authenticator
        self._activity_from = activity_from
        self._discovery = discovery
        self._writer = writer
        self._quota = quota
        self._rng = rng
        self._wall_clock = wall_clock
        self._once = dataclasses.replace(config, retry=RetryPolicy(max_attempts=1))
        self.begun = 0
        self.retries = 0
        self.failed = 0

    async def perform(
        self, operation: str, parameters: Mapping[str, object], config: AlternatorConfig
    ) -> dict[str, object]:
        """Carry out one operation.

        Args:
            operation: Its name.
            parameters: Wire-shaped; binary values may be bytes.
            config: The choices that hold for this operation.

        Returns:
            The result, wire-shaped, with ``ResponseMetadata``.

        Raises:
            AlternatorError: See the tree in `alternator_trio.errors`.
        """
        self._lifetime.check()
        self.begun += 1
        request = None
        try:
            body, coding = compress(encode_object(parameters), config.request_compression)
            fields = self._writer.fields(operation, coding, config.response_compression)
            request = Request(operation, parameters, config, fields, body)
            seconds = config.operation_timeout
            if seconds is None:
                return await self._run(request)
            request.deadline = trio.current_time() + seconds
            with trio.CancelScope(deadline=request.deadline):
                return await self._run(request)
            request.interrupt()
            raise OperationTimeoutError(f"not done within {seconds:g} s") from request.last_error
        except trio.Cancelled:
            if request is not None:
                request.interrupt()
                if request.unknown_outcome:
                    self._router.schema_changed(request)
            raise
        except AlternatorError as error:
            self.failed += 1
            if request is not None:
                request.complete(error)
                if error.may_have_happened:  # also where nothing but operation_timeout ended it
                    self._router.schema_changed(request)
            else:  # its parameters cannot be written, or its name is none
                error.operation = operation if operation.isalnum() else None
            raise

    async def perform_once(self, operation: str, parameters: Mapping[str, object]) -> dict[str, object]:
        """Like `perform`, with a single attempt: for callers that have retries of their own."""
        return await self.perform(operation, parameters, self._once)

    async def refresh(self, spacing: float = 0.0) -> LiveNodes:
        """Join the refresh in flight, or begin one, and return the node list that it leads to.

        Args:
            spacing: Seconds that must have passed since the last refresh began.

        Raises:
            DiscoveryError: No candidate gave a usable node list.
        """
        self._lifetime.check()
        if not self._config.discovery:
            await trio.lowlevel.checkpoint()
            return self._live.value

        def wanted(reply: Reply[LiveNodes]) -> DiscoveryMessage:
            return RefreshWanted(replies=(reply,), spacing=spacing)

        return await ask(self._discovery, wanted)

    # Below: the parts of the above.

    async def _run(self, request: Request) -> dict[str, object]:
        config = request.config
        seconds = config.ddl_timeout if request.is_schema_change else config.attempt_timeout
        now = trio.current_time()
        if now >= self._activity_from.value:
            self._discovery.tell(Activity())
        if self._router.must_know_nodes(request):
            with trio.move_on_after(_REFRESH_PATIENCE), contextlib.suppress(DiscoveryError):
                await self.refresh()
            now = trio.current_time()
        plan = self._router.plan_for(request)
        node = plan.next_node()
        while True:
            if node is None or (request.provider is not None and not self._authenticator.supplies(request, now)):
                plan, node = await self._prepare(request, plan, node)
                now = trio.current_time()
            live = self._live.value
            lease = self._pools.take(node, now)
            if lease is None:
                lease = await self._lease_elsewhere(request, plan, live, node)
                now = trio.current_time()
            wire_request, node = self._begin_attempt(request, lease), lease.node
            try:
                response = await self._transport.attempt(lease, wire_request, now, seconds, config.max_response_bytes)
            except (TransportError, DecodingError, ClientClosedError) as error:
                failed: AlternatorError = error
                self._router.failed(lease, live, error)
            else:
                if self._live.value.watched:
                    self._router.answered(node, live, response.status)
                if response.status == _OK:
                    return self._succeed(request, node, response)
                failed = request.error_in(response, self._wall_clock())
            node = await self._next_node(request, plan, node, failed)
            now = trio.current_time()

    def _succeed(self, request: Request, node: Node, response: HttpResponse) -> dict[str, object]:
        if request.is_schema_change:
            self._router.schema_changed(request)
        if self._quota.tokens < QUOTA_TOKENS:
            self._quota.refund(request.spent)
        try:
            result = read_result(
                request.operation, response, request.config.response_compression, request.config.max_response_bytes
            )
        except UnreadableReplyError as error:
            request.unknown_outcome = not request.is_read
            raise DecodingError(f"the answer is not {request.operation}'s: {error}") from error
        metadata: dict[str, object] = {
            "HTTPStatusCode": response.status,
            "RetryAttempts": request.attempts - 1,
            "Node": node.endpoint,
        }
        request_id = response.headers.get(b"x-amzn-requestid")
        if request_id is not None:
            metadata["RequestId"] = request_id.decode("latin-1")
        result["ResponseMetadata"] = metadata
        return result

    def _begin_attempt(self, request: Request, lease: Connection) -> bytes:
        """Head and body of an attempt on a lease, which goes back when they cannot be made: the clock may be absurd."""
        wire_request = b""
        try:
            node = request.begin_attempt(lease)
            # Everything that is signed stands by now: body, compression, headers, address.
            lines = self._lines(request, node) if request.has_lines else b""
            wire_request = self._writer.post(node, request.fields, request.body, lines)
        finally:
            if not wire_request:
                self._pools.discard(lease)
        return wire_request

    def _lines(self, request: Request, node: Node) -> bytes:
        """The header lines of one attempt: its signature for the node, and what AWS's SDKs say."""
        lines = self._authenticator.sign(request, node)
        if not request.config.optimize_headers:
            lines += sdk_lines(request.identity(), request.attempts, request.config)
        return lines

    def _judge(self, request: Request, node: Node, error: AlternatorError) -> float:
        """Seconds to wait before the next attempt; raises when there is to be none."""
        self._router.went_wrong(request, error)
        now = trio.current_time()
        situation = request.fail(node, error, now)
        verdict = decide(situation, request.config.retry, self._rng)
        if verdict == "indeterminate":
            raise request.indeterminate("a repetition could change it") from error
        if verdict == "give up":
            raise error
        if now + verdict.delay >= request.deadline:
            error.add_note(f"not tried again: a pause of {verdict.delay:.3g} s would outlast operation_timeout")
            raise error
        if not self._quota.take(verdict.cost):
            error.add_note("not tried again: the client's retry quota is used up")
            raise error
        request.spent += verdict.cost
        return verdict.delay

    async def _lease_elsewhere(self, request: Request, plan: QueryPlan, live: LiveNodes, node: Node) -> Connection:
        """A lease where there is one: at another node of the plan, or whichever is free first; affinity waits."""
        if not isinstance(plan, RoundRobinPlan) or request.is_sent_again:
            return await self._pools.wait(node)
        held = plan.instead_of(node, self._pools.could_take)
        lease = None if held is node else self._pools.take(held, trio.current_time())
        if lease is None:
            acceptable = live.eligible if held in live.eligible else (*live.eligible, held)
            lease = await self._pools.wait(None, acceptable, request.tried)
            chosen = lease.node
            if chosen is not held:
                plan.taken_instead(held, chosen)
        return lease

    async def _prepare(self, request: Request, plan: QueryPlan, node: Node | None) -> tuple[QueryPlan, Node]:
        """What an attempt needs and may take time: a node, and what the request's provider gives."""
        if node is None:
            plan, node = await self._next_cycle(request)
        if not self._authenticator.supplies(request, trio.current_time()):
            await self._authenticator.obtain(request)
        return plan, node

    async def _next_cycle(self, request: Request) -> tuple[QueryPlan, Node]:
        """The plan is consumed: once the node list is fresh, another one, in which the last node comes last.

        Raises:
            NoLiveNodesError: All nodes are down.
        """
        trouble: AlternatorError | None = None
        with trio.move_on_after(_REFRESH_PATIENCE):
            try:
                await self.refresh(_REFRESH_SPACING)
            except DiscoveryError as error:
                trouble = error
        plan = self._router.plan_for(request, request.tried[-1] if request.tried else None)
        request.tried.clear()
        node = plan.next_node()
        if node is None:
            why = "" if trouble is None else f"; {trouble.message}"
            if request.last_error is not None:
                trouble, why = request.last_error, f"; the last said: {request.last_error.message}"
            raise NoLiveNodesError(f"all nodes of the {self._live.value.scope} are down{why}") from trouble
        return plan, node

    async def _next_node(self, request: Request, plan: QueryPlan, node: Node, error: AlternatorError) -> Node | None:
        """Where to try again: at the same node what it only did not authenticate, else at the plan's next one."""
        request.lease = None
        if await self._authenticator.overcomes(request, node, error):
            return node
        await self._back_off(request, node, error)
        return plan.next_node()

    async def _back_off(self, request: Request, node: Node, error: AlternatorError) -> None:
        """Wait until the next attempt is due; raises when there is to be none."""
        seconds = self._judge(request, node, error)
        self.retries += 1
        if not seconds:
            return
        with trio.move_on_after(seconds):
            await self._lifetime.until_over()
            raise ClientClosedError("the client was closed")

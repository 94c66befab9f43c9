"""The bugs that are planted to see whether anybody notices: each one change of one place of the package's source.

Rules: a bug is what somebody might write, not a wreck; its text must be found in its module exactly once, so that one
that no longer applies is an error; who is to catch it, if no seed does, is named beside it.
"""

from __future__ import annotations

import dataclasses

__all__ = ["PLANTED", "Bug"]

_RESOLVER = "alternator_trio._actors.key_resolver"
_DISCOVERY = "alternator_trio._actors.discovery"
_REFRESHER = "alternator_trio._actors.refresher"
_REGISTRY = "alternator_trio._actors.node_registry"
_DISPATCHER = "alternator_trio._actors.dispatcher"
_SCOPES = "alternator_trio._core.scopes"
_CAPACITY = "alternator_trio._core.pool"
_PLAN = "alternator_trio._core.query_plan"
_RETRY = "alternator_trio._core.retry"
_REQUEST = "alternator_trio._request"
_DATA_PATH = "alternator_trio._data_path"
_AUTHENTICATION = "alternator_trio._authentication"
_ROUTER = "alternator_trio._router"
_POOLS = "alternator_trio._transport.pools"
_NATIVE = "alternator_trio._transport.native"
_CONNECTION = "alternator_trio._transport.connection"
_RESPONSE = "alternator_trio._wire.http_response"

_EXCHANGE = "            return await lease.exchange(request, max_body_bytes, self._heads)\n"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One planted bug.

    Attributes:
        name: Short, for the command line.
        what: What the client then does.
        module: Where it is planted.
        old: The text that is right.
        new: What stands in its place.
        tests: The nearest ordinary tests, for when no seed finds it.
    """

    name: str
    what: str
    module: str
    old: str
    new: str
    tests: str


PLANTED = (
    Bug(
        name="lookup-dedup",
        what="whoever asks for a table's key begins a lookup of his own",
        module=_RESOLVER,
        old="    lookup = state.lookups.get(table)\n    if lookup is not None:\n        return",
        new="    lookup = state.lookups.get(table)\n    if lookup is not None and lookup.is_stale:\n        return",
        tests="tests/actors/test_key_resolver.py",
    ),
    Bug(
        name="lookup-mark",
        what="a lookup that has ended is held to be running",
        module=_RESOLVER,
        old="    lookup = lookups.pop(table, Lookup())\n",
        new="    lookup = lookups.get(table, Lookup())\n",
        tests="tests/actors/test_key_resolver.py",
    ),
    Bug(
        name="lookup-mark-crash",
        what="a lookup that died with its actor is not made again",
        module=_RESOLVER,
        old="                actions.append(_LookUp(table))\n            else:\n",
        new="            else:\n",
        tests="tests/actors/test_key_resolver.py",
    ),
    Bug(
        name="stale-lookup",
        what="a lookup that a change of its table has overtaken counts",
        module=_RESOLVER,
        old="    if lookup.is_stale:\n",
        new="    if lookup.is_stale and not message.table:\n",
        tests="tests/actors/test_key_resolver.py",
    ),
    Bug(
        name="generation-traffic",
        what="the result of an attempt of a node's earlier life counts",
        module=_REGISTRY,
        old="standing is None or standing.generation != message.generation:\n",
        new="standing is None:\n",
        tests="tests/actors/test_node_registry_health.py",
    ),
    Bug(
        name="generation-probe",
        what="the result of a probe of a node's earlier life counts",
        module=_REGISTRY,
        old="        if message.succeeded is None or message.generation != standing.generation:\n",
        new="        if message.succeeded is None:\n",
        tests="tests/actors/test_node_registry_health.py",
    ),
    Bug(
        name="reuse-cancelled",
        what="a connection is used again after a cancelled exchange",
        module=_NATIVE,
        old="        except TransportError as error:\n",
        new="        except trio.Cancelled:\n            lease._clean = True\n            raise\n"
        "        except TransportError as error:\n",
        tests="tests/transport/test_cancellation.py",
    ),
    Bug(
        name="reuse-timed-out",
        what="a connection is used again after an exchange that timed out",
        module=_NATIVE,
        old=_EXCHANGE,
        new="            with trio.move_on_at(lease.deadline - 0.001):\n    "
        + _EXCHANGE
        + "            lease._clean = True\n"
        "            raise AttemptTimeoutError('no complete answer', node=lease.node.endpoint)\n",
        tests="tests/transport/test_deadlines.py",
    ),
    Bug(
        name="reuse-unclean",
        what="a connection is used again whatever its last answer said",
        module=_CONNECTION,
        old="        self._clean = response.reusable and (\n",
        new="        self._clean = (\n",
        tests="tests/transport/test_exchange.py",
    ),
    Bug(
        name="seed-fallback",
        what="the seeds are asked at the start only",
        module=_REFRESHER,
        old="        return [*known, *contacts, *seeds]\n",
        new="        return [*known, *contacts] or seeds\n",
        tests="tests/actors/test_discovery.py tests/scenarios/test_l3_seed_fallback.py",
    ),
    Bug(
        name="refresh-dedup",
        what="a refresh begins while another is in flight",
        module=_DISCOVERY,
        old="        if state.refreshing:\n            return state, ()\n",
        new="",
        tests="tests/actors/test_discovery.py",
    ),
    Bug(
        name="refresh-mark",
        what="a refresh that has ended is held to be in flight",
        module=_DISCOVERY,
        old="        state = state._replace(\n            refreshing=False,\n",
        new="        state = state._replace(\n            refreshing=True,\n",
        tests="tests/actors/test_discovery.py",
    ),
    Bug(
        name="refresh-mark-crash",
        what="a refresh that died with its actor is held to be in flight",
        module=_DISCOVERY,
        old="        state = state._replace(refreshing=False, probing={}, queued={})\n",
        new="        state = state._replace(probing={}, queued={})\n",
        tests="tests/actors/test_discovery.py",
    ),
    Bug(
        name="probe-mark-crash",
        what="a probe that died with its actor is held to be in flight",
        module=_DISCOVERY,
        old="        state = state._replace(refreshing=False, probing={}, queued={})\n",
        new="        state = state._replace(refreshing=False)\n",
        tests="tests/routing/test_probes.py",
    ),
    Bug(
        name="probe-mark",
        what="a probe that has ended is held to be in flight",
        module=_DISCOVERY,
        old="for node, wanted in state.probing.items() if node != settled.node}\n",
        new="for node, wanted in state.probing.items()}\n",
        tests="tests/actors/test_discovery.py",
    ),
    Bug(
        name="slot-leak-dial",
        what="a dial that fails or is cancelled keeps its slot",
        module=_POOLS,
        old="        connection.close()\n        self._capacity.release(connection.node)\n",
        new="        connection.close()\n        if connection.was_dialled:\n"
        "            self._capacity.release(connection.node)\n",
        tests="tests/transport/test_pools.py",
    ),
    Bug(
        name="slot-leak-discard",
        what="a connection that is evened out of the pool keeps its slot",
        module=_POOLS,
        old="        self._drop(self._idle[giver].popleft())\n",
        new="        self._idle[giver].popleft().close()\n",
        tests="tests/transport/test_pools.py",
    ),
    Bug(
        name="bound-per-node",
        what="the bound on one node's connections is not kept",
        module=_CAPACITY,
        old="        return self.used < self._total and self._by_node[node] < self._per_node\n",
        new="        return self.used < self._total\n",
        tests="tests/core/test_pool.py",
    ),
    Bug(
        name="lost-lease",
        what="a lease that was handed to a task is lost when the task is cancelled",
        module=_POOLS,
        old="        if waiter.lease is not None:\n            return self._looked_at(",
        new="        if waiter.lease is not None:\n            await trio.lowlevel.checkpoint()\n"
        "            return self._looked_at(",
        tests="tests/transport/test_pools_waiting.py",
    ),
    Bug(
        name="lost-waiter",
        what="a slot that becomes free is offered to nobody",
        module=_POOLS,
        old="        if self._line:\n            self._serve_slot(connection)\n",
        new="",
        tests="tests/transport/test_pools_waiting.py",
    ),
    Bug(
        name="certain",
        what="an unknown outcome is reported as a certain failure",
        module=_RETRY,
        old="    return failure in _UNKNOWN_OUTCOME\n",
        new="    return False\n",
        tests="tests/client/test_retry_table.py",
    ),
    Bug(
        name="repeat",
        what="a write that must not be repeated is repeated",
        module=_REQUEST,
        old="repeatable=not unknown or repeat_anyway or is_repeatable(self.operation, self.parameters),\n",
        new="repeatable=True,\n",
        tests="tests/client/test_retry_table.py",
    ),
    Bug(
        name="own-condition",
        what="a failed condition is believed after an attempt of unknown outcome",
        module=_REQUEST,
        old="        return error.code == _CONDITION_FAILED\n",
        new="        return False\n",
        tests="tests/client/test_ambiguous_answers.py",
    ),
    Bug(
        name="down-node",
        what="a node that is down is handed out",
        module=_ROUTER,
        old="        return self._live.value.state_of(node)\n",
        new="        return NodeState.ACTIVE\n",
        tests="tests/client/test_retries.py",
    ),
    Bug(
        name="plan-repeats",
        what="a plan hands a node out that it has handed out before",
        module=_PLAN,
        old="                return self.passed.pop(index)\n",
        new="                return self.passed[index]\n",
        tests="tests/core/test_query_plan.py",
    ),
    Bug(
        name="affinity-health",
        what="a key's coordinator is drawn from the healthy nodes, and moves with their health",
        module=_ROUTER,
        old="                return seeded_plan(live.ring, seed, self._state_of)\n",
        new="                return seeded_plan(live.eligible or live.ring, seed, self._state_of)\n",
        tests="tests/routing tests/scenarios/test_a2_affinity_and_fallback.py",
    ),
    Bug(
        name="empty-list",
        what="an empty list replaces a good one",
        module=_SCOPES,
        old=" if answer.nodes else old._replace(is_empty=True)\n",
        new=" if answer.nodes else old._replace(nodes=(), is_empty=True)\n",
        tests="tests/core/test_scopes.py",
    ),
    Bug(
        name="quota",
        what="the tokens of the retry quota never come back",
        module=_RETRY,
        old="        self.tokens = min(QUOTA_TOKENS, self.tokens + (cost or SUCCESS_REFUND))\n",
        new="        del cost\n",
        tests="tests/core/test_retry.py",
    ),
    Bug(
        name="departed",
        what="connections to a node that has left are kept",
        module=_DISPATCHER,
        old="                self._pools.keep_only((*live.known, *self.state.kept))\n",
        new="",
        tests="tests/actors/test_dispatcher.py",
    ),
    Bug(
        name="alarm",
        what="nobody is woken for a deadline",
        module=_POOLS,
        old="        self._alarm_at = when\n        self._alarm(when)\n",
        new="        self._alarm_at = when\n",
        tests="tests/transport/test_deadlines.py",
    ),
    Bug(
        name="truncated",
        what="an answer without a word of its body's end is taken for whole",
        module=_RESPONSE,
        old="        if len(data) < missing:\n",
        new="        if len(data) < missing and not data:\n",
        tests="tests/wire",
    ),
    Bug(
        name="given-up-answers",
        what="a refresh counts the answer of a node that it has given up",
        module=_REFRESHER,
        old="                if patience.cancel_called:\n",
        new="                if patience.cancelled_caught:\n",
        tests="tests/actors/test_discovery_scopes.py",
    ),
    Bug(
        name="skew-sign",
        what="a wrong clock is corrected the wrong way",
        module=_AUTHENTICATION,
        old="        skew = there - here\n",
        new="        skew = here - there\n",
        tests="tests/client/test_clock_skew.py",
    ),
    Bug(
        name="skew-kept",
        what="a clock that is right again is corrected as before",
        module=_AUTHENTICATION,
        old="        if rounded == self._clock_of(node).skew:\n",
        new="        if rounded in {0, self._clock_of(node).skew}:\n",
        tests="tests/client/test_clock_skew.py",
    ),
    Bug(
        name="change-cut-off",
        what="a change of a table that a timeout cut off is held not to have happened",
        module=_DATA_PATH,
        old="                if error.may_have_happened:  # also where",
        new="                if False and error.may_have_happened:  # also where",
        tests="tests/actors/test_key_resolver_in_client.py",
    ),
)

"""Every option with a value of it, what it is in TOML, and what is seen while it is in force."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from alternator_trio import (
    Credentials,
    KeyRouteAffinity,
    NodeHealth,
    RequestCompression,
    RetryPolicy,
    RoutingScope,
)
from tests.scenarios.option_effects import (
    FIVE,
    RECORDER,
    THREE,
    a_full_pool,
    a_large_answer,
    a_silent_node,
    a_silent_schema_change,
    a_write_away_from_home,
    a_write_of_unknown_outcome,
    an_idle_connection,
    attempts_at_failing_nodes,
    attempts_at_throttling_nodes,
    connections_at_one_node,
    connections_in_all,
    connections_of_requests,
    dial_of_a_silent_tls_node,
    header,
    key_ids,
    questions_for_nodes,
    refreshes_while_idle,
    refreshes_while_requests_flow,
    requests_at_a_dead_node,
    requests_by_a_wrong_clock,
    signed_regions,
    silent_attempts_together,
    unsigned_operations,
    user_agents,
    what_instruments_hear,
    where_a_listed_host_is_dialled,
    where_requests_go,
    where_writes_of_one_key_go,
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One option, one value of it, and what is seen of it.

    Attributes:
        option: The option.
        value: The value.
        toml: The value in TOML; None: it has no form there.
        observe: From nodes and ``opened`` to what was seen.
        expected: What is seen when the value is in force.
        topology: The nodes.
        over_sockets: Whether the client dials as it does outside of tests.
    """

    option: str
    value: object
    toml: str | None
    observe: Callable[..., Awaitable[object]]
    expected: object
    topology: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: THREE)
    over_sockets: bool = False


CASES = [
    Case(option="active_interval", value=3.0, toml="3.0", observe=refreshes_while_requests_flow, expected=[3, 3]),
    Case(option="idle_interval", value=25, toml="25", observe=refreshes_while_idle, expected={25}),
    Case(
        option="connect_timeout",
        value=7.0,
        toml="7.0",
        observe=dial_of_a_silent_tls_node,
        expected=(7.0, "ConnectError"),
        over_sockets=True,
    ),
    Case(option="attempt_timeout", value=3.5, toml="3.5", observe=a_silent_node, expected=(3.5, "AttemptTimeoutError")),
    Case(
        option="ddl_timeout",
        value=40.0,
        toml="40.0",
        observe=a_silent_schema_change,
        expected=(40.0, "AttemptTimeoutError"),
    ),
    Case(
        option="operation_timeout",
        value=20.0,
        toml="20.0",
        observe=silent_attempts_together,
        expected=(20.0, "OperationTimeoutError"),
    ),
    Case(option="acquire_timeout", value=4.0, toml="4.0", observe=a_full_pool, expected=(4.0, "PoolTimeoutError")),
    Case(option="max_connections_per_node", value=5, toml="5", observe=connections_at_one_node, expected=5),
    Case(option="max_connections", value=7, toml="7", observe=connections_in_all, expected=7),
    Case(option="idle_connection_lifetime", value=20.0, toml="20.0", observe=an_idle_connection, expected=(1, 0)),
    Case(option="max_connection_age", value=5.0, toml="5.0", observe=connections_of_requests, expected=[1, 1, 2, 2]),
    Case(option="max_response_bytes", value=1000, toml="1000", observe=a_large_answer, expected=True),
    Case(option="discovery", value=False, toml="false", observe=questions_for_nodes, expected=0),
    Case(
        option="retry",
        value=RetryPolicy(max_attempts=3, base_delay=100.0, max_delay=500.0),
        toml="{ max_attempts = 3, base_delay = 100.0, max_delay = 500.0 }",
        observe=attempts_at_failing_nodes,
        expected=(3, "tens of seconds"),
    ),
    Case(
        option="retry",
        value=RetryPolicy(max_attempts=2, throttled_base_delay=100.0, max_delay=500.0),
        toml="{ max_attempts = 2, throttled_base_delay = 100.0, max_delay = 500.0 }",
        observe=attempts_at_throttling_nodes,
        expected=(2, "tens of seconds"),
    ),
    Case(
        option="retry",
        value=RetryPolicy(max_attempts=6, base_delay=100.0, max_delay=0.5),
        toml="{ max_attempts = 6, base_delay = 100.0, max_delay = 0.5 }",
        observe=attempts_at_failing_nodes,
        expected=(6, "tenths of a second"),
    ),
    Case(option="ambiguous_writes", value="retry", toml='"retry"', observe=a_write_of_unknown_outcome, expected=4),
    Case(option="user_agent", value="orders/2", toml='"orders/2"', observe=user_agents, expected={"orders/2"}),
    Case(option="user_agent", value=False, toml="false", observe=user_agents, expected={None}),
    Case(
        option="user_agent", value=lambda text: text[:8] + "!", toml=None, observe=user_agents, expected={"scylladb!"}
    ),
    Case(
        option="routing_scope",
        value=RoutingScope.rack("dc1", "rack2"),
        toml='{ datacenter = "dc1", rack = "rack2" }',
        observe=where_requests_go,
        expected={"10.0.0.3"},
        topology=FIVE,
    ),
    Case(
        option="key_route_affinity",
        value=KeyRouteAffinity.any_write(partition_keys={"users": "id"}),
        toml='{ mode = "any_write", partition_keys = { users = "id" } }',
        observe=where_writes_of_one_key_go,
        expected=1,
    ),
    Case(
        option="node_health",
        value=NodeHealth(active_failure=2),
        toml="{ active_failure = 2 }",
        observe=requests_at_a_dead_node,
        expected=3,  # the first failure is put down to a connection that had been idle
    ),
    Case(
        option="writes_cross_datacenter",
        value=False,
        toml="false",
        observe=a_write_away_from_home,
        expected=False,
        topology=FIVE,
    ),
    Case(
        option="address_translator",
        value={"192.0.2.1": "10.0.0.3"},
        toml='{ "192.0.2.1" = "10.0.0.3" }',
        observe=where_a_listed_host_is_dialled,
        expected=["10.0.0.3"],
    ),
    Case(
        option="instruments",
        value=(RECORDER,),
        toml=f'["{__name__}:RECORDER"]',
        observe=what_instruments_hear,
        expected=["cluster"],
    ),
    Case(
        option="credentials",
        value=Credentials("writer", "hash"),
        toml='{ access_key_id = "writer", secret_access_key = "hash" }',
        observe=key_ids,
        expected="writer",
    ),
    Case(
        option="require_auth",
        value=True,
        toml="true",
        observe=unsigned_operations,
        expected="refused",
    ),
    Case(
        option="clock_skew_correction",
        value="always",
        toml='"always"',
        observe=requests_by_a_wrong_clock,
        expected=2,
    ),
    Case(option="region", value="eu-1", toml='"eu-1"', observe=signed_regions, expected="eu-1"),
    Case(
        option="request_compression",
        value=RequestCompression.deflate(),
        toml='"deflate"',
        observe=header("content-encoding"),
        expected="deflate",
    ),
    Case(
        option="request_compression",
        value=RequestCompression.gzip(threshold_bytes=2000),
        toml='{ encoding = "gzip", threshold_bytes = 2000 }',
        observe=header("content-encoding"),
        expected="gzip",
    ),
    Case(
        option="response_compression",
        value=("deflate", "gzip"),
        toml='"deflate, gzip"',
        observe=header("accept-encoding"),
        expected="deflate, gzip",
    ),
    Case(
        option="optimize_headers",
        value=False,
        toml="false",
        observe=header("amz-sdk-request"),
        expected="attempt=1; max=4",
    ),
]

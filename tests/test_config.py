"""The configuration: every value validated, every refusal naming its option, options winning over a given config."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import ssl
from collections.abc import Callable
from fractions import Fraction
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alternator_trio
from alternator_trio.config import AlternatorConfig, Options, RetryPolicy
from alternator_trio.content import RequestCompression
from alternator_trio.credentials import Credentials
from alternator_trio.errors import ConfigurationError
from alternator_trio.instruments import Instrument
from alternator_trio.routing import KeyRouteAffinity, NodeHealth, RoutingScope
from alternator_trio.transports import HttpxTransport

SEEDS = ["http://a:8000"]

SECONDS = [
    "active_interval",
    "idle_interval",
    "connect_timeout",
    "attempt_timeout",
    "ddl_timeout",
    "acquire_timeout",
    "idle_connection_lifetime",
]
OPTIONAL_SECONDS = ["operation_timeout", "max_connection_age"]
COUNTS = ["max_connections_per_node", "max_connections", "max_response_bytes"]
DELAYS = ["base_delay", "throttled_base_delay", "max_delay"]

NO_NUMBERS = ["1", b"1", True, [], {}, 1j, Fraction(1, 2), math.nan, 10**400]
NOT_POSITIVE = [0, 0.0, -0.0, -1, -1e-9, -math.inf]


def build(**options: object) -> AlternatorConfig:
    return AlternatorConfig(seeds=SEEDS, **options)


@pytest.mark.parametrize("name", SECONDS + OPTIONAL_SECONDS)
@pytest.mark.parametrize("value", NO_NUMBERS + NOT_POSITIVE, ids=lambda value: repr(value)[:12])
def test_seconds_are_positive_numbers(name: str, value: object) -> None:
    """Anything else is refused by the option's name."""
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        build(**{name: value})


@pytest.mark.parametrize("name", SECONDS + OPTIONAL_SECONDS)
@pytest.mark.parametrize("value", [1, 0.001, 1e9, math.inf])
def test_seconds_may_be_any_positive_number(name: str, value: float) -> None:
    """Whole, fractional, or without end."""
    assert getattr(build(**{name: value}), name) == value


@pytest.mark.parametrize("name", SECONDS)
def test_seconds_that_are_needed_cannot_be_none(name: str) -> None:
    """None is no way to say for ever."""
    with pytest.raises(ConfigurationError, match=f"^{name}: None"):
        build(**{name: None})


@pytest.mark.parametrize("name", OPTIONAL_SECONDS)
def test_optional_seconds_may_be_none(name: str) -> None:
    """None is no limit, and the default."""
    assert getattr(build(**{name: None}), name) is None
    assert getattr(build(), name) is None


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", ["1", 1.0, True, None, math.inf, 0, -1], ids=repr)
def test_counts_are_whole_numbers_from_one(name: str, value: object) -> None:
    """Anything else is refused by the option's name."""
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        build(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_may_be_one(name: str) -> None:
    """The smallest that works."""
    assert getattr(build(**{name: 1}), name) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("discovery", 1),
        ("discovery", "yes"),
        ("discovery", None),
        ("tls", True),
        ("tls", "ca.pem"),
        ("tls", ssl.SSLContext),
        ("retry", 4),
        ("retry", None),
        ("retry", {"max_attempts": 4}),
        ("ambiguous_writes", "ignore"),
        ("ambiguous_writes", None),
        ("ambiguous_writes", ["raise"]),
        ("user_agent", ""),
        ("user_agent", "two\r\nlines"),
        ("user_agent", "tab\tbed"),
        ("user_agent", "größe"),
        ("user_agent", " padded"),
        ("user_agent", "padded "),
        ("user_agent", b"bytes"),
        ("user_agent", 7),
        ("user_agent", True),
        ("instruments", 7),
        ("instruments", None),
        ("instruments", ["no instrument"]),
        ("instruments", Instrument()),
        ("credentials", ("role", "hash")),
    ],
)
def test_choices_are_checked(name: str, value: object) -> None:
    """What is no choice is refused by the option's name."""
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        build(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("discovery", False),
        ("tls", None),
        ("retry", RetryPolicy(max_attempts=1)),
        ("ambiguous_writes", "retry"),
        ("user_agent", "my application/1.0 (a comment)"),
        ("user_agent", False),
        ("user_agent", str.upper),
        ("user_agent", None),
    ],
)
def test_choices_are_taken(name: str, value: object) -> None:
    """What is valid is what the configuration says afterwards."""
    assert getattr(build(**{name: value}), name) is value


@pytest.mark.parametrize(
    ("make", "names", "reason"),
    [
        (RoutingScope.datacenter, [None], "datacenter None is no name"),
        (RoutingScope.rack, ["dc1", None], "rack None is no name"),
        (RoutingScope.rack, [None, "r1"], "datacenter None is no name"),
        (RoutingScope.datacenter, [""], "datacenter '' is no name"),
    ],
)
def test_a_scope_has_names(make: Callable[..., RoutingScope], names: list[object], reason: str) -> None:
    """None, as of a variable that is not set, would be all datacenters or all racks."""
    with pytest.raises(ConfigurationError, match=f"^routing_scope: {reason}$"):
        make(*names)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build(region="eu west"), "^region: 'eu west' is no region's name"),
        (lambda: build(region=None), "^region: None is no region's name"),
        (lambda: RoutingScope(rack_name="r1"), "^routing_scope: rack 'r1' needs its datacenter"),
        (lambda: NodeHealth(active_failure=0), "^node_health.active_failure: 0; it must be a whole number of at least"),
        (lambda: NodeHealth(down_recovery=1.5), "^node_health.down_recovery: 1.5; it must be a whole number"),
        (lambda: NodeHealth(quarantine_failure=True), "^node_health.quarantine_failure: True; it must be a whole"),
        (lambda: NodeHealth(probe_concurrency=0), "^node_health.probe_concurrency: 0 is not within 1 to"),
        (lambda: NodeHealth(probe_timeout=0), "^node_health.probe_timeout: 0 seconds; it must be positive"),
        (lambda: KeyRouteAffinity("rmw"), "^key_route_affinity: 'rmw' is no mode"),
        (lambda: KeyRouteAffinity.rmw(partition_keys=["id"]), "is no table of partition keys"),
        (lambda: KeyRouteAffinity.rmw(partition_keys={"users": ""}), "'users': '' is no table with its partition key"),
        (lambda: KeyRouteAffinity.rmw(partition_keys={7: "id"}), "7: 'id' is no table with its partition key"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(make: Callable[[], object], message: str) -> None:
    """Where it is written, before there is a client."""
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_a_class_in_place_of_a_transport_is_named() -> None:
    """Its parentheses are missing."""
    with pytest.raises(ConfigurationError, match=r"^transport: the class HttpxTransport is neither"):
        build(transport=HttpxTransport)


@pytest.mark.parametrize("name", DELAYS)
@pytest.mark.parametrize("value", [*NO_NUMBERS, -1, None], ids=lambda value: repr(value)[:12])
def test_delays_of_a_retry_policy_are_numbers_from_zero(name: str, value: object) -> None:
    """Anything else is refused by the policy's and the option's name."""
    with pytest.raises(ConfigurationError, match=rf"^retry\.{name}: "):
        RetryPolicy(**{name: value})


@pytest.mark.parametrize("name", DELAYS)
def test_a_delay_may_be_zero(name: str) -> None:
    """Whoever wants no backoff may have none."""
    assert getattr(RetryPolicy(**{name: 0}), name) == 0


@pytest.mark.parametrize("value", [0, -1, 1.5, "4", True, None], ids=repr)
def test_a_retry_policy_has_at_least_one_attempt(value: object) -> None:
    """An operation that is never tried is no operation."""
    with pytest.raises(ConfigurationError, match=r"^retry\.max_attempts: "):
        RetryPolicy(max_attempts=value)


def test_the_defaults_are_those_of_the_documentation() -> None:
    """What a user reads is what a user gets."""
    config = build()
    assert (config.active_interval, config.idle_interval) == (1.0, 60.0)
    assert (config.connect_timeout, config.attempt_timeout, config.ddl_timeout) == (2.0, 12.0, 90.0)
    assert (config.operation_timeout, config.acquire_timeout) == (None, 10.0)
    assert (config.max_connections_per_node, config.max_connections) == (64, 1024)
    assert (config.idle_connection_lifetime, config.max_connection_age) == (60.0, None)
    assert config.max_response_bytes == 64 * 2**20
    assert (config.discovery, config.tls, config.ambiguous_writes, config.user_agent) == (True, None, "raise", None)
    assert config.retry == RetryPolicy(max_attempts=4, base_delay=0.025, throttled_base_delay=1.0, max_delay=20.0)


def test_every_option_is_a_field_of_the_same_type() -> None:
    """The typed options of `open_alternator` and the configuration cannot drift apart."""
    fields = {field.name for field in dataclasses.fields(AlternatorConfig) if field.init} - {"seeds"}
    types = get_type_hints(AlternatorConfig)
    assert get_type_hints(Options) == {name: types[name] for name in fields}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discovery": False, "routing_scope": RoutingScope.datacenter("dc1")}, "^routing_scope: it has no effect"),
        ({"discovery": False, "active_interval": 2.0}, "^active_interval: it has no effect"),
        ({"discovery": False, "idle_interval": 2.0}, "^idle_interval: it has no effect"),
        ({"discovery": False, "address_translator": {}}, "^address_translator: it has no effect"),
        ({"discovery": False, "node_health": NodeHealth(active_failure=2)}, "^node_health: it has no effect"),
        ({"writes_cross_datacenter": False}, "^writes_cross_datacenter: False needs a datacenter"),
    ],
)
def test_an_option_without_effect_is_refused(options: dict[str, object], message: str) -> None:
    """Whoever gives it believes that it has one."""
    with pytest.raises(ConfigurationError, match=message):
        build(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"discovery": False, "node_health": None},
        {"discovery": False, "key_route_affinity": KeyRouteAffinity.rmw()},
        {"max_connections": 2, "max_connections_per_node": 3},
        {"attempt_timeout": 5.0, "operation_timeout": 1.0},
        {"writes_cross_datacenter": False, "routing_scope": RoutingScope.rack("dc1", "r1")},
    ],
)
def test_what_only_looks_contradictory_is_taken(options: dict[str, object]) -> None:
    """Of two bounds the tighter one rules; the keys of a fixed list of nodes can have their nodes, too."""
    assert all(getattr(build(**options), name) == value for name, value in options.items())


def test_a_representation_leads_back_to_its_configuration() -> None:
    """Where every value is one of ours, `repr` is the code that makes it."""
    config = build(
        retry=RetryPolicy(max_attempts=2),
        routing_scope=RoutingScope.rack("dc1", "r1").with_fallback(RoutingScope.cluster()),
        key_route_affinity=KeyRouteAffinity.any_write(partition_keys={"users": "id"}),
        request_compression=RequestCompression.gzip(level=1),
        response_compression=("gzip",),
        user_agent=False,
        node_health=None,
    )
    assert eval(repr(config), vars(alternator_trio)) == config  # noqa: S307  # our own text
    assert hash(config) == hash(copy.copy(config))


# No secret is a word that messages have anyhow.
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60).map("%~{}".format)


@given(secret=SECRETS, token=SECRETS)
def test_no_representation_shows_a_secret(secret: str, token: str) -> None:
    """Whatever the secret and the token are, `repr`, `str` and the representations of parts show neither."""
    config = build(credentials=Credentials("role", secret, token))
    for text in (repr(config), str(config), f"{config}", repr(dataclasses.astuple(config))):
        assert secret not in text
        assert token not in text


def test_a_configuration_is_frozen() -> None:
    """A client may rely on what it was opened with."""
    config = build()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.discovery = False
    with pytest.raises((AttributeError, TypeError)):
        config.new = 1


def test_seeds_are_kept_as_given_and_read_once() -> None:
    """A generator of seeds is used up once; duplicates in any spelling are one node."""
    config = AlternatorConfig(seeds=(seed for seed in ["http://b:8000", "HTTP://B:8000/", "http://a:8000"]))
    assert config.seeds == ("http://b:8000", "HTTP://B:8000/", "http://a:8000")
    assert [str(node) for node in config.seed_nodes] == ["http://b:8000", "http://a:8000"]


def test_equal_configurations_are_equal() -> None:
    """They are values."""
    assert build() == build()
    assert hash(build()) == hash(build())
    assert build() != build(discovery=False)


@pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))])
def test_a_configuration_copies_and_pickles(remake) -> None:
    """A value that another process can be given."""
    config = build(user_agent="x", retry=RetryPolicy(max_attempts=2))
    assert remake(config) == config
    assert remake(config).seed_nodes == config.seed_nodes


def test_the_repr_shows_every_choice() -> None:
    """Enough for a bug report."""
    shown = repr(build(attempt_timeout=7.5))
    assert "attempt_timeout=7.5" in shown
    assert all(f"{field.name}=" in shown for field in dataclasses.fields(AlternatorConfig) if field.init)


# What open_alternator makes of its arguments.


def test_options_alone_build_a_configuration() -> None:
    """Seeds by position, options by name."""
    config = AlternatorConfig.build(("http://a:8000",), None, {"attempt_timeout": 3.0})
    assert (config.seeds, config.attempt_timeout) == (("http://a:8000",), 3.0)


def test_options_beside_a_config_win_and_leave_it_alone() -> None:
    """The rest is the config's; the config itself can be used again."""
    base = build(attempt_timeout=3.0, connect_timeout=1.0, operation_timeout=9.0)
    config = AlternatorConfig.build((), base, {"attempt_timeout": 4.0, "operation_timeout": None})
    assert (config.attempt_timeout, config.connect_timeout, config.operation_timeout) == (4.0, 1.0, None)
    assert (base.attempt_timeout, base.operation_timeout) == (3.0, 9.0)


def test_seeds_beside_a_config_win() -> None:
    """They replace its seeds."""
    config = AlternatorConfig.build(("http://b:9000",), build(attempt_timeout=3.0), {})
    assert [str(node) for node in config.seed_nodes] == ["http://b:9000"]
    assert config.attempt_timeout == 3.0


def test_options_beside_a_config_are_validated() -> None:
    """There is no way around a check."""
    with pytest.raises(ConfigurationError, match=r"^attempt_timeout: "):
        AlternatorConfig.build((), build(), {"attempt_timeout": 0})
    with pytest.raises(ConfigurationError, match="all seeds share one scheme"):
        mixed = build(discovery=False)
        mixed = AlternatorConfig.build(("http://a:1", "http://b:2"), mixed, {})
        AlternatorConfig.build((), mixed, {"discovery": True})


def test_no_seed_and_no_config_is_refused() -> None:
    """There is nobody to ask."""
    with pytest.raises(ConfigurationError, match="no seed given"):
        AlternatorConfig.build((), None, {})


def test_a_config_that_is_none_of_ours_is_refused() -> None:
    """A dictionary of options is not taken for a configuration."""
    with pytest.raises(ConfigurationError, match="config: dict is no AlternatorConfig"):
        AlternatorConfig.build(("http://a",), {"attempt_timeout": 1}, {})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("attempt_timeouts", "did you mean 'attempt_timeout'"),
        ("max_connection", "did you mean 'max_connections'"),
        ("Discovery", "did you mean 'discovery'"),
        ("ambigous_writes", "did you mean 'ambiguous_writes'"),
        ("timeout", "attempt_timeout is for one attempt, operation_timeout for all"),
        ("endpoint_url", "endpoints are the seeds"),
        ("verify", "write tls=Tls"),
        ("proxy", "write transport=HttpxTransport"),
        ("datacenter", "write routing_scope=RoutingScope.datacenter"),
    ],
)
def test_an_unknown_option_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    """A typing error is an error, and the message helps."""
    with pytest.raises(ConfigurationError, match=f"unknown option '{name}'; {hint}"):
        AlternatorConfig.build(("http://a",), None, {name: 1})


@pytest.mark.parametrize("name", ["zzz", "seed_nodes_", "", "self"])
def test_an_unknown_option_without_a_near_name_is_refused_without_a_hint(name: str) -> None:
    """A far-fetched hint would be worse than none."""
    with pytest.raises(ConfigurationError, match=f"unknown option '{name}'$"):
        AlternatorConfig.build(("http://a",), None, {name: 1})


def test_seeds_by_name_are_refused_with_the_way_to_give_them() -> None:
    """Seeds are the positional arguments of `open_alternator`."""
    with pytest.raises(ConfigurationError, match="seeds are no option: give them by position"):
        AlternatorConfig.build((), None, {"seeds": ["http://a"]})


def test_a_derived_field_cannot_be_given() -> None:
    """The nodes follow from the seeds."""
    with pytest.raises(ConfigurationError, match="unknown option 'seed_nodes'"):
        AlternatorConfig.build(("http://a",), None, {"seed_nodes": ()})

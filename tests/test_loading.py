"""A configuration from a file and from the environment: who wins, what each value looks like, what is refused."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio import (
    AlternatorConfig,
    ConfigurationError,
    Credentials,
    HttpxTransport,
    Instrument,
    KeyRouteAffinity,
    NodeHealth,
    RequestCompression,
    RetryPolicy,
    RoutingScope,
    load_config,
)

SEED = "http://a:8000"


class Recorder(Instrument):
    """An instrument to be referred to."""


RECORDER = Recorder()


@pytest.fixture
def write(tmp_path):
    """Writes a TOML file with one table."""

    def written(text, table="alternator"):
        path = tmp_path / "app.toml"
        path.write_text(f"[{table}]\n{textwrap.dedent(text)}", encoding="utf-8")
        return path

    return written


def from_file(write, text):
    return load_config(SEED, file=write(text), environ={})


# Who wins.


def test_arguments_win_over_the_environment_and_it_over_the_file_and_it_over_defaults(write):
    """Option by option: what one source does not say, the next one does."""
    file = write("""
        seeds = ["http://file:1"]
        region = "file"
        attempt_timeout = 1.0
        connect_timeout = 1.0
    """)
    environ = {"ALTERNATOR_REGION": "environment", "ALTERNATOR_ATTEMPT_TIMEOUT": "2"}
    config = load_config(file=file, environ=environ, attempt_timeout=3.0)
    assert (config.attempt_timeout, config.region, config.connect_timeout) == (3.0, "environment", 1.0)
    assert (config.seeds, config.acquire_timeout) == (("http://file:1",), 10.0)


def test_seeds_win_as_a_whole(write):
    """They are not added up."""
    file = write('seeds = ["http://file:1"]')
    environ = {"ALTERNATOR_SEEDS": "http://b:2, http://c:2"}
    assert load_config(file=file, environ=environ).seeds == ("http://b:2", "http://c:2")
    assert load_config("http://d:3", file=file, environ=environ).seeds == ("http://d:3",)


def test_nothing_given_is_the_defaults():
    """Seeds apart, which have none."""
    assert load_config(SEED, environ={}) == AlternatorConfig(seeds=[SEED])


def test_the_process_environment_is_read_now(monkeypatch):
    """Unless one is given."""
    monkeypatch.setenv("ALTERNATOR_REGION", "here")
    assert load_config(SEED).region == "here"
    assert load_config(SEED, environ={}).region == "us-east-1"


def test_a_table_in_a_table(write):
    """As in a pyproject.toml."""
    file = write("region = 'x'", table="tool.orders.database")
    assert load_config(SEED, file=file, table="tool.orders.database", environ={}).region == "x"


# What values look like. Each stands in TOML as it is here, and in a variable as it is there.

VALUES = [
    ("attempt_timeout", "2.5", 2.5),
    ("operation_timeout", "7", 7),
    ("operation_timeout", '"none"', None),
    ("max_connections", "8", 8),
    ("discovery", "false", False),
    ("ambiguous_writes", '"retry"', "retry"),
    ("region", '"eu-1"', "eu-1"),
    ("region", '"7"', "7"),
    ("user_agent", '"orders/1"', "orders/1"),
    ("user_agent", "false", False),
    ("retry", "{ max_attempts = 2, base_delay = 0.5 }", RetryPolicy(max_attempts=2, base_delay=0.5)),
    ("routing_scope", '"cluster"', RoutingScope.cluster()),
    ("routing_scope", '{ datacenter = "dc1" }', RoutingScope.datacenter("dc1")),
    (
        "routing_scope",
        '[{ datacenter = "dc1", rack = "r1" }, { datacenter = "dc1" }, "cluster"]',
        RoutingScope.rack("dc1", "r1").with_fallback(RoutingScope.datacenter("dc1"), RoutingScope.cluster()),
    ),
    ("key_route_affinity", '"any_write"', KeyRouteAffinity.any_write()),
    (
        "key_route_affinity",
        '{ mode = "rmw", partition_keys = { users = "id" } }',
        KeyRouteAffinity.rmw(partition_keys={"users": "id"}),
    ),
    ("node_health", "{ active_failure = 3 }", NodeHealth(active_failure=3)),
    ("node_health", '"none"', None),
    ("address_translator", '{ "10.0.0.1" = "127.0.0.1" }', {"10.0.0.1": "127.0.0.1"}),
    ("address_translator", '"textwrap:dedent"', textwrap.dedent),
    ("instruments", f'["{__name__}:RECORDER"]', (RECORDER,)),
    ("request_compression", '"gzip"', RequestCompression.gzip()),
    ("request_compression", '{ encoding = "deflate", level = 1 }', RequestCompression.deflate(level=1)),
    ("response_compression", '["gzip", "deflate"]', ("gzip", "deflate")),
    ("response_compression", '"gzip,deflate"', ("gzip", "deflate")),
    ("response_compression", '"none"', ()),
    ("transport", '"httpx"', "httpx"),
    ("transport", "{ http2 = false }", HttpxTransport(http2=False)),
    ("credentials", '"none"', None),
    ("credentials", '{ access_key_id = "role", secret_access_key = "s" }', Credentials("role", "s")),
    (
        "credentials",
        '{ access_key_id = "role", secret_access_key_variable = "SALTED", session_token = "t" }',
        Credentials("role", "hash", "t"),
    ),
    ("credentials", '"environment"', Credentials("aws", "hash")),
]
ELSEWHERE = {"SALTED": "hash", "AWS_ACCESS_KEY_ID": "aws", "AWS_SECRET_ACCESS_KEY": "hash"}


@pytest.mark.parametrize(("option", "toml", "value"), VALUES)
def test_a_value_in_a_file(write, option, toml, value):
    """As TOML has it."""
    config = load_config(SEED, file=write(f"{option} = {toml}"), environ=ELSEWHERE)
    assert getattr(config, option) == value


@pytest.mark.parametrize(("option", "toml", "value"), VALUES)
def test_a_value_in_a_variable(option, toml, value):
    """The same, with a text as it is, without quotation marks."""
    text = toml[1:-1] if toml.count('"') == 2 and toml[0] == toml[-1] == '"' else toml
    config = load_config(SEED, environ={f"ALTERNATOR_{option.upper()}": text, **ELSEWHERE})
    assert getattr(config, option) == value


def test_a_class_of_instruments_is_made_an_instrument(write):
    """One for each configuration."""
    config = from_file(write, f'instruments = ["{__name__}:Recorder"]')
    assert [type(instrument) for instrument in config.instruments] == [Recorder]


def test_an_empty_variable_is_not_set():
    """As tools that pass variables on have it."""
    assert load_config(SEED, environ={"ALTERNATOR_REGION": ""}).region == "us-east-1"


def test_a_variable_that_is_not_ours_is_left_alone():
    """Kubernetes sets these for a service of the name alternator."""
    environ = {"ALTERNATOR_PORT": "tcp://10.0.0.1:8000", "ALTERNATOR_SERVICE_HOST": "10.0.0.1"}
    assert load_config(SEED, environ=environ) == AlternatorConfig(seeds=[SEED])


def test_a_secret_in_a_file_stands_beside_the_configuration(write, tmp_path):
    """Relative paths begin where the file is; the newline at the end belongs to the file."""
    (tmp_path / "secret").write_text("hash\n", encoding="utf-8")
    config = from_file(write, 'credentials = { access_key_id = "role", secret_access_key_file = "secret" }')
    assert config.credentials == Credentials("role", "hash")


def test_a_profile_of_the_shared_file(write, tmp_path):
    """AWS's file, wherever it stands."""
    (tmp_path / "aws").write_text("[orders]\naws_access_key_id=role\naws_secret_access_key=hash\n", encoding="utf-8")
    config = from_file(write, 'credentials = { profile = "orders", file = "aws" }')
    assert config.credentials == Credentials("role", "hash")


# What is refused. Each message names the place first.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("regoin = 'x'", "unknown option 'regoin'; did you mean 'region'"),
        ("timeout = 3", "unknown option 'timeout'; attempt_timeout is for one"),
        ("attempt_timeout = '3'", "attempt_timeout: '3' is no number of seconds"),
        ("attempt_timeout = -3", "attempt_timeout: -3 seconds"),
        ("attempt_timeout = 'none'", "attempt_timeout: None"),
        ("seeds = ['a:8000']", "seed 'a:8000'"),
        ("retry = 3", "retry: 3 is not a table"),
        ("retry = { max_attempt = 3 }", "retry: unknown key 'max_attempt'; did you mean 'max_attempts'"),
        ("retry = { max_attempts = 0 }", "retry.max_attempts: 0"),
        ("node_health = false", "node_health: False is not a table"),
        ("routing_scope = 'dc1'", 'routing_scope: str is not "cluster", or a table'),
        ("routing_scope = []", "routing_scope: an empty list"),
        ("routing_scope = { dc = 'dc1' }", "routing_scope: unknown key 'dc'; there are datacenter, rack"),
        ("routing_scope = { rack = 'r1' }", "routing_scope: a scope needs its 'datacenter'"),
        (
            "routing_scope = { datacentre = 'dc1' }",
            "routing_scope: unknown key 'datacentre'; did you mean 'datacenter'",
        ),
        ("routing_scope = ['cluster', 'cluster']", "routing_scope: the chain"),
        ("key_route_affinity = 'rwm'", "key_route_affinity: mode: 'rwm' is none of rmw, any_write"),
        ("key_route_affinity = { mode = 'rmw', partition_keys = 3 }", "key_route_affinity: 3"),
        ("request_compression = 'zstd'", "request_compression.encoding: 'zstd'"),
        ("request_compression = { level = 3 }", "request_compression: it needs 'encoding'"),
        ("response_compression = ['zstd']", "response_compression: 'zstd'"),
        ("address_translator = { a = 3 }", "address_translator: a: 3 is no text"),
        ("address_translator = 'nowhere'", "address_translator: 'nowhere' is no reference"),
        ("instruments = ['no.such:Module']", "instruments: 'no.such:Module' cannot be imported"),
        ("instruments = ['os:sep']", "instruments: '/' is no Instrument"),
        ("credentials = 'enviroment'", 'credentials: str is not "environment", or a table'),
        ("credentials = { access_key = 'role' }", "credentials: unknown key 'access_key'; did you mean"),
        ("credentials = { access_key_id = 'role' }", "credentials: secret_access_key: NoneType"),
        ("credentials = { profile = 'p', access_key_id = 'r' }", "credentials: access_key_id: it does not go with"),
        (
            "credentials = { access_key_id = 'r', secret_access_key = 's', secret_access_key_file = 'f' }",
            "credentials: secret_access_key_file: secret_access_key is given as well",
        ),
        (
            "credentials = { access_key_id = 'r', secret_access_key_file = 'absent' }",
            r"credentials: secret_access_key_file: .*absent: No such file",
        ),
        (
            "credentials = { access_key_id = 'r', secret_access_key_variable = 'ABSENT' }",
            "credentials: secret_access_key_variable: environment variable ABSENT is not set",
        ),
        ("discovery = false\nidle_interval = 3", "idle_interval: it has no effect"),
    ],
)
def test_an_error_names_file_and_key(write, text, message):
    """And the nearest name, where one is near."""
    with pytest.raises(ConfigurationError, match=rf"app\.toml \[alternator\]: {message}"):
        load_config(*(() if "seeds" in text else (SEED,)), file=write(text), environ={})


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("ALTERNATOR_IDLE_INTERVALS", "3", "there is no such option; did you mean 'ALTERNATOR_IDLE_INTERVAL'"),
        ("ALTERNATOR_IDLE_INTERVAL", "soon", "idle_interval: 'soon' is no number"),
        ("ALTERNATOR_DISCOVERY", "perhaps", "discovery: 'perhaps' is no bool"),
        ("ALTERNATOR_RETRY", "{ max_attempt = 3 }", "retry: unknown key 'max_attempt'"),
        ("ALTERNATOR_MAX_CONNECTIONS", "3\nregion = 4", "max_connections: '3.nregion = 4' is no whole number"),
        ("ALTERNATOR_SEEDS", "http://a:8000,,", "seed ''"),
    ],
)
def test_an_error_names_the_variable(variable, text, message):
    """And the option."""
    seeds = () if variable == "ALTERNATOR_SEEDS" else (SEED,)
    with pytest.raises(ConfigurationError, match=rf"environment variable {variable}: {message}"):
        load_config(*seeds, environ={variable: text})


@pytest.mark.parametrize(
    ("content", "table", "message"),
    [
        (None, "alternator", r"app\.toml: No such file"),
        (b"\xff", "alternator", r"app\.toml: it is not UTF-8 text"),
        (b"[alternator]\nregion = \n", "alternator", r"app\.toml: it is not TOML \(at line 2, column 10\)"),
        (b"[alternatr]", "alternator", r"app\.toml: there is no table \[alternator\]; did you mean 'alternatr'"),
        (b"alternator = 3", "alternator", r"app\.toml: alternator is no table"),
        (b"[tool]", "tool.orders", r"app\.toml: there is no table \[tool\.orders\]; the options stand in it"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, table, message):
    """And where in it the trouble is."""
    file = tmp_path / "app.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        load_config(SEED, file=file, table=table, environ={})


def test_no_seed_anywhere_is_refused():
    """With the three places where one may stand."""
    with pytest.raises(ConfigurationError, match="as an argument, in ALTERNATOR_SEEDS, or as seeds in the file"):
        load_config(environ={})


def test_an_unknown_argument_is_refused():
    """As `open_alternator` does."""
    with pytest.raises(ConfigurationError, match="unknown option 'regoin'; did you mean 'region'"):
        load_config(SEED, environ={}, regoin="x")


# No secret is a word that messages have anyhow.
SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'"), min_size=12, max_size=40
).map("%~{}".format)
MISTAKES = [
    "credentials = {{ access_key_id = 'r/ole', secret_access_key = '{0}' }}",
    "credentials = {{ access_key_id = 'role', secret_access_key = ' {0}' }}",
    "credentials = {{ access_key_id = 'role', secret_access_key = ['{0}'] }}",
    "credentials = {{ access_key_id = 'role', secret_access_key = '{0}', session_tokens = '{0}' }}",
    "credentials = {{ access_key_id = 'role', secret_access_key = '{0}', session_token = '{0}ß' }}",
    "credentials = '{0}'",
    "credentials = ['role', '{0}']",
    "credentials = {{ access_key_id = 'role', secret_access_key = '{0}",
]


@pytest.mark.parametrize("mistake", MISTAKES)
@given(secret=SECRETS)
def test_no_error_shows_a_secret(mistake, secret):
    """Neither its text nor the texts of what it was raised from, whatever the mistake is."""
    text = mistake.format(secret).removeprefix("credentials = ")
    with pytest.raises(ConfigurationError) as caught:
        load_config(SEED, environ={"ALTERNATOR_CREDENTIALS": text})
    error: BaseException | None = caught.value
    while error is not None:
        assert secret not in f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or error.__context__

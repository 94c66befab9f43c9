"""B1: every option is in force, by what the client does, however the option was given.

A case is an option, a value, and a function that opens a client and says what it did. What it did with the value must
be what is expected, and something else than with the default. The values stand in `option_cases`, the observations
themselves in `option_effects`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import random

import pytest

from alternator_trio import AlternatorConfig, Client, RetryPolicy, Tls, TlsError, load_config, open_alternator
from alternator_trio._runtime import open_runtime
from alternator_trio.config import OperationOptions
from tests.http2_node import http2_node
from tests.scenarios.cancellation import cancel_in_the_middle
from tests.scenarios.option_cases import CASES
from tests.scripted_nodes import ScriptedNodes

OPTIONS = {field.name for field in dataclasses.fields(AlternatorConfig) if field.init}


def opener(monkeypatch, dial):
    """`open_alternator` itself, over the scripted nodes."""
    opened = functools.partial(open_runtime, dial=dial, rng=random.Random(0))
    monkeypatch.setattr("alternator_trio.client.open_runtime", opened)
    return open_alternator


def by_options(open_here, case, tmp_path):
    """`open_alternator(option=value)`."""
    return lambda *seeds, **options: open_here(*seeds, **{**options, case.option: case.value})


def by_config(open_here, case, tmp_path):
    """`open_alternator(config=…)`."""

    def opened(*seeds, **options):
        return open_here(config=AlternatorConfig(seeds=seeds, **{**options, case.option: case.value}))

    return opened


def by_file(open_here, case, tmp_path):
    """A TOML table."""
    file = tmp_path / "app.toml"
    file.write_text(f"[alternator]\n{case.option} = {case.toml}\n", encoding="utf-8")
    return lambda *seeds, **options: open_here(config=load_config(*seeds, file=file, environ={}, **options))


def by_environment(open_here, case, tmp_path):
    """A variable."""
    environ = {f"ALTERNATOR_{case.option.upper()}": case.toml}
    return lambda *seeds, **options: open_here(config=load_config(*seeds, environ=environ, **options))


def by_view(open_here, case, tmp_path):
    """`client.with_options(option=value)`."""

    @contextlib.asynccontextmanager
    async def opened(*seeds, **options):
        async with open_here(*seeds, **options) as client:
            yield client.with_options(**{case.option: case.value})

    return opened


def by_default(open_here, case, tmp_path):
    """Not given."""
    return open_here


def ways_of(case):
    ways = [by_options, by_config]
    ways += [by_file, by_environment] if case.toml is not None else []
    return ways + ([by_view] if case.option in OperationOptions.__annotations__ else [])


WAYS = [
    pytest.param(case, way, id=f"{case.option}-{number}-{way.__name__}")
    for number, case in enumerate(CASES)
    for way in ways_of(case)
]
NAMES = [f"{case.option}-{number}" for number, case in enumerate(CASES)]


async def seen(case, way, monkeypatch, tmp_path):
    async with ScriptedNodes(topology=case.topology) as nodes:
        open_here = opener(monkeypatch, None if case.over_sockets else nodes.dial)
        return await case.observe(nodes, way(open_here, case, tmp_path))


@pytest.mark.parametrize(("case", "way"), WAYS)
async def test_b1_an_option_does_what_it_says(autojump_clock, monkeypatch, tmp_path, case, way):
    """Given in any of the ways it does the same."""
    assert await seen(case, way, monkeypatch, tmp_path) == case.expected


@pytest.mark.parametrize("case", CASES, ids=NAMES)
async def test_b1_without_the_option_something_else_is_seen(autojump_clock, monkeypatch, tmp_path, case):
    """So that the observation tells whether the option is in force."""
    assert await seen(case, by_default, monkeypatch, tmp_path) != case.expected


def test_b1_every_option_has_a_case():
    """A new option gets one; these have tests of their own, below."""
    assert {case.option for case in CASES} | {"seeds", "tls", "transport"} == OPTIONS


@pytest.mark.parametrize("way", ["arguments", "file", "environment"])
async def test_b1_seeds_are_the_nodes_that_are_asked_first(autojump_clock, monkeypatch, tmp_path, way):
    """Given as arguments, in a file, or in a variable."""
    file = tmp_path / "app.toml"
    file.write_text('[alternator]\nseeds = ["http://10.0.0.2:8000"]\n', encoding="utf-8")
    configs = {
        "arguments": lambda: load_config("http://10.0.0.2:8000", environ={}),
        "file": lambda: load_config(file=file, environ={}),
        "environment": lambda: load_config(environ={"ALTERNATOR_SEEDS": "http://10.0.0.2:8000"}),
    }
    async with ScriptedNodes(3) as nodes, opener(monkeypatch, nodes.dial)(config=configs[way]()) as client:
        await client.refresh()
        assert nodes.requests[0].host == "10.0.0.2"


def tls_by_options(seeds, file):
    return {"tls": Tls(ca_file=file)}


def tls_by_config(seeds, file):
    return {"config": AlternatorConfig(seeds=seeds, tls=Tls(ca_file=file))}


def tls_by_file(seeds, file):
    settings = file.with_name("app.toml")
    settings.write_text(f'[alternator]\ntls = {{ ca_file = "{file.name}" }}\n', encoding="utf-8")
    return {"config": load_config(*seeds, file=settings, environ={})}


def tls_by_environment(seeds, file):
    return {"config": load_config(*seeds, environ={"ALTERNATOR_TLS": f'{{ ca_file = "{file}" }}'})}


@pytest.mark.parametrize("way", [tls_by_options, tls_by_config, tls_by_file, tls_by_environment])
async def test_b1_tls_is_whom_the_client_trusts(tls_cluster, authority, tmp_path, way):
    """Over real sockets: with the authority's certificate it gets through, without it does not."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    seeds, once = tls_cluster.seeds, {"discovery": False, "retry": RetryPolicy(max_attempts=1)}
    async with open_alternator(*seeds, **way(seeds, file), **once) as client:
        await client.list_tables()
    async with open_alternator(*seeds, **once) as client:
        with pytest.raises(TlsError):
            await client.list_tables()


TRANSPORTS = {
    "options": lambda seed, trust: open_alternator(seed, transport="httpx", **trust),
    "config": lambda seed, trust: open_alternator(config=AlternatorConfig(seeds=[seed], transport="httpx", **trust)),
    "environment": lambda seed, trust: open_alternator(
        config=load_config(seed, environ={"ALTERNATOR_TRANSPORT": "httpx"}, **trust)
    ),
}


@pytest.mark.parametrize("way", TRANSPORTS)
async def test_b1_transport_is_what_carries_requests(authority, trust, way):
    """httpx speaks HTTP/2 with a server that offers it, the native transport does not."""
    beside = {"tls": trust, "discovery": False}
    async with http2_node(authority) as node:
        async with TRANSPORTS[way](node.url, beside) as client:
            await client.list_tables()
        async with open_alternator(node.url, **beside) as client:
            await client.list_tables()
    assert node.versions == ["2", "1.1"]


async def test_b1_cancelled_in_the_middle(autojump_clock, nodes):
    """A client with everything set leaves nothing behind, wherever it is cancelled."""
    config = AlternatorConfig(
        seeds=nodes.seeds,
        user_agent=lambda default: f"x {default}",
        region="eu-1",
        max_connections=2,
        operation_timeout=30.0,
        response_compression=("gzip",),
    )

    async def scenario():
        async with open_runtime(config, dial=nodes.dial, rng=random.Random(0)) as runtime:
            client = Client(runtime)
            for _ in range(20):  # so that most of a pass is work, not opening and closing
                await client.list_tables()

    await cancel_in_the_middle(scenario, nodes)

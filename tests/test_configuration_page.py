"""The page of all options: what it says about each is what the code does."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import sys
import types

import pytest

import alternator_trio
from alternator_trio import AlternatorConfig, Instrument, load_config

PAGE = (pathlib.Path(__file__).parent.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
CELL = r"((?:`[^`]*`|[^|`])*)"
TABLE = re.findall(rf"^\| `(\w+)` \|{CELL}\|{CELL}\|{CELL}\|{CELL}\| `(\w+)` \|$", PAGE, re.MULTILINE)
ROWS = {row[0]: [cell.strip().strip("`") for cell in row[1:]] for row in TABLE}
FIELDS = {field.name: field for field in dataclasses.fields(AlternatorConfig) if field.init and field.name != "seeds"}
IN_TOML = {name: row[3] for name, row in ROWS.items() if row[3]}
SEED = "https://a:8000"


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """What the examples refer to: a profile, files, a module of instruments."""
    (tmp_path / "aws").write_text("[orders]\naws_access_key_id=role\naws_secret_access_key=hash\n", encoding="utf-8")
    module = types.ModuleType("orders.metrics")
    module.Recorder = type("Recorder", (Instrument,), {})
    monkeypatch.setitem(sys.modules, "orders", types.ModuleType("orders"))
    monkeypatch.setitem(sys.modules, "orders.metrics", module)
    return {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws")}


def beside(name):
    """What an example needs beside it, to have an effect."""
    needed = {
        "writes_cross_datacenter": {"routing_scope": alternator_trio.RoutingScope.datacenter("dc1")},
        "require_auth": {"credentials": alternator_trio.Credentials("role", "hash")},
    }
    return needed.get(name, {})


def test_every_option_has_its_row_in_order():
    """And no row is left of an option that is gone."""
    assert list(ROWS) == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_the_default_is_the_one_of_the_page(name):
    """Written as in Python."""
    assert eval(ROWS[name][0], vars(alternator_trio)) == getattr(AlternatorConfig(seeds=[SEED]), name)  # noqa: S307  # our own page


@pytest.mark.parametrize("name", FIELDS)
def test_the_unit_is_said_where_there_is_one(name):
    """Times are seconds, sizes bytes."""
    units = {"interval": "seconds", "timeout": "seconds", "lifetime": "seconds", "age": "seconds", "bytes": "bytes"}
    expected = units.get(name.rpartition("_")[2], ROWS[name][1])
    assert ROWS[name][1] == expected


@pytest.mark.parametrize("name", FIELDS)
def test_the_variable_is_the_option_in_capitals(name):
    """With the prefix that keeps it apart."""
    assert ROWS[name][4] == f"ALTERNATOR_{name.upper()}"


@pytest.mark.parametrize("name", IN_TOML)
def test_the_example_in_toml_changes_the_option(name, tmp_path, surroundings):
    """It can be copied."""
    file = tmp_path / "app.toml"
    file.write_text(f"[alternator]\n{IN_TOML[name]}\n", encoding="utf-8")
    config = load_config(SEED, file=file, environ=surroundings, **beside(name))
    assert getattr(config, name) != getattr(AlternatorConfig(seeds=[SEED]), name)


@pytest.mark.parametrize("name", IN_TOML)
def test_the_example_fits_the_variable(name, surroundings):
    """What stands behind the equals sign."""
    environ = {ROWS[name][4]: IN_TOML[name].partition(" = ")[2], **surroundings}
    config = load_config(SEED, environ=environ, **beside(name))
    assert getattr(config, name) != getattr(AlternatorConfig(seeds=[SEED]), name)


def test_the_longer_example_loads(tmp_path):
    """The file that the page shows whole."""
    text = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1]
    (tmp_path / "secret").write_text("hash\n", encoding="utf-8")
    file = tmp_path / "app.toml"
    file.write_text(text.replace("/run/secrets/alternator", str(tmp_path / "secret")), encoding="utf-8")
    config = load_config(file=file, environ={})
    assert config.credentials.access_key_id == "orders"
    assert (config.retry.max_attempts, config.attempt_timeout, len(config.seeds)) == (3, 11, 2)

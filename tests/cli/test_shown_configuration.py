"""`alternator-trio config`: every value with its origin, and no secret."""

from __future__ import annotations

import dataclasses

import pytest
import trustme

from alternator_trio import AlternatorConfig
from alternator_trio.cli import main

TOML = """
[alternator]
attempt_timeout = 3.0
region = "file"
credentials = { access_key_id = "role", secret_access_key = "salted hash" }
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "app.toml"
    path.write_text(TOML, encoding="utf-8")
    return str(path)


def shown(capsys) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())


def test_each_option_is_shown_with_its_origin(file, monkeypatch, capsys):
    """An argument, a variable, the file, the default."""
    monkeypatch.setenv("ALTERNATOR_REGION", "eu-1")
    assert main(["config", "--file", file, "http://a:8000"]) == 0
    lines = shown(capsys)
    assert list(lines) == [field.name for field in dataclasses.fields(AlternatorConfig) if field.init]
    words = {name: line.split() for name, line in lines.items()}
    assert words["seeds"] == ["argument", "('http://a:8000',)"]
    assert words["region"] == ["environment", "variable", "ALTERNATOR_REGION", "'eu-1'"]
    assert words["attempt_timeout"] == [file, "[alternator]", "3.0"]
    assert words["idle_interval"] == ["default", "60.0"]


def test_a_secret_is_not_shown(file, capsys):
    """The role is, by whose name one knows which secret is meant."""
    assert main(["config", "--file", file, "http://a:8000"]) == 0
    captured = capsys.readouterr()
    assert "Credentials('role', '…')" in captured.out
    assert "salted" not in captured.out + captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no seed given"),
        (["a:8000"], "'a:8000'"),
        (["--table", "alternatr", "http://a"], "did you mean 'alternator'"),
        (["--file", "absent.toml", "http://a"], "absent.toml: No such file"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(file, arguments, said, capsys):
    """As for every mistake of the user's."""
    given = arguments if "--file" in arguments else ["--file", file, *arguments]
    assert main(["config", *given]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_a_table_without_a_file_is_refused(capsys):
    """It would change nothing."""
    assert main(["config", "--table", "orders", "http://a"]) == 2
    assert "--table: it has no effect without --file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ('ca_file = "absent.pem"', "tls.ca_file: cannot read {directory}/absent.pem: No such file or directory"),
        ('ca_file = "app.toml"', "tls.ca_file: there is no certificate in {directory}/app.toml"),
        ('cert_file = "app.toml"', "tls.cert_file: there is no certificate in {directory}/app.toml"),
    ],
)
def test_a_tls_file_that_does_not_do_is_named_with_its_origin(tmp_path, tls, said, capsys):
    """As `open_alternator` would name it, and nothing else is shown."""
    path = tmp_path / "app.toml"
    path.write_text(f"[alternator]\ntls = {{ {tls} }}\n", encoding="utf-8")
    assert main(["config", "--file", str(path), "https://a"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"alternator-trio: {path} [alternator]: {said.format(directory=tmp_path)}\n"


def test_tls_files_that_do_are_shown(tmp_path, monkeypatch, capsys):
    """By their paths."""
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    monkeypatch.setenv("ALTERNATOR_TLS", f'{{ ca_file = "{path}" }}')
    assert main(["config", "https://a"]) == 0
    assert f"Tls(ca_file='{path}'" in capsys.readouterr().out

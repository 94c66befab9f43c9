"""The command: exit statuses, one-line complaints, and what goes to which stream."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import alternator_trio
from alternator_trio.cli import main

SECONDS = 60  # for a process to end; it takes a few


def started(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(alternator_trio.__file__).parents[1]), "COLUMNS": "80"}
    return subprocess.Popen(  # noqa: S603 - this project's own command
        [sys.executable, "-W", "error", "-m", "alternator_trio", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(*arguments: str) -> tuple[int, str, str]:
    with started(*arguments) as process:
        out, err = process.communicate(timeout=SECONDS)
        return process.returncode, out, err


def status_of(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as leaving:
        return int(leaving.code or 0)


def test_the_demo_kills_a_node_and_reads_everything_back():
    """From the command line: status 0, a JSON report alone on stdout, a node killed and back, nothing lost."""
    status, out, err = finished("demo", "--seconds", "3", "--json")
    report = json.loads(out)
    assert (status, report["problems"]) == (0, []), err
    kinds = [event["kind"] for event in report["events"]]
    assert [kind for kind in kinds if kind in {"killed", "started"}] == ["killed", "started"]
    assert report["total_errors"] == 0
    assert report["verification"]["acknowledged_writes"] > 0
    assert report["verification"]["present"] > 0
    assert report["verification"]["lost"] == 0


def test_the_report_is_drawn_and_a_log_stays_short():
    """Without a terminal: the report on stdout, a line per event on stderr, no escapes anywhere."""
    status, out, err = finished("demo", "--seconds", "1", "--concurrency", "4")
    assert status == 0, err
    assert "Every acknowledged write was read back" in out
    assert 4 <= len(err.splitlines()) <= 6
    assert "\x1b" not in out + err


def test_a_reader_that_has_seen_enough_is_no_error():
    """The pipe behind a JSON report is closed: the status is the demo's, and there is no traceback."""
    with started("demo", "--seconds", "1", "--concurrency", "4", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        status = process.wait(timeout=SECONDS)
    assert status == 0, err
    assert "BrokenPipe" not in err
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send")
def test_ctrl_c_ends_with_a_partial_report():
    """Status 130, and what was done until then."""
    with started("demo", "--seconds", "60", "--concurrency", "4", "--json") as process:
        assert process.stderr is not None
        process.stderr.readline()  # the load begins
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, err
    report = json.loads(out)
    assert report["interrupted"]
    assert report["verification"] is None
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "COMMAND"),
        (("nonsense",), "nonsense"),
        (("demo", "--seconds", "soon"), "soon"),
        (("demo", "--seconds", "0"), "--seconds"),
        (("demo", "--concurrency", "0"), "--concurrency"),
        (("demo", "--nodes", "1"), "--nodes"),
        (("demo", "--seed", "127.0.0.1:8000"), "'127.0.0.1:8000'"),
        (("demo", "--seed", "http://a:1", "--seed", "https://b:1"), "'https://b:1'"),
        (("demo", "--seed", "http://a:1", "--nodes", "3"), "--nodes"),
        (("demo", "--bogus"), "--bogus"),
    ],
)
def test_a_wrong_option_is_one_line_and_status_2(arguments, said, capsys):
    """The line names what is wrong."""
    assert status_of(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("missing", "arguments", "extras"),
    [
        (["ministack"], ["demo", "--json"], "local"),
        (["rich"], ["demo"], "cli"),
        (["rich", "ministack"], ["demo"], "cli,local"),
        (["rich", "ministack"], ["demo", "--seed", "http://127.0.0.1:9"], "cli"),
    ],
)
def test_a_missing_extra_is_named(missing, arguments, extras, monkeypatch, capsys):
    """One line says what to install, and no more than what this run needs."""
    for package in missing:
        monkeypatch.setitem(sys.modules, package, None)
    assert status_of(*arguments) == 2
    assert f"pip install '.[{extras}]'" in capsys.readouterr().err
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_json_needs_no_rich(monkeypatch, capsys):
    """A cluster that is not there is found out without it: status 1, one line."""
    monkeypatch.setitem(sys.modules, "rich", None)
    assert status_of("demo", "--json", "--seed", "http://127.0.0.1:9") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "http://127.0.0.1:9" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--version",), f"alternator-trio {alternator_trio.__version__}\n"), (("demo", "--help"), "exit status: 0")],
)
def test_help_and_version_go_to_stdout(arguments, said, capsys):
    """With status 0."""
    assert status_of(*arguments) == 0
    assert said in capsys.readouterr().out

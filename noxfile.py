"""One door to everything: `nox -s NAME`.

The names: demo, tests, coverage, lint, types, docs, bench, failover, hostile, fuzz, chaos, simulate, build.
"""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.10"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True

PYPROJECT = nox.project.load_toml("pyproject.toml")


def _group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PYPROJECT, name))


@nox.session
def demo(session: nox.Session) -> None:
    """Run the client against the embedded three-node cluster while a node dies; arguments go to the command."""
    session.install(".[cli,local]")
    session.run("alternator-trio", "demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite against the built wheel; arguments go to pytest."""
    session.install(".[cli,local]", *_group("test"))
    session.run("pytest", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the test suite with line and branch coverage of the package."""
    session.install("-e", ".[cli,local]", *_group("test"))
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, lint rules, structured-concurrency rules and import contracts."""
    session.install("-e", ".[cli,local]", *_group("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("flake8")
    session.run("lint-imports")
    session.run("python", "tools/generate_operations.py", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the package under mypy strict and pyright strict, and the examples of the pages under mypy strict."""
    session.install("-e", ".[cli,local]", *_group("types"))
    session.run("mypy")
    session.run("pyright")
    session.run("python", "tools/check_examples.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("-e", ".", *_group("docs"))
    session.run("sphinx-build", "-W", "-b", "html", "docs", "docs/_build/html")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the client against the bare exchange in one run; arguments go to tools/bench."""
    session.install(".[cli,local]")
    session.run("python", "tools/bench", *session.posargs)


@nox.session
def failover(session: nox.Session) -> None:
    """Take racks and nodes away from a loaded client, and draw its traffic; arguments go to tools/failover."""
    session.install(".[cli,local]")
    session.run("python", "tools/failover", *session.posargs)


@nox.session
def hostile(session: nox.Session) -> None:
    """Play hostile servers for this client and for others, and compare; arguments go to tools/hostile."""
    session.install(".", "trustme")
    session.run("python", "tools/hostile", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz one of the pure parsers, guided by coverage; arguments go to tools/fuzz."""
    session.install("-e", ".", *_group("fuzz"))
    session.run("python", "tools/fuzz", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Load the client for ten minutes while everything goes wrong; arguments go to tools/chaos."""
    session.install(".[cli,local]")
    session.run("python", "tools/chaos", *session.posargs)


@nox.session
def simulate(session: nox.Session) -> None:
    """Run seeds of the simulation, or one of them again: `-- --seeds 1000 --jobs 2`, `-- --seed 7 --trace`.

    `-- --planted --seeds 130` plants bugs, one at a time, and tells who notices.
    """
    session.install(".[local]", *_group("test"))
    session.run("python", "tools/simulate", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the source distribution."""
    session.install("build")
    session.run("python", "-m", "build")

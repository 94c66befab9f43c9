"""Hostile servers against this client and others, in one run: ``python tools/hostile``.

Every row of ``tests/hostile/rows.py`` meets every client, each time in a process of its own with bounds on its time
and memory. Prints a table and, with ``--write``, puts it into ``docs/hostile.md``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import ssl
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import trio
import trustme

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from cells import Certificates, Outcome, open_client  # noqa: E402  # the rows are the tests'
from environments import CLIENTS, prepare  # noqa: E402
from verdicts import BAD, DISCOVERING, FAIR, GOOD, NONE, Verdict, judge  # noqa: E402

from tests.hostile.rows import ROWS, Row  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT = ROOT / "docs" / "hostile.md"
WANTED = {"error": "an error", "answer": "the item", "either": "either"}
MARKER = "<!-- the table below is written by `nox -s hostile -- --write` -->"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments say."""
    options = parse(arguments)
    rows = [row for row in ROWS if options.rows in row.name]
    pythons = prepare(options.clients, options.environments)
    with tempfile.TemporaryDirectory() as place:
        outcomes = trio.run(measure_all, rows, pythons, certificates(Path(place)))
    table = render(rows, list(pythons), outcomes)
    print(table)
    if options.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(f"{text.partition(MARKER)[0]}{MARKER}\n\n{table}\n", encoding="utf-8")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/hostile", description=__doc__)
    parser.add_argument("--clients", nargs="+", choices=list(CLIENTS), default=list(CLIENTS))
    parser.add_argument("--rows", default="", help="only rows whose names contain this")
    parser.add_argument("--environments", type=Path, default=ROOT / ".nox" / "hostile-clients")
    parser.add_argument("--write", action="store_true", help="write docs/hostile.md")
    return parser.parse_args(arguments)


def certificates(place: Path) -> Certificates:
    """A CA, and a server's certificate of it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(place / "ca.pem")
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(served)
    return Certificates(ca=place / "ca.pem", served=served)


async def measure_all(
    rows: Sequence[Row], pythons: dict[str, str], trusted: Certificates
) -> dict[tuple[str, str], Outcome]:
    """The outcome of each cell, by row and client."""
    outcomes: dict[tuple[str, str], Outcome] = {}

    async def measure_one(name: str, python: str) -> None:
        async with open_client(name, python) as client:
            for row in rows:
                if row.kind == "discovery" and name not in DISCOVERING:
                    continue
                outcome = outcomes[row.name, name] = await client.measure(row, trusted)
                print(f"{row.name} | {name}: {judge(row, name, outcome)}", file=sys.stderr, flush=True)

    async with trio.open_nursery() as nursery:
        for name, python in pythons.items():
            nursery.start_soon(measure_one, name, python)
    return outcomes


def render(rows: Sequence[Row], clients: Sequence[str], outcomes: dict[tuple[str, str], Outcome]) -> str:
    """The table in Markdown, with what it was measured with."""
    totals = {client: Counter[str]() for client in clients}
    lines = []
    for row in rows:
        cells = [f"{row.name}: {row.does}", WANTED[row.requires]]
        for client in clients:
            outcome = outcomes.get((row.name, client))
            verdict = Verdict(NONE, "") if outcome is None else judge(row, client, outcome)
            totals[client][verdict.mark] += 1
            cells.append(str(verdict).replace("|", "\\|"))
        lines.append(_line(cells))
    sums = [", ".join(f"{totals[client][mark]} {mark}" for mark in (GOOD, FAIR, BAD)) for client in clients]
    today = dt.datetime.now(dt.UTC).date()
    versions = "; ".join(versions_of(client, outcomes) for client in clients)
    head = [
        f"Measured on {today} with Python {platform.python_version()} on {platform.system()}: {versions}.",
        "",
        _line(["The server", "Required", *(client.replace("_", "-") for client in clients)]),
        "|" + "---|" * (len(clients) + 2),
        _line(["**In all**", "", *sums]),
    ]
    return "\n".join([*head, *lines])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def versions_of(client: str, outcomes: dict[tuple[str, str], Outcome]) -> str:
    """What a client said of itself."""
    said = [outcome.reports["ready"]["versions"] for (_, name), outcome in outcomes.items()
            if name == client and "ready" in outcome.reports]  # fmt: skip
    return ", ".join(said[0]) if said else f"{client}, which did not start"


if __name__ == "__main__":
    main()

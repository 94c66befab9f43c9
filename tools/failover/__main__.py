"""Take racks and nodes away from a loaded client and see what its application notices: ``python tools/failover``.

`racks` takes a whole rack from a client that prefers it and gives it back, draws where the traffic went, and fails when
the application saw an error or the traffic took too long to return. `sick` makes one node of three ill in several ways
and says what that costs with node health and without. See ``docs/routing.md`` for figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from rich.console import Console

sys.path.append(str(Path(__file__).parents[1]))  # what tools have in common

import racks
import sick
from cluster_process import LISTED_FOR
from picture import draw
from report import cost_table, findings_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from findings import Findings

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
RETURN_SECONDS = 5.0
"""How soon the traffic must be back after the rack's nodes answer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit status tells whether the application saw an error, or a slow return."""
    options = parse(arguments)
    logging.getLogger("alternator_trio").setLevel(logging.ERROR)  # that nodes go down is no news here
    console = Console(width=None if sys.stdout.isatty() else 170)
    written: dict[str, object] = {}
    complaints: list[str] = []
    if "racks" in options.what:
        runs = [*run_racks(options, console)]
        console.print(findings_table(runs))
        complaints += [complaint for name, findings in runs for complaint in complaints_of(name, findings)]
        written["racks"] = [{"scenario": name} | dataclasses.asdict(findings) for name, findings in runs]
    if "sick" in options.what:
        costs = [*run_sick(options, console)]
        console.print(cost_table(costs))
        written["sick"] = [dataclasses.asdict(cost) for cost in costs]
    if options.json:
        options.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    for complaint in complaints:
        console.print(f"[bold red]{complaint}", highlight=False)
    return 1 if complaints else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; every choice has a default, and the whole default run takes about three minutes."""
    parser = argparse.ArgumentParser(prog="python tools/failover", description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="*", metavar="racks|sick", help="both by default")
    parser.add_argument("--in-flight", type=int, default=32, metavar="N", help="callers at once (default 32)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="how often each is run (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there too")
    of_racks = parser.add_argument_group("racks")
    of_racks.add_argument("--scenarios", nargs="+", choices=list(racks.SCENARIOS), default=racks.USUAL)
    of_racks.add_argument("--pictures", type=Path, default=PICTURES, metavar="DIRECTORY", help="default docs/pictures")
    of_sick = parser.add_argument_group("sick")
    of_sick.add_argument("--sicknesses", nargs="+", choices=list(sick.SICKNESSES), default=list(sick.SICKNESSES))
    of_sick.add_argument("--attempt-timeout", type=float, default=1.0, metavar="SECONDS", help="default 1")
    of_sick.add_argument(
        "--pause", type=float, default=0.02, metavar="SECONDS",
        help="what a caller waits after each operation, so that the machine is not full (default 0.02)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    options.what = options.what or ["racks", "sick"]
    if not set(options.what) <= {"racks", "sick"}:
        parser.error(f"no such part: {' '.join(options.what)}")
    return options


def run_racks(options: argparse.Namespace, console: Console) -> Iterator[tuple[str, Findings]]:
    """Run each scenario, and draw it each time: the last run's picture stays."""
    options.pictures.mkdir(parents=True, exist_ok=True)
    for name in options.scenarios:
        scenario = racks.SCENARIOS[name]
        for _ in range(options.repeat):
            console.print(f"{name}: {scenario.title} ({scenario.end_at:g} s)", highlight=False)
            findings = trio.run(partial(racks.run, scenario, in_flight=options.in_flight))
            title = f"{scenario.title}, {options.in_flight} operations in flight"
            picture = options.pictures / f"failover-{name}.svg"
            picture.write_text(draw(findings, title=title, marks=marks_of(scenario, findings)), encoding="utf-8")
            yield name, findings


def marks_of(scenario: racks.Scenario, findings: Findings) -> dict[float, str]:
    """What the picture shows beside the traffic."""
    marks = {findings.lost_at: "stopped" if scenario.order == "stop" else "crashed", findings.back_at: "started again"}
    delisted_at = findings.lost_at + LISTED_FOR
    if scenario.order == "kill" and delisted_at < findings.back_at:
        marks[delisted_at] = "off the list"
    return marks


def complaints_of(name: str, findings: Findings) -> Iterator[str]:
    """What must not be."""
    for error, count in findings.errors.items():
        yield f"{name}: the application saw {count} times {error}"
    returned = findings.most_back_after
    if returned is None or returned > RETURN_SECONDS:
        yield f"{name}: the traffic was not back within {RETURN_SECONDS:g} s, but after {returned} s"


def run_sick(options: argparse.Namespace, console: Console) -> Iterator[sick.Cost]:
    """Run each sickness with health and without."""
    # An attempt that hangs must have had its time before what comes later is looked at.
    onset = max(sick.ONSET, options.attempt_timeout + 1)
    for name in options.sicknesses:
        for health in (True, False):
            for _ in range(options.repeat):
                console.print(f"{name}, health {'on' if health else 'off'} ({onset + sick.LATER:g} s)", highlight=False)
                yield trio.run(
                    partial(
                        sick.run, sick.SICKNESSES[name], health=health, attempt_timeout=options.attempt_timeout,
                        in_flight=options.in_flight, pause=options.pause, onset=onset,
                    )
                )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

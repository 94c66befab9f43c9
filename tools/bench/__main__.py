"""Measure this client against the bare exchange, side by side, on one core: ``python tools/bench``.

Starts a server on one core, one process per subject on another, has them measure in turn, and says what an operation
costs; then measures what routing adds, in checkpoints, what signing and compressing take, and how much memory and time
to import the client needs. See ``docs/benchmarks.md`` for what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import profiling
from content_costs import SUBJECT as CONTENT
from content_costs import ContentCosts
from footprint import NODES as MEMORY_NODES
from footprint import SUBJECT as MEMORY
from footprint import Footprint
from payloads import CHECKPOINT, OPERATIONS
from report import BASELINE, CLIENT, SIGNED, Report
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rounds import Plan, run_rounds
from routing_costs import SUBJECT as ROUTING
from routing_costs import RoutingCosts
from servers import INSTALL_NGINX, ServerError, find_nginx, running_server
from summary import rows_of
from workers import Subject, SubjectError, Worker, subject_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rounds import Sample
    from servers import Kind, Server

PARTS = ("exchange", "routing", "content", "footprint")
UNITS = "units"
SUBJECTS = (BASELINE, CLIENT, SIGNED)
CLIENTS = [name for name in subject_names() if name not in {UNITS, ROUTING, CONTENT, MEMORY}]
UNIT_SECONDS = 0.05
PROFILE_SECONDS = 5.0
ENOUGH_CORES = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit status tells whether it could be run, not whether it was fast."""
    options = parse(arguments)
    client_core, server_core = choose_cores()
    errors = Console(stderr=True)
    output = Console(width=None if sys.stdout.isatty() else 150)
    written: dict[str, object] = {}
    try:
        if "exchange" in options.parts:
            with running_server(server_kind(options.server, errors), nodes=options.nodes, core=server_core) as server:
                if options.profile:
                    print_profile(options, server, client_core)
                    return 0
                report = measure(options, server, client_core, errors)
            report.show(output)
            written |= report.as_json()
        if "routing" in options.parts:
            routing = RoutingCosts.measured(slices=options.slices, core=client_core)
            routing.show(output)
            written |= {"routing": routing.as_json()}
        if "content" in options.parts:
            content = ContentCosts.measured(core=client_core)
            content.show(output)
            written |= {"content": content.as_json()}
        if "footprint" in options.parts:
            with running_server(server_kind(options.server, errors), nodes=MEMORY_NODES, core=server_core) as server:
                footprint = Footprint.measured(server, core=client_core)
            footprint.show(output)
            written |= {"footprint": footprint.as_json()}
    except (ServerError, SubjectError) as error:
        errors.print(f"[bold red]{error}", highlight=False)
        return 1
    if options.json:
        options.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; every choice has a default, and the whole default run takes about three minutes."""
    parser = argparse.ArgumentParser(prog="python tools/bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (default all)")
    parser.add_argument("--slices", type=int, default=30, help="how often each figure of routing is taken (default 30)")
    parser.add_argument("--rounds", type=int, default=20, help="how often each cell is measured (default 20)")
    parser.add_argument("--seconds", type=float, default=0.2, help="the length of one window (default 0.2)")
    parser.add_argument("--warm-up", type=float, default=0.05, help="seconds before each window (default 0.05)")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 32, 256], metavar="N")
    parser.add_argument("--operations", nargs="+", default=list(OPERATIONS), choices=list(OPERATIONS))
    parser.add_argument(
        "--subjects", type=Subject.parse, nargs="+", metavar="[LABEL=]NAME[@PYTHON]",
        help=f"any of {', '.join(CLIENTS)}; @PYTHON for one in its own venv (default {' '.join(SUBJECTS)})",
    )  # fmt: skip
    parser.add_argument("--server", choices=("auto", "nginx", "builtin"), default="auto")
    parser.add_argument("--nodes", type=int, default=1, help="addresses from 127.0.0.1 on that are listed (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there too")
    parser.add_argument(
        "--profile", nargs="?", const="auto", choices=("auto", "cprofile", "py-spy"),
        help="profile the last subject, 32 in flight, instead of measuring: with py-spy where it is installed",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.subjects is None:
        options.subjects = [Subject.parse(name) for name in ([CLIENT] if options.profile else SUBJECTS)]
    labels = [subject.label for subject in options.subjects]
    if len(set(labels)) < len(labels):
        parser.error("two subjects of one name: give one of them a label, LABEL=NAME")
    return options


def choose_cores() -> tuple[int | None, int | None]:
    """Give clients and server a core each; where a system cannot pin, or has one core, let it place them."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) >= ENOUGH_CORES else (None, None)


def server_kind(wanted: str, errors: Console) -> Kind:
    """Take nginx where it is installed; say what to do where it is not."""
    if wanted == "builtin":
        return "builtin"
    if wanted == "nginx" or find_nginx():
        return "nginx"
    errors.print(f"nginx is not installed ({INSTALL_NGINX}); a server of our own takes its place, and may be the limit")
    return "builtin"


def plan_of(options: argparse.Namespace) -> Plan:
    """Collect what is to be measured."""
    return Plan(
        operations=[OPERATIONS[name] for name in options.operations],
        in_flight=options.in_flight,
        rounds=options.rounds,
        seconds=options.seconds,
        warm_up_seconds=options.warm_up,
    )


def measure(options: argparse.Namespace, server: Server, core: int | None, errors: Console) -> Report:
    """Run all rounds, then the units."""
    plan = plan_of(options)
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(subject, core=core)) for subject in options.subjects]
        samples = _with_progress(plan, workers, server, errors)
        unit_plan = replace(plan, operations=[CHECKPOINT], seconds=UNIT_SECONDS, warm_up_seconds=0.0)
        units = stack.enter_context(Worker(Subject.parse(UNITS), core=core))
        unit_samples = _with_progress(unit_plan, [units], server, errors)
    names = [worker.subject.label for worker in workers]
    return Report(
        plan=plan,
        server=server,
        client_core=core,
        subjects={worker.subject.label: worker.versions for worker in workers},
        rows=rows_of(samples, baseline=BASELINE if BASELINE in names else None),
        units=rows_of(unit_samples, baseline=None),
        samples=samples,
    )


def _with_progress(plan: Plan, workers: Sequence[Worker], server: Server, errors: Console) -> list[Sample]:
    total = plan.rounds * len(plan.operations) * len(plan.in_flight) * len(workers)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    samples: list[Sample] = []
    # Redrawn between windows only: a drawing thread would take turns with the clients.
    with Progress(*columns, console=errors, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("starting", total=total)

        def show(description: str) -> None:
            progress.update(task, description=description, completed=len(samples), refresh=True)

        for sample in run_rounds(plan, workers, server, before_cell=show):
            samples.append(sample)  # noqa: PERF402 - what is already there is shown on the way
    return samples


def print_profile(options: argparse.Namespace, server: Server, core: int | None) -> None:
    """Profile the last subject that was named, the client by default."""
    with Worker(options.subjects[-1], core=core) as worker:
        text = profiling.profile(
            worker, plan_of(options), server, profiler=options.profile, seconds=max(PROFILE_SECONDS, options.seconds)
        )
    print(text)


if __name__ == "__main__":
    sys.exit(main())

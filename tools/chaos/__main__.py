"""Load two clients over real sockets while everything goes wrong, and see that nothing is lost: ``python tools/chaos``.

A storm of faults drawn from one seed, callers that are cancelled in crowds, then healing, a calm in which no error may
come, and a rest in which everything is counted and read back; again and again. It fails when anything was not as it
must be. See ``docs/chaos.md``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import random
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

sys.path.append(str(Path(__file__).parents[1]))  # what tools have in common

from chaos_picture import draw
from chaos_report import report
from chaos_run import Choices, run

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit status tells whether everything was as it must be."""
    options = parse(arguments)
    logging.getLogger("alternator_trio").setLevel(logging.ERROR)  # that nodes go down is no news here
    choices = Choices(
        seed=options.seed,
        seconds=options.hours * 3600 if options.hours else options.seconds,
        callers=options.callers,
        rate=options.rate,
        pause=options.pause,
        transport=options.transport,
        signed=not options.unsigned,
    )
    print(f"python tools/chaos {shown(choices)}", flush=True)
    findings = trio.run(partial(run, choices))
    print(report(findings))
    if options.picture:
        options.picture.write_text(draw(findings), encoding="utf-8")
    if options.json:
        figures = {
            "choices": dataclasses.asdict(choices),
            "operations": findings.tally.begun,
            "errors": {f"{name}: {cause}": count for (name, cause), count in findings.tally.errors.items()},
            "cancelled": findings.tally.cancelled,
            "faults": findings.tally.faults,
            "complaints": findings.tally.complaints,
            "samples": [dataclasses.asdict(sample) for sample in findings.samples],
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if findings.tally.wrong else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; every choice has a default."""
    parser = argparse.ArgumentParser(prog="python tools/chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default 600)")
    parser.add_argument("--hours", type=float, default=0.0, help="the same in hours; wins")
    parser.add_argument("--seed", type=int, default=None, help="of the faults, the load and the cancellations")
    parser.add_argument("--callers", type=int, default=48, help="tasks of the load (default 48)")
    parser.add_argument("--rate", type=float, default=3.0, help="faults per second of a storm (default 3)")
    parser.add_argument("--pause", type=float, default=0.04, help="a caller's mean pause, in seconds (default 0.04)")
    parser.add_argument("--transport", choices=["native", "httpx"], default="native")
    parser.add_argument("--unsigned", action="store_true", help="no credentials, at the cluster neither")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the run as SVG")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(10**6)
    return options


def shown(choices: Choices) -> str:
    """The choices as options, to be given again."""
    words = [f"--seed {choices.seed} --seconds {choices.seconds:g} --callers {choices.callers}"]
    words += [f"--rate {choices.rate:g} --pause {choices.pause:g} --transport {choices.transport}"]
    return " ".join(words) + ("" if choices.signed else " --unsigned")


if __name__ == "__main__":
    sys.exit(main())

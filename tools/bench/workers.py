"""Subjects as processes: started once, pinned to the clients' core, and asked for one cell after the other.

A subject is named ``bare``, which is ``subjects/bare.py`` under this Python, or ``bare@/path/to/python``, which is the
same program in an environment of its own. ``label=bare`` gives it another name in the report, so that one program can
run twice.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

SUBJECTS = Path(__file__).with_name("subjects")
START_SECONDS = 30.0
GRACE_SECONDS = 30.0
STOP_SECONDS = 5.0


class SubjectError(Exception):
    """A subject could not start, failed in a cell, or fell silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A client's name in the report, its program, and the Python to run it with."""

    label: str
    name: str
    python: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME``, with ``LABEL=`` before it and ``@PYTHON`` after it where wanted."""
        rest, _, python = text.partition("@")
        label, _, name = rest.rpartition("=")
        if not cls._program_of(name).is_file():
            raise ArgumentTypeError(f"no such subject: {name!r}; there are {', '.join(subject_names())}")
        return cls(label=label or name, name=name, python=python or sys.executable)

    @property
    def program(self) -> Path:
        """The file to run."""
        return self._program_of(self.name)

    @staticmethod
    def _program_of(name: str) -> Path:
        return SUBJECTS / f"{name}.py"


def measure_alone(
    subject: str, request: dict[str, object], *, in_flight: int, core: int | None, expected_seconds: float
) -> dict[str, object]:
    """Have a subject measured that needs no server and decides itself how long it takes."""
    cell = {"request": request, "operation": subject, "url": "", "answer": {}, "in_flight": in_flight, "seconds": 0.0,
            "warm_up_seconds": 0.0}  # fmt: skip
    with Worker(Subject.parse(subject), core=core) as worker:
        return worker.measure(cell, expected_seconds=expected_seconds)


def subject_names() -> list[str]:
    """List the programs beside this file."""
    return sorted(path.stem for path in SUBJECTS.glob("[!_]*.py"))


class Worker:
    """One subject's running process, to be closed by ``with``."""

    def __init__(self, subject: Subject, *, core: int | None) -> None:
        self.subject = subject
        command = [subject.python, str(subject.program), *([] if core is None else [str(core)])]
        # Unbuffered, so that a line that has come is a line that `select` has seen.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self.versions = _texts(self._read_answer(START_SECONDS)["versions"])
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """The process to look at from outside."""
        return self._process.pid

    def measure(self, cell: dict[str, object], *, expected_seconds: float) -> dict[str, object]:
        """Have one cell measured; ``expected_seconds`` and some grace later, a silent subject is an error."""
        self.start(cell)
        return self.finish(expected_seconds=expected_seconds)

    def start(self, cell: dict[str, object]) -> None:
        """Send a cell without waiting for its measurement."""
        if self._process.stdin is None:
            raise RuntimeError("a worker is started with pipes")
        self._process.stdin.write(json.dumps(cell).encode() + b"\n")

    def finish(self, *, expected_seconds: float) -> dict[str, object]:
        """Wait for the measurement of the cell that was sent."""
        return self._read_answer(expected_seconds + GRACE_SECONDS)

    def _read_answer(self, seconds: float) -> dict[str, object]:
        if self._process.stdout is None:
            raise RuntimeError("a worker is started with pipes")
        readable, _, _ = select.select([self._process.stdout], [], [], seconds)
        if not readable:
            raise SubjectError(f"{self.subject.label} has not answered for {seconds:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise SubjectError(f"{self.subject.label} ended ({self.subject.python} {self.subject.program}); see above")
        answer: dict[str, object] = json.loads(line)
        if "error" in answer:
            raise SubjectError(f"{self.subject.label} failed:\n{answer['error']}")
        return answer

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def _texts(versions: object) -> dict[str, str]:
    if not isinstance(versions, dict):
        raise SubjectError(f"a subject introduces itself with its versions, not with {versions!r}")
    return {str(name): str(version) for name, version in versions.items()}

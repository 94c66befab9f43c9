"""Check the Python examples of README.md and docs/*.md with mypy, strictly.

Rules: an example is checked as it stands; what the package exports counts as imported, and a few names that stand for
the reader's own are declared. Lines in the messages are the page's. `<!-- not type-checked: why -->` above an example
spares it.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import alternator_trio
from alternator_trio import testing

ROOT: Final = Path(__file__).resolve().parent.parent
BLOCK: Final = re.compile(r"^(<!-- not type-checked: .+? -->\n)?```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPORTED: Final = {
    **dict.fromkeys(alternator_trio.__all__, "alternator_trio"),
    **dict.fromkeys(testing.__all__, "alternator_trio.testing"),
}
READERS_OWN: Final = {
    "client": "alternator_trio.Client",
    "cluster": "alternator_trio.testing.LocalCluster",
    "vault": "typing.Any",
    "your_code": "typing.Any",
}
LINE_BEFORE: Final = "async def _fragment() -> None:"


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def examples(text: str) -> Iterator[tuple[int, str]]:
    """The examples of a page, each with the line of the page on which it begins."""
    for match in BLOCK.finditer(text):
        if match[1] is None:
            yield text.count("\n", 0, match.start(2)) + 1, match[2]


def module_of(line: int, example: str) -> str:
    """A module with the example on the page's own lines."""
    code = compile(example, "<example>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    names = [node.id for node in ast.walk(code) if isinstance(node, ast.Name)]
    bound = {node.id for node in ast.walk(code) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.asname or node.name for node in ast.walk(code) if isinstance(node, ast.alias)}
    missing = sorted({*names} - bound - {*dir(builtins)})
    preamble = ["import alternator_trio.testing, typing, trio"]
    preamble += [f"from {EXPORTED[name]} import {name}" for name in missing if name in EXPORTED]
    preamble += [f"{name}: {READERS_OWN[name]}" for name in missing if name in READERS_OWN]
    before = LINE_BEFORE if _awaits(example) else ""
    if before:
        example = "".join(f"    {each}" if each.strip() else each for each in example.splitlines(keepends=True))
    return "\n".join(["; ".join(preamble), *[""] * (line - 3), before, example])


def _awaits(example: str) -> bool:
    code = compile(example, "<example>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return bool(code.co_flags & inspect.CO_COROUTINE)


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        count = 0
        for page in pages():
            for line, example in examples(page.read_text(encoding="utf-8")):
                name = re.sub(r"\W", "_", page.stem)
                Path(directory, f"{name}_md_{line}.py").write_text(module_of(line, example), encoding="utf-8")
                count += 1
        command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), directory]
        environment = {**os.environ, "MYPYPATH": str(ROOT)}
        print(f"{count} examples")
        return subprocess.run(command, cwd=directory, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

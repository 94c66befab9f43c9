"""Fuzz one parser, guided by its coverage: ``python tools/fuzz TARGET --seconds N``.

Begins with the seeds of ``tests/fuzz/seeds.py`` and with what earlier runs have kept. Ends when its time is over, or at
the first finding, which it prints. Needs atheris.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(
    include=["alternator_trio._wire", "alternator_trio._core.affinity", "alternator_trio.nodes"]
):
    from tests.fuzz.seeds import SEEDS, WORDS
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz what the arguments say."""
    parser = argparse.ArgumentParser(prog="tools/fuzz", description=__doc__)
    parser.add_argument("target", choices=list(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, default=ROOT / ".fuzz", help="where inputs are kept between runs")
    options = parser.parse_args()
    corpus = options.corpus / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[options.target]):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = options.corpus / f"{options.target}.words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in WORDS[options.target]), encoding="ascii")
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-dict={words}",
        f"-max_total_time={options.seconds}",
        "-max_len=4096",
        "-timeout=10",
        "-rss_limit_mb=1024",
        f"-artifact_prefix={options.corpus}/",
        "-print_final_stats=1",
    ]
    atheris.Setup(arguments, TARGETS[options.target])
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()

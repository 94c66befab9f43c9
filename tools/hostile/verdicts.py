"""What an outcome is worth, by the row's requirement: the same for every client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from cells import Outcome, Report

    from tests.hostile.rows import Row

OWN: Final = {
    "alternator_trio": {"alternator_trio"},
    "boto3": {"boto3", "botocore"},
    "aiobotocore": {"aiobotocore", "botocore"},
    "aiodynamo": {"aiodynamo"},
    "alternator_client": {"alternator", "boto3", "botocore"},
}
DISCOVERING: Final = {"alternator_trio", "alternator_client"}
MAX_MEBIBYTES: Final = 200
MAX_SECONDS: Final = 5.5
GOOD, FAIR, BAD, NONE = "✓", "~", "✗", "-"


class Verdict(NamedTuple):
    """A mark and what was seen."""

    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.mark} {self.text}".strip()


def judge(row: Row, client: str, outcome: Outcome) -> Verdict:
    """The verdict on one cell."""
    first = outcome.reports.get("first")
    if first is None:
        if outcome.hung:
            return Verdict(BAD, "hangs")
        return Verdict(BAD, f"crash: {outcome.reports.get('crash', {}).get('why', 'without a word')[:60]}")
    faults = [*_faults_of_first(row, first), *_faults_of_rest(row, outcome)]
    seen = _seen(first)
    if faults:
        return Verdict(BAD, "; ".join([seen, *faults]) if seen else "; ".join(faults))
    blemishes = [*_blemishes(client, first), *_reuse(row, outcome), *_left_open(outcome)]
    return Verdict(FAIR if blemishes else GOOD, seen + "".join(blemishes))


def _seen(first: Report) -> str:
    return str(first.get("error") or str(first["got"]).strip("'").replace("hostile", "the item"))


def _faults_of_first(row: Row, first: Report) -> list[str]:
    faults = []
    failed = "error" in first
    if row.requires == "error" and not failed:
        faults.append("taken for an answer")
    if row.requires == "answer" and failed:
        faults.append("no answer")
    if not failed and row.requires != "error" and row.kind not in {"pages", "batch"} and first["got"] != "'hostile'":
        faults.append("a wrong answer")
    if first["seconds"] > MAX_SECONDS:
        faults.append(f"{first['seconds']:.0f} s")
    if first["mebibytes"] > MAX_MEBIBYTES:
        faults.append(f"{first['mebibytes']:.0f} MiB")
    return faults


def _faults_of_rest(row: Row, outcome: Outcome) -> list[str]:
    faults = []
    second = outcome.reports.get("second")
    if row.kind == "tls" and not row.handshake:
        pass  # such a server answers nothing, ever
    elif second is None:
        faults.append("then hangs" if outcome.hung else "then crashes")
    elif "error" in second:
        faults.append(f"then {second['error']}")
    elif second["got"] != "'next'":
        faults.append("**then the wrong item**")
    if outcome.trapped:
        faults.append("follows")
    nodes = outcome.reports.get("nodes", {})
    if row.kind == "discovery" and set(nodes.get("nodes", ())) - set(row.hosts):
        faults.append(f"{nodes['count']} nodes")
    return faults


def _blemishes(client: str, first: Report) -> list[str]:
    if "error" not in first:
        return []
    return [mark for mark, holds in (("†", first["root"] not in OWN[client]), ("°", not first["named"])) if holds]


def _reuse(row: Row, outcome: Outcome) -> list[str]:
    return ["‡"] if outcome.reused and not row.reusable and row.kind in {"data", "tls"} else []


def _left_open(outcome: Outcome) -> list[str]:
    return ["§"] if outcome.left_open else []

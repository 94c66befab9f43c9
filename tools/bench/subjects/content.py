"""What is done to bodies, in a loop: signatures, and both codings against what the standard library takes for them."""

from __future__ import annotations

import gzip
import json
import random
import time
import zlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from _worker import serve

from alternator_trio import Credentials, RequestCompression
from alternator_trio._wire.compression import compress, decompress
from alternator_trio._wire.sigv4 import Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _worker import Cell

    Work = tuple["Cost", Callable[[], object], Callable[[], object] | None]

SLICE_SECONDS = 0.01
SIGNED_BYTES = (64, 4096)
MAX_BYTES = 2**30
LONG_BYTES = 2**15
NOTE = ("analytical", "engine", "weaves", "patterns", "just", "as", "the", "loom", "flowers", "and", "leaves")


@dataclass(slots=True, kw_only=True)
class Cost:
    """One thing done to so many bytes: microseconds per slice, ours and the standard library's beside it."""

    name: str
    bytes: int
    us: list[float] = field(default_factory=list)
    bare_us: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """All of them."""

    costs: list[Cost]


def run(cell: Cell) -> Costs:
    """Measure bodies of the lengths ``sizes``, in so many ``slices``; the first turn warms up and does not count."""
    sizes, slices = cell.request["sizes"], cell.request["slices"]
    assert isinstance(sizes, list)  # noqa: S101 - the driver sends it
    assert isinstance(slices, int)  # noqa: S101 - the same
    works = [*_signatures(), *(work for size in sizes for work in _codings(_body(size)))]
    for turn in range(slices + 1):
        for cost, ours, bare in works:
            us = _us(ours, cost.bytes)
            bare_us = [] if bare is None else [_us(bare, cost.bytes)]
            if turn:
                cost.us.append(us)
                cost.bare_us += bare_us
    return Costs(costs=[cost for cost, _, _ in works])


def _signatures() -> Iterator[Work]:
    role = Credentials("bench", "a-salted-hash-of-ordinary-length")
    sign = partial(Signer("us-east-1").sign, role, authority="10.0.0.1:8000", target="DynamoDB_20120810.GetItem")
    for size in SIGNED_BYTES:
        # With the clock that requests have: its second changes once a second.
        ours = partial(_sign_now, partial(sign, body=_body(size)))
        yield Cost(name="a signature", bytes=size), ours, None


def _sign_now(sign: Callable[..., bytes]) -> bytes:
    return sign(now=time.time())


def _codings(body: bytes) -> Iterator[Work]:
    for compression, pack, unpack in (
        (RequestCompression.gzip(), partial(gzip.compress, mtime=0), gzip.decompress),
        (RequestCompression.deflate(), zlib.compress, zlib.decompress),
    ):
        encoding, packed = compression.encoding, pack(body)
        unpack_ours = partial(decompress, packed, encoding.encode(), (encoding,), MAX_BYTES)
        pack_cost = Cost(name=f"{encoding}, compressing", bytes=len(body))
        yield pack_cost, partial(compress, body, compression), partial(pack, body, compression.level)
        yield Cost(name=f"{encoding}, unpacking", bytes=len(body)), unpack_ours, partial(unpack, packed)


def _body(size: int) -> bytes:
    """JSON as items are: names that repeat, values that do not."""
    rng = random.Random(size)  # noqa: S311 - the same body in each run
    items: list[object] = []
    length = 0
    while length < size:
        note = " ".join(rng.choices(NOTE, k=8))
        number = str(rng.randrange(10**6))
        items.append({"id": {"S": f"{rng.getrandbits(64):x}"}, "born": {"N": number}, "note": {"S": note}})
        length += len(json.dumps(items[-1]))
    return json.dumps({"Items": items}).encode()[:size]


def _us(work: Callable[[], object], size: int) -> float:
    """CPU microseconds of one call, in a slice of about ten milliseconds."""
    calls, at_once = 0, max(1, LONG_BYTES // size)
    began = now = time.process_time_ns()
    while now - began < SLICE_SECONDS * 1e9:
        for _ in range(at_once):
            work()
        calls += at_once
        now = time.process_time_ns()
    return (now - began) / 1e3 / calls


if __name__ == "__main__":
    serve(run, distributions=("alternator-trio",))

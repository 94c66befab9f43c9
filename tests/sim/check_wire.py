"""What clients do on the wire, seen as it happens.

Rules: a connection carries one request at a time, and none after an answer that says that it ends; of a table's key
there is one lookup at a time; a node is probed once at a time; a refresh asks a node once at a time, and three nodes at
most. In a scope of one datacenter a question of a refresh names it, and a probe names none; in cluster scope both look
the same.
"""

from __future__ import annotations

import collections

import orjson
import trio

__all__ = ["WireWatch", "kind_of"]

MOST_ASKED = 3
MOST_SHOWN = 10
LOCALNODES = b"GET /localnodes"
END = b"\r\nConnection: close\r\n"


class WireWatch:
    """Looks at every request of every client.

    Args:
        has_cluster_scope: Whether questions for nodes may look like probes.
        probes: How many probes may be in flight.
        answers_may_be_wrong: Whether answers may be longer than they say: the client cannot know that more comes.

    Attributes:
        violations: What was against the rules.
    """

    def __init__(self, *, has_cluster_scope: bool, probes: int, answers_may_be_wrong: bool) -> None:
        self.violations: list[str] = []
        self._has_cluster_scope = has_cluster_scope
        self._probes = probes
        self._answers_may_be_wrong = answers_may_be_wrong
        self._addresses: dict[int, str] = {}
        self._suspects: list[tuple[float, int, str, str | None, str]] = []
        self._pending: dict[tuple[str, int], tuple[str, str]] = {}
        self._ended: set[int] = set()

    def dialled(self, client: str, node: str, number: int, address: str) -> None:
        """A node may have been known under another address: to a client that is another node."""
        del client, node
        self._addresses[number] = address

    def sent(self, client: str, node: str, number: int, data: bytes) -> None:
        """A request."""
        self._judge_suspects()
        if (client, number) in self._pending and not self._answers_may_be_wrong:
            self._complain(f"{client} sends on connection {number} before the answer to the last request")
        if number in self._ended:
            self._complain(f"{client} sends on connection {number}, whose last answer was its last")
        node, kind = self._addresses[number], kind_of(data)
        self._pending[client, number] = (node, kind)
        if kind.startswith("key of "):
            self._suspect(1, client, None, kind)
        elif kind == "ask":
            self._suspect(1, client, node, kind)
            self._suspect(MOST_ASKED, client, None, kind)
        elif kind == "probe":
            also_asks = 1 if self._has_cluster_scope else 0
            self._suspect(1 + also_asks, client, node, kind)
            self._suspect(self._probes + also_asks * MOST_ASKED, client, None, kind)

    def read(self, client: str, node: str, number: int, data: bytes) -> None:
        """A part of an answer."""
        del client, node
        if END in data:
            self._ended.add(number)

    def received(self, client: str, node: str, number: int) -> None:
        """An answer, or what there was of it."""
        del node
        self._judge_suspects()
        self._pending.pop((client, number), None)

    def closed(self, client: str, node: str, number: int) -> None:
        """Nothing is waited for any more."""
        del node
        self._judge_suspects()
        self._pending.pop((client, number), None)

    def end(self) -> list[str]:
        """All that was against the rules."""
        self._judge_suspects(at_end=True)
        return self.violations

    def _suspect(self, limit: int, client: str, node: str | None, kind: str) -> None:
        if self._count(client, node, kind) > limit:
            self._suspects.append((trio.current_time(), limit, client, node, kind))

    def _judge_suspects(self, *, at_end: bool = False) -> None:
        """What is still too much when time goes on: what is given up may end in the tick in which the next begins."""
        if not self._suspects or (not at_end and self._suspects[0][0] == trio.current_time()):
            return
        suspects, self._suspects = self._suspects, []
        for _, limit, client, node, kind in suspects:
            count = self._count(client, node, kind)
            if count > limit:
                self._complain(f"{client} has {count} of {kind!r} in flight{f' at {node}' if node else ''}")

    def _count(self, client: str, node: str | None, kind: str) -> int:
        return sum(
            whose == client and what == kind and node in {None, where}
            for (whose, _), (where, what) in self._pending.items()
        )

    def _complain(self, what: str) -> None:
        if len(self.violations) < MOST_SHOWN:
            self.violations.append(f"{what}; in flight: {collections.Counter(self._pending.values())}")


def kind_of(data: bytes) -> str:
    """What a request is."""
    if data.startswith(LOCALNODES + b"?"):
        return "ask"
    if data.startswith(LOCALNODES):
        return "probe"
    head, _, body = data.partition(b"\r\n\r\n")
    if b"DescribeTable" in head:
        return f"key of {orjson.loads(body)['TableName']}"
    return "operation"

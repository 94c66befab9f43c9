"""What the simulated nodes do to requests: late execution, overload, failures, wrong lengths and old node lists.

Rules: the node's true answer comes from the same `Application` as the embedded cluster's; an operation that has been
accepted is carried out by a task of the cluster's, so that it takes effect though its connection, its client or its
node is gone; the server's own timeout is 10 s, and nothing takes effect after it.
"""

from __future__ import annotations

import collections
import random
import zlib
from typing import Final

import orjson
import trio

from alternator_trio.testing._alternator import OK, Application, LocalNodes, internal_error, operation_of, shed
from alternator_trio.testing._http import Renderer, Reply, Request
from alternator_trio.testing.simulation.history import History
from alternator_trio.testing.simulation.rates import FaultRates

__all__ = ["SERVER_TIMEOUT", "FaultyApplication", "FaultyRenderer", "ServerFaults", "StaleLists"]

SERVER_TIMEOUT: Final = 10.0
_ON_ITEMS: Final = frozenset({
    "BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem",
})  # fmt: skip
"""Whose answers are the same in every run: those on tables may have the engine's own identifiers and times."""
_REMEMBERED_LISTS: Final = 16
_MOST_OFF: Final = 20


class ServerFaults:
    """Draws what goes wrong at the nodes.

    Args:
        rates: How often; may be replaced at any time.
        rng: Where it is drawn from.
        history: Where it is written down.
        nursery: Where accepted operations are carried out.
    """

    def __init__(self, rates: FaultRates, rng: random.Random, history: History, nursery: trio.Nursery) -> None:
        self.rates = rates
        self.rng = rng
        self.history = history
        self.nursery = nursery

    def happens(self, probability: float) -> bool:
        """Whether something of that probability happens now."""
        return probability > 0.0 and self.rng.random() < probability


class FaultyApplication:
    """One node's answers.

    Args:
        node: The node's name.
        application: What has the true answers.
        faults: What goes wrong.
    """

    def __init__(self, node: str, application: Application, faults: ServerFaults) -> None:
        self._node = node
        self._application = application
        self._faults = faults

    async def reply(self, request: Request) -> Reply:
        """The answer to a request."""
        operation = operation_of(request.fields)
        if operation is None or request.method != "POST":
            return await self._application.reply(request)
        faults, rates = self._faults, self._faults.rates
        faults.history.record("receive", self._node, operation, len(request.body), zlib.crc32(request.body))
        if faults.happens(rates.shed):
            return shed()
        if faults.happens(rates.fail_before):
            return internal_error("injected, nothing was done")
        if faults.happens(rates.late):
            return await self._reply_late(request, operation)
        reply = await self._application.reply(request)
        self._record_answer(operation, reply)
        if faults.happens(rates.fail_after):
            return internal_error("injected, the operation was carried out")
        return reply

    async def _reply_late(self, request: Request, operation: str) -> Reply:
        before = self._faults.rng.uniform(0.0, SERVER_TIMEOUT)
        after = self._faults.rng.choice((0.0, self._faults.rng.uniform(0.0, SERVER_TIMEOUT)))
        done = trio.Event()
        replies: list[Reply] = []

        async def execute() -> None:
            await trio.sleep(before)
            reply = await self._application.reply(request)
            self._record_answer(operation, reply)
            replies.append(reply)
            await trio.sleep(after)
            done.set()

        self._faults.nursery.start_soon(execute)
        with trio.move_on_after(SERVER_TIMEOUT):
            await done.wait()
            return replies[0]
        return internal_error("timed out")

    def _record_answer(self, operation: str, reply: Reply) -> None:
        is_the_same_again = reply.status == OK and operation in _ON_ITEMS
        checksum = zlib.crc32(reply.body) if is_the_same_again else None
        self._faults.history.record("execute", self._node, operation, reply.status, _name_of(reply), checksum)


class StaleLists:
    """One node's lists, as it answers with them: what it has answered before may come again, scope by scope.

    Args:
        listed: What it lists now, of a datacenter and a rack.
        faults: What goes wrong.
    """

    def __init__(self, listed: LocalNodes, faults: ServerFaults) -> None:
        self._listed = listed
        self._faults = faults
        self._before: dict[tuple[str | None, str | None], collections.deque[list[str]]] = {}

    def __call__(self, datacenter: str | None, rack: str | None) -> list[str]:
        """The list, or an older one of the same datacenter and rack."""
        listed = self._listed(datacenter, rack)
        before = self._before.setdefault((datacenter, rack), collections.deque(maxlen=_REMEMBERED_LISTS))
        if not before or before[-1] != listed:
            before.append(listed)
        return self._faults.rng.choice(before) if self._faults.happens(self._faults.rates.stale_list) else listed


class FaultyRenderer:
    """Turns answers into bytes whose Content-Length may be wrong, or that are a connection's last.

    Args:
        renderer: What does it right.
        faults: What goes wrong.
    """

    def __init__(self, renderer: Renderer, faults: ServerFaults) -> None:
        self._renderer = renderer
        self._faults = faults

    def render(self, reply: Reply, *, keep_alive: bool = True) -> bytes:
        """The whole answer."""
        data = self._renderer.render(reply, keep_alive=keep_alive)
        if keep_alive and self._faults.happens(self._faults.rates.last_answer):
            data = data.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
        if reply.streamed or not reply.body or not self._faults.happens(self._faults.rates.wrong_length):
            return data
        right = len(reply.body)
        wrong = max(0, right + self._faults.rng.choice((-1, 1)) * self._faults.rng.randint(1, _MOST_OFF))
        return data.replace(b"Content-Length: %d\r\n" % right, b"Content-Length: %d\r\n" % wrong, 1)

    def head(self, reply: Reply, *, keep_alive: bool = True) -> bytes:
        """The answer's head."""
        return self._renderer.head(reply, keep_alive=keep_alive)


def _name_of(reply: Reply) -> str:
    """An error's name, for the record."""
    if reply.status == OK or not reply.body:
        return ""
    return str(orjson.loads(reply.body).get("__type", "")).rpartition("#")[2]

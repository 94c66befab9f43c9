"""The connection pools: every connection of a client, idle or leased, and the line of those who wait for one.

Rules: the Dispatcher owns the pools; callers take, give back and discard through synchronous methods without a
checkpoint inside, so that no cancellation can come between a count and what it counts. A lease is exclusive. Timers are
not set here: `alarm` is told when `sweep` is wanted next.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, NamedTuple

import trio

from alternator_trio._core.evening_out import EveningOut
from alternator_trio._core.pool import Capacity, Place, WaitingLine
from alternator_trio._transport.connection import Connection, Ending
from alternator_trio._transport.wires import Peek
from alternator_trio.errors import ClientClosedError, PoolTimeoutError
from alternator_trio.nodes import Node

__all__ = ["PoolStatistics", "Pools"]

_AT_ONCE: Final = -math.inf


class PoolStatistics(NamedTuple):
    """Connections at one moment."""

    idle: int
    leased: int
    waiting: int


class _Waiter(Place):
    __slots__ = ("lease", "task")

    def __init__(self, node: Node | None, ring: Sequence[Node], refused: Collection[Node]) -> None:
        super().__init__(node, ring, refused)
        self.task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        self.lease: Connection | None = None


class Pools:
    """All connections of a client.

    Args:
        per_node: Most connections to one node.
        total: Most connections in all.
        idle_lifetime: Seconds after which an idle connection is closed.
        max_age: Seconds after which a connection is not used again; None: no limit.
        acquire_timeout: Seconds that `wait` waits; `sweep` ends it.
        connection: Makes a connection, or what stands for one in another transport.
        alarm: Told the time (Trio's clock) by which `sweep` is to be called.
    """

    def __init__(
        self,
        *,
        per_node: int,
        total: int,
        idle_lifetime: float,
        max_age: float | None,
        acquire_timeout: float,
        alarm: Callable[[float], None],
        connection: Callable[[Node, float], Connection] = Connection,
    ) -> None:
        self._capacity = Capacity(per_node=per_node, total=total)
        self._evening_out = EveningOut(self._capacity)
        self._idle: dict[Node, collections.deque[Connection]] = {}  # the oldest first
        self._leased: dict[Connection, None] = {}
        self._line: WaitingLine[_Waiter] = WaitingLine()
        self._idle_lifetime = idle_lifetime
        self._max_age = math.inf if max_age is None else max_age
        self._acquire_timeout = acquire_timeout
        self._alarm = alarm
        self._make = connection
        self._alarm_at = math.inf
        self._kept: frozenset[Node] | None = None
        self._closed = False

    def take(self, node: Node, now: float) -> Connection | None:
        """Lease a connection: an idle one, else a slot to dial on; None when neither is to be had at once."""
        idle = self._idle.get(node)
        while idle:
            connection = idle.pop()
            if self._is_good(connection, now):
                self._leased[connection] = None
                return connection
        if self._closed:
            raise ClientClosedError("the client is closed")
        if not self._capacity.has_room(node) and not self._even_out(node, now):
            return None
        return self._new(node, now)

    def could_take(self, node: Node) -> bool:
        """Whether `take` would find something, as far as can be told without looking at sockets."""
        return bool(self._idle.get(node)) or self._capacity.has_room(node)

    async def wait(self, node: Node | None, ring: Sequence[Node] = (), refused: Collection[Node] = ()) -> Connection:
        """Wait in line for a lease, at most for the acquire timeout; what can be had at once is not waited for.

        Args:
            node: The only node that will do; None: any of ``ring`` but ``refused``.
            ring: The nodes that there are.
            refused: Nodes that will not do.

        Raises:
            PoolTimeoutError: Nothing became free in time.
            ClientClosedError: The client was closed meanwhile.
        """
        if self._closed:
            raise ClientClosedError("the client is closed")
        waiter = _Waiter(node, ring, refused)
        now = trio.current_time()
        waiter.deadline = now + self._acquire_timeout

        def abort(_: object) -> trio.lowlevel.Abort:
            # Called only while nothing has been handed over: leaving the line is all there is to do.
            self._line.leave(waiter)
            return trio.lowlevel.Abort.SUCCEEDED

        try:
            if self._line.join(waiter):
                waiter.lease = self._serve_at_once(waiter, now)
            if waiter.lease is None:
                if waiter.deadline < self._alarm_at:
                    self._set_alarm(waiter.deadline)
                await trio.lowlevel.wait_task_rescheduled(abort)
        finally:
            # Ctrl-C comes between any two steps: who is in line without waiting could not be woken.
            self._line.leave(waiter)
        if waiter.lease is not None:
            return self._looked_at(waiter.lease)
        if self._closed:
            raise ClientClosedError("the client is closed")
        raise PoolTimeoutError(
            f"no connection became free within {self._acquire_timeout:g} s",
            node=None if node is None else node.endpoint,
        )

    def begin(self, connection: Connection, deadline: float) -> None:
        """Bound the exchange that begins on a leased connection."""
        connection.deadline = deadline
        connection.sent = False
        if deadline < self._alarm_at:
            self._set_alarm(deadline)

    def give_back(self, connection: Connection, now: float) -> None:
        """Return a lease: kept for others when another exchange may begin on it, else discarded."""
        if connection not in self._leased:
            return
        if not connection.is_reusable or now >= connection.retire_at:
            self.discard(connection)
            return
        connection.deadline = math.inf
        if self._line:
            self._serve_with(connection, now)
            return
        del self._leased[connection]
        self._put_aside(connection, now)

    def discard(self, connection: Connection) -> None:
        """Close a leased connection and free its slot; discarding twice is harmless."""
        if connection not in self._leased:
            return
        del self._leased[connection]
        self._drop(connection)
        if self._line:
            self._serve_slot(connection)

    def doubt(self, node: Node) -> None:
        """A connection to ``node`` has broken: look at its idle ones now."""
        idle = self._idle.pop(node, None)
        if idle is None:
            return
        seen = [(connection, connection.peek()) for connection in idle]
        ended = any(peek is Peek.ENDED for _, peek in seen)
        for connection, peek in seen:
            if ended or peek is not Peek.QUIET:
                self._drop(connection)
            else:
                self._idle.setdefault(node, collections.deque()).append(connection)

    def sweep(self, now: float) -> None:
        """Close what has been idle or under way for too long, end what waits too long, ask for the next alarm."""
        self._alarm_at = math.inf
        for connection in list(self._leased):
            if connection.deadline <= now:
                connection.deadline = math.inf
                connection.close(Ending.TIMED_OUT)
        for node in list(self._idle):
            idle = self._idle[node]
            while idle and self._expiry(idle[0]) <= now:
                self._drop(idle.popleft())
            if not idle:
                del self._idle[node]
        for waiter in self._line.overdue(now):
            self._line.leave(waiter)
            self._wake(waiter)
        ahead = [connection.deadline for connection in self._leased]
        ahead.append(self._line.next_deadline)
        ahead += [self._expiry(idle[0]) for idle in self._idle.values()]
        if min(ahead) < math.inf:
            self._set_alarm(min(ahead))

    def keep_only(self, nodes: Iterable[Node]) -> None:
        """Retire connections to all other nodes: idle ones now, leased ones when they are returned."""
        kept = self._kept = frozenset(nodes)
        for node in [node for node in self._idle if node not in kept]:
            self._drop_idle(node)
        for connection in self._leased:
            if connection.node not in kept:
                connection.retire_at = _AT_ONCE

    def open_epoch(self) -> None:
        """Begin anew after a crash of the owner: idle connections are closed, leased ones when they are returned."""
        for node in list(self._idle):
            self._drop_idle(node)
        for connection in self._leased:
            connection.retire_at = _AT_ONCE
        # The alarm has gone with the owner; what it was for is found again.
        self.sweep(trio.current_time())

    def close(self) -> None:
        """Close every connection, idle and leased, and turn away those who wait. Nothing is waited for."""
        self._closed = True
        for node in list(self._idle):
            self._drop_idle(node)
        for connection in self._leased:
            connection.close(Ending.CLIENT_CLOSED)
        for waiter in self._line.all():
            self._line.leave(waiter)
            self._wake(waiter)

    def statistics(self) -> PoolStatistics:
        """How many connections there are now."""
        return PoolStatistics(sum(map(len, self._idle.values())), len(self._leased), len(self._line))

    def connections_to(self, node: Node) -> int:
        """Connections to one node, idle and leased, those being dialled included."""
        return self._capacity.used_by(node)

    @property
    def used(self) -> int:
        """The slots that are counted as taken; equal to idle and leased connections together."""
        return self._capacity.used

    # Below: the parts of the above.

    def _is_good(self, connection: Connection, now: float) -> bool:
        if now >= connection.retire_at:
            self._drop(connection)
            return False
        # `sweep` may be late: a process that was suspended wakes to connections that nothing remembers. Others are
        # looked at however short they were idle: with a stray answer in them, every answer would be another's.
        seen = connection.peek() if now < self._expiry(connection) else None
        if seen is Peek.QUIET:
            return True
        self._drop(connection)
        if seen is Peek.ENDED:
            # A node that restarts ends all its connections: do not find that out one write at a time.
            self._drop_idle(connection.node)
        return False

    def _looked_at(self, lease: Connection) -> Connection:
        """A lease that was handed on; where its connection has ended since its last answer, its slot to dial on."""
        if not lease.is_reusable or lease.peek() is Peek.QUIET:
            return lease
        del self._leased[lease]
        self._drop(lease)
        return self._new(lease.node, trio.current_time())

    def _new(self, node: Node, now: float) -> Connection:
        self._capacity.take(node)
        left = self._kept is not None and node not in self._kept
        connection = self._make(node, _AT_ONCE if left else now + self._max_age)
        self._leased[connection] = None
        return connection

    def _even_out(self, node: Node, now: float) -> bool:
        """Where only the total bound is in the way, take an idle connection's slot, if one is to be given."""
        giver = self._evening_out.giver(node, self._idle, now)
        if giver is None:
            return False
        self._drop(self._idle[giver].popleft())
        return True

    def _serve_at_once(self, place: Place, now: float) -> Connection | None:
        """A lease for somebody who would wait, at the expense of the connection that has been idle the longest."""
        node = place.choose(self.could_take)
        if node is not None:
            return self.take(node, now)
        node = place.choose(self._capacity.has_room_at)
        oldest = min((idle for idle in self._idle.values() if idle), key=lambda idle: idle[0].idle_since, default=None)
        if node is None or oldest is None:
            return None
        self._drop(oldest.popleft())
        return self._new(node, now)

    def _expiry(self, idle: Connection) -> float:
        # One expression for all: a difference of rounding would set an alarm for now, again and again.
        return idle.idle_since + self._idle_lifetime

    def _put_aside(self, connection: Connection, now: float) -> None:
        connection.idle_since = now
        idle = self._idle.get(connection.node)
        if idle is None:
            idle = self._idle[connection.node] = collections.deque()
        idle.append(connection)
        expiry = self._expiry(connection)
        if expiry < self._alarm_at:
            self._set_alarm(expiry)

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self._capacity.release(connection.node)

    def _drop_idle(self, node: Node) -> None:
        idle = self._idle.pop(node, None)
        while idle:  # emptied, not only dropped: `take` may be looking at it
            self._drop(idle.popleft())

    def _serve_with(self, connection: Connection, now: float) -> None:
        """Hand a leased connection on to whoever comes first among those whom it, or its slot, can serve."""
        waiter = self._line.first_for(connection.node)
        if self._is_before(self._first_elsewhere(), waiter):
            self.discard(connection)  # which serves the slot
        elif waiter is None:
            del self._leased[connection]
            self._put_aside(connection, now)
        elif (poorer := self._evening_out.taker(connection.node, waiter, now)) is not None:
            del self._leased[connection]
            self._drop(connection)
            self._hand(waiter, self._new(poorer, now))
        else:
            self._hand(waiter, connection)

    def _serve_slot(self, connection: Connection) -> None:
        """Hand a freed slot on: as one to dial on at the same node, or at another for somebody who came before."""
        node = connection.node
        has_room = self._capacity.has_room
        waiter = self._line.first_for(node) if has_room(node) else None
        elsewhere = self._line.first_elsewhere(has_room)
        if elsewhere is not None and self._is_before(elsewhere, waiter):
            waiter, node = elsewhere
        elif waiter is not None and not connection.was_dialled:
            # The dial failed: not the whole line is to find that out, one after another.
            node = waiter.choose(lambda other: other != node and has_room(other)) or node
        if waiter is not None:
            self._hand(waiter, self._new(node, trio.current_time()))

    def _first_elsewhere(self) -> tuple[_Waiter, Node] | None:
        """Who waits for want of a slot in all; nobody does as long as there is one."""
        return self._line.first_elsewhere(self._capacity.has_room_at) if self._capacity.is_exhausted else None

    @staticmethod
    def _is_before(elsewhere: tuple[_Waiter, Node] | None, waiter: _Waiter | None) -> bool:
        return elsewhere is not None and (waiter is None or elsewhere[0].number < waiter.number)

    def _hand(self, waiter: _Waiter, connection: Connection) -> None:
        self._line.leave(waiter)
        waiter.lease = connection
        self._wake(waiter)

    def _wake(self, waiter: _Waiter) -> None:
        task, waiter.task = waiter.task, None
        assert task is not None  # noqa: S101  # woken once: it has just left the line
        trio.lowlevel.reschedule(task)

    def _set_alarm(self, when: float) -> None:
        self._alarm_at = when
        self._alarm(when)

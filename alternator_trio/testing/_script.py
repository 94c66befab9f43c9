"""What one node was told to do and what it saw: the part of a node that outlives its process.

A stopped and started node keeps its record, its pending faults and its delay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from alternator_trio.testing._checks import check_count, check_fault, check_operation, check_seconds
from alternator_trio.testing.faults import LOCALNODES, Answer, Fault
from alternator_trio.testing.received import ReceivedRequest


@dataclass(slots=True, kw_only=True)
class PendingFault:
    """A fault and the number of requests that it is still to meet."""

    fault: Fault
    operation: str | None
    times: int

    def meets(self, operation: str | None) -> bool:
        """Whether it is for this operation; a fault that names none leaves discovery and health checks alone."""
        if self.operation is None:
            return operation is not None and operation != LOCALNODES
        return self.operation == operation


@dataclass(slots=True, kw_only=True)
class Script:
    """One node's orders and record."""

    recording: bool = True
    delay: float = 0.0
    localnodes_answer: Answer | None = None
    requests: list[ReceivedRequest] = field(default_factory=list[ReceivedRequest])
    faults: list[PendingFault] = field(default_factory=list[PendingFault])

    def take_fault(self, operation: str | None) -> Fault | None:
        """The fault for a request of this operation, used up by one."""
        for pending in self.faults:
            if pending.meets(operation):
                pending.times -= 1
                if pending.times == 0:
                    self.faults.remove(pending)
                return pending.fault
        return None


class Scripted:
    """The part of a node's public face that is its orders and its record."""

    def __init__(self, script: Script) -> None:
        self._script = script

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What it received since its creation or the last `clear_requests`, oldest first; a copy."""
        return list(self._script.requests)

    def clear_requests(self) -> None:
        """Forget what was received so far."""
        self._script.requests.clear()

    def fail_next(self, fault: Fault, *, times: int = 1, operation: str | None = None) -> None:
        """Commit a fault on the next requests.

        Faults queue up: a request takes the oldest pending one that is meant for its operation.

        Args:
            fault: what happens, a value of `alternator_trio.testing.faults`.
            times: how many requests it meets.
            operation: an operation's name, ``"localnodes"`` for discovery's GET, or None for any operation (and
                neither discovery nor health checks).

        Raises:
            TypeError: `fault` is none, or `times` no whole number.
            ValueError: `times` is less than one, or no operation has that name.

        Example:
            ``node.fail_next(Reset(executed=True), operation="PutItem")``
        """
        check_fault(fault)
        check_count("times", times, 1)
        check_operation(operation)
        self._script.faults.append(PendingFault(fault=fault, operation=operation, times=times))

    def clear_faults(self) -> None:
        """Forget the faults that are still pending."""
        self._script.faults.clear()

    @property
    def delay(self) -> float:
        """Seconds that it waits before each answer, the operation being done; a negative time is a ValueError."""
        return self._script.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        check_seconds("delay", seconds)
        self._script.delay = seconds

    @property
    def localnodes_answer(self) -> Answer | None:
        """What it answers to ``GET /localnodes`` in place of the true list; None for the true list.

        Example:
            ``node.localnodes_answer = Answer(status=200, body=b"[]")``
        """
        return self._script.localnodes_answer

    @localnodes_answer.setter
    def localnodes_answer(self, answer: Answer | None) -> None:
        if not (answer is None or isinstance(answer, Answer)):  # pyright: ignore[reportUnnecessaryIsInstance]  # what tests pass is not always what we ask for
            raise TypeError(f"localnodes_answer must be an Answer or None, not {answer!r}")
        self._script.localnodes_answer = answer

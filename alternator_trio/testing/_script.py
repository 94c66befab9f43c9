"""What one node was told to do and what it saw: the part of a node that outlives its process.

A stopped and started node keeps its record, its pending faults and its delay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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

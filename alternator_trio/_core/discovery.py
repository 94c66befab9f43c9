"""One refresh of the node list in cluster scope: whom to ask next, and what the answers make together.

Rules (spec §2, cluster scope): known nodes, then the contacts that were good before, then seeds are asked until every
one is covered by some answer; an answer covers the node that gave it and those that it lists; a failed node is passed
over; the answers are united. Only a valid answer that is not empty counts. Total failure changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

from alternator_trio.nodes import Node

__all__ = ["MAX_CONTACTS", "Refresh", "RefreshResult"]

MAX_CONTACTS: Final = 16
_EMPTY: Final = "an empty node list"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefreshResult:
    """What a refresh has found.

    Attributes:
        nodes: The union of all answers; empty when there was none, and the old list stays.
        contacts: Who answered, for the next refreshes; those that no answer covers any more stay on for a while.
        answered: Nodes that were asked and answered.
        failures: ``(canonical endpoint, reason)`` in the order in which they came to light.
    """

    nodes: tuple[Node, ...]
    contacts: tuple[Node, ...]
    answered: tuple[Node, ...]
    failures: tuple[tuple[str, str], ...]


class Refresh:
    """The state of one refresh.

    Args:
        known: The nodes of the list in force, in the order of asking.
        contacts: Good contacts of earlier refreshes.
        seeds: The seeds, asked last.

    Example:
        >>> a, b = Node("http", "10.0.0.1", 80), Node("http", "10.0.0.2", 80)
        >>> refresh = Refresh(known=[], contacts=[], seeds=[a, b])
        >>> refresh.next_candidate()
        Node('http://10.0.0.1')
        >>> refresh.answer(a, [a, b])
        >>> refresh.next_candidate() is None
        True
        >>> len(refresh.result().nodes)
        2
    """

    def __init__(self, *, known: Sequence[Node], contacts: Sequence[Node], seeds: Sequence[Node]) -> None:
        self._candidates = list(reversed(list(dict.fromkeys((*known, *contacts, *seeds)))))
        self._old_contacts = contacts
        self._covered: dict[Node, None] = {}
        self._nodes: dict[Node, None] = {}
        self._answered: list[Node] = []
        self._failures: list[tuple[str, str]] = []
        self.in_flight: list[Node] = []

    @property
    def is_wanting(self) -> bool:
        """Whether there is anybody left whose answer could add something."""
        return any(node not in self._covered for node in (*self.in_flight, *self._candidates))

    def next_candidate(self) -> Node | None:
        """Whom to ask next; None when nobody is left to ask."""
        while self._candidates:
            candidate = self._candidates.pop()
            if candidate not in self._covered:
                self.in_flight.append(candidate)
                return candidate
        return None

    def answer(self, asked: Node, listed: Iterable[Node]) -> None:
        """Take in a valid answer; an empty one is as good as none."""
        nodes = dict.fromkeys(listed)
        if not nodes:
            self.fail(asked, _EMPTY)
            return
        self.in_flight.remove(asked)
        self._answered.append(asked)
        self._covered[asked] = None
        self._covered.update(nodes)
        self._nodes.update(nodes)

    def fail(self, asked: Node, reason: str) -> None:
        """Note that a candidate gave no usable answer."""
        self.in_flight.remove(asked)
        self._failures.append((asked.endpoint, reason))

    def give_up(self, reason: str) -> None:
        """Note that no more answers are waited for, and that nobody else is asked."""
        for node in list(self.in_flight):
            self.fail(node, reason)
        while (node := self.next_candidate()) is not None:
            self.fail(node, f"not asked: {reason} from others")

    def result(self) -> RefreshResult:
        """What all answers so far make together."""
        lost = [contact for contact in self._old_contacts if contact not in self._covered]
        return RefreshResult(
            nodes=tuple(self._nodes),
            contacts=tuple(dict.fromkeys((*self._answered, *lost)))[:MAX_CONTACTS],
            answered=tuple(self._answered),
            failures=tuple(self._failures),
        )

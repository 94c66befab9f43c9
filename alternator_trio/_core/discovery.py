"""One refresh of the node list: whom to ask next in each scope, and what the answers make together.

Rules (spec §2): candidates are the known nodes, then the contacts that were good before, then the seeds; a failed node
is passed over, and not asked again for the next scope. In a datacenter's or rack's scope one valid answer is enough,
also an empty one. In cluster scope nodes are asked until every one is covered by some answer, an answer covers the node
that gave it and those that it lists, and the answers are united. Total failure changes nothing.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from alternator_trio.nodes import Node

__all__ = ["MAX_CONTACTS", "ClusterRefresh", "Refresh", "RefreshResult", "ScopeAnswer", "ScopeRefresh", "united"]

MAX_CONTACTS: Final = 16
_EMPTY: Final = "an empty node list"


class ScopeAnswer(NamedTuple):
    """What one scope's nodes are.

    Attributes:
        position: The scope's place in the chain; 0 is the preferred one.
        nodes: Empty when a node has said that there are none.
    """

    position: int
    nodes: tuple[Node, ...]


class RefreshResult(NamedTuple):
    """What a refresh has found.

    Attributes:
        answers: By scope, of those that gave an answer; nothing when there was none at all, and the old list stays.
        contacts: Who answered, for the next refreshes; those that no answer covers any more stay on for a while.
        answered: Nodes that were asked and answered.
        failures: ``(canonical endpoint, reason)`` in the order in which they came to light.
    """

    answers: tuple[ScopeAnswer, ...]
    contacts: tuple[Node, ...]
    answered: tuple[Node, ...]
    failures: tuple[tuple[str, str], ...]


class Refresh(abc.ABC):
    """The state of a refresh within one scope.

    Args:
        candidates: Whom to ask, in this order; each once.

    Attributes:
        nodes: The nodes of the scope, as far as they are known.
        answered: Who gave a valid answer.
        failures: Who did not, and why.
        in_flight: Who has been asked and has not answered yet.
    """

    def __init__(self, candidates: Iterable[Node]) -> None:
        self._candidates = list(reversed(list(dict.fromkeys(candidates))))
        self.nodes: dict[Node, None] = {}
        self.answered: list[Node] = []
        self.failures: list[tuple[Node, str]] = []
        self.in_flight: list[Node] = []

    @property
    @abc.abstractmethod
    def is_wanting(self) -> bool:
        """Whether there is anybody left whose answer could add something."""

    def next_candidate(self) -> Node | None:
        """Whom to ask next; None when nobody is left to ask."""
        while self._candidates and self.is_wanting:
            candidate = self._candidates.pop()
            if not self._is_covered(candidate):
                self.in_flight.append(candidate)
                return candidate
        return None

    def answer(self, asked: Node, listed: Iterable[Node]) -> None:
        """Take in a valid answer."""
        self.in_flight.remove(asked)
        self.answered.append(asked)
        self.nodes.update(dict.fromkeys(listed))

    def fail(self, asked: Node, reason: str) -> None:
        """Note that a candidate gave no usable answer."""
        self.in_flight.remove(asked)
        self.failures.append((asked, reason))

    def give_up(self, reason: str) -> None:
        """Note that no more answers are waited for, and that nobody else is asked."""
        for node in list(self.in_flight):
            self.fail(node, reason)
        while (unasked := self.next_candidate()) is not None:
            self.fail(unasked, f"not asked: {reason} from others")

    def _is_covered(self, node: Node) -> bool:
        del node
        return False


class ScopeRefresh(Refresh):
    """A datacenter's or a rack's: one valid answer will do.

    Example:
        >>> a, b = Node("http", "10.0.0.1", 80), Node("http", "10.0.0.2", 80)
        >>> refresh = ScopeRefresh([a, b])
        >>> refresh.next_candidate()
        Node('http://10.0.0.1')
        >>> refresh.answer(a, [])
        >>> refresh.is_wanting, refresh.next_candidate()
        (False, None)
    """

    @property
    def is_wanting(self) -> bool:
        """Nothing is, after the first answer."""
        return not self.answered and bool(self.in_flight or self._candidates)


class ClusterRefresh(Refresh):
    """The cluster's: every candidate is covered in the end, and all answers are united.

    Example:
        >>> a, b = Node("http", "10.0.0.1", 80), Node("http", "10.0.0.2", 80)
        >>> refresh = ClusterRefresh([a, b])
        >>> refresh.next_candidate()
        Node('http://10.0.0.1')
        >>> refresh.answer(a, [a, b])
        >>> refresh.next_candidate() is None
        True
    """

    @property
    def is_wanting(self) -> bool:
        """As long as somebody is not covered."""
        return any(not self._is_covered(node) for node in (*self.in_flight, *self._candidates))

    def answer(self, asked: Node, listed: Iterable[Node]) -> None:
        """Take in a valid answer; an empty one is as good as none."""
        nodes = tuple(listed)
        if nodes:
            super().answer(asked, nodes)
        else:
            self.fail(asked, _EMPTY)

    def _is_covered(self, node: Node) -> bool:
        return node in self.nodes or node in self.answered


def united(refreshes: Sequence[Refresh], old_contacts: Iterable[Node]) -> RefreshResult:
    """What the refreshes of a chain's scopes, in its order, make together."""
    answered = tuple(dict.fromkeys(node for refresh in refreshes for node in refresh.answered))
    covered = {node for refresh in refreshes for node in (*refresh.answered, *refresh.nodes)}
    lost = [contact for contact in old_contacts if contact not in covered]
    return RefreshResult(
        answers=tuple(
            ScopeAnswer(position=position, nodes=tuple(refresh.nodes))
            for position, refresh in enumerate(refreshes)
            if refresh.answered
        ),
        contacts=tuple(dict.fromkeys((*answered, *lost)))[:MAX_CONTACTS],
        answered=answered,
        failures=tuple((node.endpoint, reason) for refresh in refreshes for node, reason in refresh.failures),
    )

"""What must be in the table: what an owner of keys wrote and was told is written.

Rules: every key has one owner, who does one operation at a time, so what must be there is known exactly, but for this:

* A write of unknown outcome that failed leaves two possibilities, both right until the next acknowledged write.
* No attempt can be recalled. One that was given up may take effect after its repetition, and after newer writes: what
  a repeated write wrote may come back. That is no lost write, and not what was acknowledged either: it is *overtaken*.

No I/O.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from alternator_trio import types

__all__ = ["EDITION", "SHELF", "SLOT", "Item", "Key", "Ledger", "Mismatch", "key_of"]

SHELF: Final = "shelf"
"""The partition key; a shelf belongs to one owner."""
SLOT: Final = "slot"
"""The sort key."""
EDITION: Final = "edition"
"""A number that grows with every write of an owner."""

Item: TypeAlias = "Mapping[str, types.AttributeValue]"
MismatchKind: TypeAlias = Literal["missing", "different", "not deleted", "overtaken"]


class Key(NamedTuple):
    """A primary key."""

    shelf: str
    slot: str

    @property
    def attributes(self) -> dict[str, types.AttributeValue]:
        """As DynamoDB takes it."""
        return {SHELF: {"S": self.shelf}, SLOT: {"S": self.slot}}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A key under which something else was found than must be there.

    Attributes:
        key: The key, ``shelf/slot``.
        kind: ``"missing"``: an acknowledged write is gone; ``"different"``: another item is there;
            ``"not deleted"``: an item is there although its deletion was acknowledged; ``"overtaken"``: what is there
            is an earlier write of which an attempt was given up.
        expected: The edition that must be there; None for none.
        found: The edition that was found; None for none.

    Example:
        >>> str(Mismatch(key="shelf-1/slot-2", kind="missing", expected="7", found=None))
        'shelf-1/slot-2: missing (edition 7 was acknowledged, nothing was found)'
    """

    key: str
    kind: MismatchKind
    expected: str | None
    found: str | None

    def __str__(self) -> str:
        expected = "its deletion" if self.expected is None else f"edition {self.expected}"
        found = "nothing" if self.found is None else f"edition {self.found}"
        return f"{self.key}: {self.kind} ({expected} was acknowledged, {found} was found)"


class Ledger:
    """What one owner knows of its keys.

    Args:
        keys: All keys that it will ever write; nothing is there yet.

    Attributes:
        acknowledged: Writes that were acknowledged, each item of a batch counted.

    Example:
        >>> key = Key("shelf-1", "slot-1")
        >>> ledger = Ledger([key])
        >>> ledger.acknowledge({key: {"edition": {"N": "7"}}})
        >>> str(ledger.judge(key, None))
        'shelf-1/slot-1: missing (edition 7 was acknowledged, nothing was found)'
    """

    __slots__ = ("_given_up", "_items", "_possible", "acknowledged")

    def __init__(self, keys: Iterable[Key]) -> None:
        self._items: dict[Key, Item | None] = dict.fromkeys(keys)
        self._possible: dict[Key, set[str | None]] = {}  # editions
        self._given_up: dict[Key, set[str | None]] = {}  # the same
        self.acknowledged = 0

    def __contains__(self, key: object) -> bool:
        return key in self._items

    @property
    def shelves(self) -> tuple[str, ...]:
        """The partitions that the keys are in."""
        return tuple(dict.fromkeys(key.shelf for key in self._items))

    @property
    def doubtful(self) -> int:
        """How many keys have more than one thing that may be there."""
        return len(self._possible)

    def expected(self, key: Key) -> Item | None:
        """What was acknowledged last; None: nothing, or a deletion."""
        return self._items[key]

    def acknowledge(self, changes: Mapping[Key, Item | None], *, repeated: bool = False) -> None:
        """Note writes that succeeded.

        Args:
            changes: What they left; None is a deletion.
            repeated: Whether it took more than one attempt.
        """
        self._items.update(changes)
        self.acknowledged += len(changes)
        for key, item in changes.items():
            given_up = self._possible.pop(key, set())
            if repeated:
                given_up.add(_edition(item))
            if given_up:
                self._given_up.setdefault(key, set()).update(given_up)

    def doubt(self, changes: Mapping[Key, Item | None]) -> None:
        """Note writes that failed but may have happened."""
        for key, item in changes.items():
            self._possible.setdefault(key, set()).add(_edition(item))

    def settle(self, key: Key, found: Item | None) -> None:
        """Note that a read found a write of unknown outcome done."""
        self._items[key] = found
        self._possible.pop(key, None)

    def judge(self, key: Key, found: Item | None) -> Mismatch | None:
        """What is wrong with what was read; None when it is right."""
        expected = self._items.get(key)
        edition = _edition(found)
        if found == expected or edition in self._possible.get(key, ()):
            return None
        kind: MismatchKind = "missing" if found is None else "not deleted" if expected is None else "different"
        if key in self._given_up:
            if edition == _edition(expected):
                return None  # an update of an item that was overtaken unseen: the rest of it cannot be known
            if edition in self._given_up[key]:
                kind = "overtaken"
        return Mismatch(key="/".join(key), kind=kind, expected=_edition(expected), found=edition)

    def judge_page(self, shelf: str, items: Sequence[Item], last: Key | None) -> list[Mismatch]:
        """What is wrong with a page of a shelf that was read from its beginning.

        Args:
            shelf: The shelf.
            items: What was found.
            last: The key that the page ends at; None when it reaches the shelf's end.
        """
        found = {key_of(item): item for item in items}
        covered = [key for key in self._items if key.shelf == shelf and (last is None or key <= last)]
        keys = dict.fromkeys([*covered, *found])
        return [mismatch for key in keys if (mismatch := self.judge(key, found.get(key))) is not None]

    def count_present(self, shelf: str) -> tuple[int, int]:
        """How many of a shelf's keys must be there, and how many must not."""
        items = [item for key, item in self._items.items() if key.shelf == shelf]
        present = sum(item is not None for item in items)
        return present, len(items) - present


def key_of(item: Item) -> Key:
    """The primary key in an item, or in a LastEvaluatedKey."""
    return Key(item[SHELF].get("S", ""), item[SLOT].get("S", ""))


def _edition(item: Item | None) -> str | None:
    return None if item is None else item.get(EDITION, {}).get("N", "without a number")

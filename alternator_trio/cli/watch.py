"""What the client makes of the nodes' health, noted on the timeline beside what happened to them."""

from __future__ import annotations

from collections.abc import Callable

import trio

from alternator_trio.cli.tally import Event, Tally
from alternator_trio.instruments import Instrument, NodeStateChanged

__all__ = ["HealthWatch"]


class HealthWatch(Instrument):
    """Notes when the client takes a node out of traffic and when it takes it back.

    Args:
        tally: Where it is noted.
        announce: Told each event.
    """

    def __init__(self, tally: Tally, announce: Callable[[Event], None]) -> None:
        self._tally = tally
        self._announce = announce
        self._out: set[str] = set()

    def node_state_changed(self, event: NodeStateChanged) -> None:
        """A node's health has changed; only leaving traffic and coming back to it are worth a note."""
        if event.new == "DOWN" and event.node not in self._out:
            self._out.add(event.node)
            self._note("left alone", event.node, "left alone by the client")
        elif event.new == "ACTIVE" and event.node in self._out:
            self._out.discard(event.node)
            self._note("used again", event.node, "used again by the client")

    def _note(self, kind: str, node: str, text: str) -> None:
        if self._tally.is_running:
            self._announce(self._tally.note(kind, node, text, trio.current_time()))

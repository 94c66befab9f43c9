"""The outage of a demo: one node of the embedded cluster crashes in the middle of the load and comes back.

Rules: the node crashes with work that it did and never answered, for those are the hardest writes to be right about,
and a crash between two requests of a fast node would hardly leave any; it stays listed, as a crashed node does until
the others have noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from alternator_trio.cli.settings import Settings
from alternator_trio.cli.tally import Event, Phase, Tally
from alternator_trio.testing import LocalNode, Reset

__all__ = ["outage"]

_UNANSWERED: Final = 6
_UNANSWERED_SECONDS: Final = 0.1


async def outage(
    node: LocalNode, settings: Settings, tally: Tally, began: float, announce: Callable[[Event], None]
) -> None:
    """Kill a node and start it again.

    Args:
        node: Which.
        settings: When.
        tally: Where the phases and the events are noted.
        began: When the load began, on Trio's clock.
        announce: Told each event.
    """
    await trio.sleep_until(began + settings.kill_at - _UNANSWERED_SECONDS)
    node.fail_next(Reset(executed=True), times=_UNANSWERED, operation="UpdateItem")
    await trio.sleep_until(began + settings.kill_at)
    node.kill()
    node.clear_faults()
    tally.enter(Phase.DURING, trio.current_time())
    announce(tally.note("killed", node.url, "killed; the others go on listing it", trio.current_time()))
    await trio.sleep_until(began + settings.restart_at)
    try:
        node.start()
    except OSError as error:
        text = f"could not be started again: {error}"
        announce(tally.note("failed", node.url, text, trio.current_time()))
        return
    tally.enter(Phase.AFTER, trio.current_time())
    announce(tally.note("started", node.url, "started again", trio.current_time()))

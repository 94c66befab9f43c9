"""Hooks into a client's life, and the events that they are given.

Rules: an instrument is called synchronously and must not wait; one that raises is removed and logged; events are frozen
and carry no secret.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import types
from collections.abc import Sequence
from typing import Final, TypeAlias

from alternator_trio._checks import nearest
from alternator_trio.errors import ConfigurationError

__all__ = ["ClockSkewCorrected", "Event", "Instrument", "NodeStateChanged", "Notifier", "ScopeChanged", "check_hooks"]

_MISSPELT: Final = 0.85  # "on_scope_changed" is so near, "node_changed", which may be meant otherwise, is not
_logger: Final = logging.getLogger("alternator_trio")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScopeChanged:
    """Another routing scope is in force.

    Attributes:
        old: The scope until now, as text; None for the first one.
        new: The scope from now on.
        crosses_datacenters: Whether requests leave the preferred scope's datacenter, and with it isolation, order and
            read-your-writes.
    """

    old: str | None
    new: str
    crosses_datacenters: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeStateChanged:
    """A node's health has changed.

    Attributes:
        node: Canonical endpoint.
        old: ``"ACTIVE"``, ``"QUARANTINED"`` or ``"DOWN"``; None for a node that has just been listed.
        new: The same.
        reason: What failed last, of a node that went down; else empty.
    """

    node: str
    old: str | None
    new: str
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClockSkewCorrected:
    """A node found a signature's time wrong, and requests to it are signed by its own clock from now on.

    Attributes:
        node: Canonical endpoint.
        seconds: How far its clock is ahead of this client's; negative: behind.
    """

    node: str
    seconds: float


class Instrument:
    """Base of instruments; override what is of interest.

    Example:
        >>> class Printer(Instrument):
        ...     def scope_changed(self, event):
        ...         print(event.old, "->", event.new)
        >>> Printer().scope_changed(ScopeChanged(old=None, new="cluster", crosses_datacenters=False))
        None -> cluster
    """

    def scope_changed(self, event: ScopeChanged) -> None:
        """Another routing scope is in force."""

    def node_state_changed(self, event: NodeStateChanged) -> None:
        """A node's health has changed."""

    def clock_skew_corrected(self, event: ClockSkewCorrected) -> None:
        """Requests to a node are signed by its clock from now on."""


Event: TypeAlias = ScopeChanged | NodeStateChanged | ClockSkewCorrected


_FUNCTIONS: Final = (types.FunctionType, types.MethodType)
_HOOKS: Final = tuple(name for name in vars(Instrument) if not name.startswith("_"))


def check_hooks(instrument: Instrument) -> None:
    """Refuse hooks that would never be called: one that is async, and one whose name is misspelt.

    Methods of other names are the instrument's own business. Misspelt is one next to the name of a hook that the
    instrument leaves as it is.

    Raises:
        ConfigurationError: There is one; the message names it.
    """
    kind = type(instrument).__name__
    for hook in _HOOKS:
        call = getattr(instrument, hook)
        # By its type: a specified mock says of itself that it is a function, and an async one.
        if type(call) in _FUNCTIONS and inspect.iscoroutinefunction(call):
            raise ConfigurationError(f"instruments: {kind}.{hook} is async; hooks are called synchronously")
    unused = [hook for hook in _HOOKS if not _has_own(instrument, hook)]
    for name in dir(type(instrument)):
        if not name.startswith("_") and name not in _HOOKS and inspect.isroutine(getattr(type(instrument), name)):
            hint = nearest(name, unused, _MISSPELT)
            if hint:
                raise ConfigurationError(f"instruments: {kind}.{name} is no hook and would never be called{hint}")


def _has_own(instrument: Instrument, hook: str) -> bool:
    """Whether a class or the object itself brings a hook of its own."""
    return getattr(getattr(instrument, hook), "__func__", None) is not getattr(Instrument, hook)


class Notifier:
    """Tells all instruments of a client, and drops those that raise.

    Args:
        instruments: Whom to tell.
    """

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._instruments = list(instruments)

    def notify(self, event: Event) -> None:
        """Tell everybody."""
        for instrument in list(self._instruments):
            try:
                if isinstance(event, ScopeChanged):
                    instrument.scope_changed(event)
                elif isinstance(event, NodeStateChanged):
                    instrument.node_state_changed(event)
                else:
                    instrument.clock_skew_corrected(event)
            except Exception:
                self._instruments.remove(instrument)
                _logger.exception("an instrument raised and is told nothing more: %s", type(instrument).__name__)

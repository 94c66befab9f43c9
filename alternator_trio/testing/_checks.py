"""What the embedded cluster refuses of what a test asks for: a slip of the pen must not make a test prove nothing.

A value of the wrong type raises `TypeError`, one that is out of bounds `ValueError`; each message names the argument.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Final, cast

import trio

from alternator_trio._wire.operation_names import TARGETS
from alternator_trio.testing.faults import LOCALNODES, Answer, Close, Hang, Reset, Shed, Truncate

_FAULTS: Final = (Answer, Close, Hang, Reset, Shed, Truncate)
_MAX_PORT: Final = 65535


def check_trio_run(what: str) -> None:
    """Refuse to begin outside of Trio, where it would fail on something that nobody knows."""
    if not trio.lowlevel.in_trio_run():
        raise RuntimeError(f"a {what} needs a Trio run: trio.run(main); asyncio is not supported")


def check_fault(fault: object) -> None:
    """Refuse what is no fault: a class in place of a value, most of all."""
    if not isinstance(fault, _FAULTS):
        names = ", ".join(kind.__name__ for kind in _FAULTS)
        hint = f"; write {fault.__name__}()" if isinstance(fault, type) and issubclass(fault, _FAULTS) else ""
        raise TypeError(f"fault: {fault!r} is none of {names}{hint}")


def check_operation(operation: object) -> None:
    """Refuse a name that no request ever has."""
    if operation is None or operation == LOCALNODES or operation in TARGETS:
        return
    near = difflib.get_close_matches(str(operation), [*TARGETS, LOCALNODES], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"operation: {operation!r} is no operation of DynamoDB, nor {LOCALNODES!r}{hint}")


def check_count(name: str, value: object, least: int, most: int | None = None) -> None:
    """Refuse what is no whole number, or too small or too large a one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}, not {value}")


def check_seconds(name: str, value: object) -> None:
    """Refuse what is no time, or lies in the past."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} must be zero or more seconds, not {value!r}")


def check_port(value: object) -> None:
    """Refuse what is no port; 0 means any."""
    check_count("port", value, 0, _MAX_PORT)


def check_topology(topology: object) -> None:
    """Refuse what is not datacenters, their racks, and the number of nodes in each."""
    for datacenter, racks in _named("topology", topology).items():
        for rack, count in _named(f"topology[{datacenter!r}]", racks).items():
            check_count(f"topology[{datacenter!r}][{rack!r}]", count, 0)


def check_credentials(credentials: object) -> None:
    """Refuse what is not roles and their secrets; a secret is never shown."""
    for role, secret in _named("credentials", credentials).items():
        if not isinstance(secret, str):
            raise TypeError(f"credentials[{role!r}] must be a string, not {type(secret).__name__}")


def _named(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, not {type(value).__name__}")
    for key in cast("Mapping[object, object]", value):
        if not (isinstance(key, str) and key):
            raise TypeError(f"{name}: {key!r} is no name")
    return cast("Mapping[str, object]", value)

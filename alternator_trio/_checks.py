"""What options have in common: numbers of seconds, counts, names; each refused by name, with the nearest valid one.

Rules: a check raises `ConfigurationError` or returns nothing; what may be a secret is shown by its type alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Final

from alternator_trio.errors import ConfigurationError

__all__ = ["check_count", "check_names", "check_seconds", "nearest", "shown"]

# What other clients call it, and no spelling leads to.
_ELSEWHERE: Final = {
    "timeout": "attempt_timeout is for one attempt, operation_timeout for all of them",
    "max_attempts": "write retry=RetryPolicy(max_attempts=…)",
    "retries": "write retry=RetryPolicy(max_attempts=…)",
    "read_timeout": "attempt_timeout is for one attempt, operation_timeout for all of them",
    "endpoint_url": "endpoints are the seeds, which are given by position",
    "endpoints": "endpoints are the seeds, which are given by position",
    "hosts": "endpoints are the seeds, which are given by position",
    "nodes": "endpoints are the seeds, which are given by position",
    "datacenter": "write routing_scope=RoutingScope.datacenter(…)",
    "rack": "write routing_scope=RoutingScope.rack(…)",
    "verify": "write tls=Tls(…)",
    "ssl": "write tls=Tls(…)",
    "ssl_context": "write tls=…",
    "ca_file": "write tls=Tls(…)",
    "cert": "write tls=Tls(…)",
    "cert_file": "write tls=Tls(…)",
    "proxy": "write transport=HttpxTransport(…)",
    "proxies": "write transport=HttpxTransport(…)",
    "http2": "write transport=HttpxTransport(…)",
    "trust_env": "write transport=HttpxTransport(…)",
    "compression": "there are request_compression and response_compression",
    "region_name": "did you mean 'region'?",
    "aws_access_key_id": "write credentials=Credentials(…)",
    "aws_secret_access_key": "write credentials=Credentials(…)",
    "aws_session_token": "write credentials=Credentials(…)",
    "profile_name": "write credentials=Credentials.from_shared_file(…)",
    "max_pool_connections": "there are max_connections_per_node and max_connections",
}


def check_names(names: Iterable[object], known: Collection[str], what: str = "option") -> None:
    """Refuse the first name that is not known.

    Example:
        >>> check_names(["retries"], ["retry"])
        Traceback (most recent call last):
        ...
        alternator_trio.errors.ConfigurationError: unknown option 'retries'; write retry=RetryPolicy(max_attempts=…)
    """
    for name in names:
        if name not in known:
            hint = _ELSEWHERE.get(str(name)) if what == "option" else None
            hint = nearest(name, known) if hint is None else f"; {hint}"
            if not hint and what == "key":  # a table has few keys: name them all
                hint = f"; there are {', '.join(sorted(known))}"
            raise ConfigurationError(f"unknown {what} {name!r}{hint}")


def nearest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of a message about an unknown name: the nearest known one, if any is near."""
    import difflib  # noqa: PLC0415  # only for an error message

    near = difflib.get_close_matches(str(name), sorted(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


def check_seconds(name: str, value: object, *, zero_allowed: bool = False) -> None:
    """Refuse what is no time span."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_float(value):
        raise ConfigurationError(f"{name}: {value!r} is no number of seconds")
    if value < 0 or (value == 0 and not zero_allowed):
        raise ConfigurationError(
            f"{name}: {value!r} seconds; it must be {'zero or more' if zero_allowed else 'positive'}"
        )


def check_count(name: str, value: object) -> None:
    """Refuse what is no whole number from 1 on."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{name}: {value!r} is no whole number")
    if value < 1:
        raise ConfigurationError(f"{name}: {value!r}; it must be at least 1")


def shown(value: object) -> str:
    """A wrong value for an error message; of one that may hold a secret only its type."""
    return repr(value) if isinstance(value, (bool, int, float)) or value is None else type(value).__name__


def _is_float(value: float) -> bool:
    try:
        return not math.isnan(value)
    except OverflowError:  # an int beyond all floats
        return False
